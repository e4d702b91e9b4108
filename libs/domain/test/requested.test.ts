import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordingEvent, SessionState } from '@longtake/contracts'
import { evolve, isRequested, toPublicSession, type RecordingUrls } from '../src/index.ts'
import { at, committed, finished, live, partA, session, whole } from './facts.ts'

const urls: RecordingUrls = { file: (...of) => of.join('/'), rendition: (...of) => of.join('/') }
const requested = (file?: number): RecordingEvent => ({
  type: 'rendition-requested',
  session,
  at: at(70),
  track: 'webcam',
  kind: 'mp4',
  ...(file === undefined ? {} : { file }),
})
const made: RecordingEvent = {
  type: 'rendition-ready',
  session,
  at: at(80),
  version: 1,
  track: 'webcam',
  kind: 'mp4',
  blob: 'b',
  mimeType: 'video/mp4',
  bytes: 9,
}
const failed: RecordingEvent = {
  type: 'rendition-failed',
  session,
  at: at(80),
  version: 1,
  track: 'webcam',
  kind: 'mp4',
  reason: 'no',
}
const completed = (): SessionState => live([committed(1, [whole(5)]), finished({ webcam: [partA] })]).state
const listed = (state: SessionState): unknown => toPublicSession(state, urls).tracks['webcam']?.renditions

test('a rendition that a viewer asked for is pending until it is made or failed', () => {
  const { state, told } = live([requested()], completed())
  assert.deepEqual([state.status, state.version, told], ['complete', 1, []])
  assert.deepEqual(listed(state), [{ kind: 'mp4', version: 1, url: null, reason: null }])
  assert.deepEqual(listed(live([made], state).state), [
    { kind: 'mp4', version: 1, url: 'exam-17/webcam/mp4/0', reason: null },
  ])
  assert.deepEqual(listed(live([failed], state).state), [{ kind: 'mp4', version: 1, url: null, reason: 'no' }])
})

test('asked for again it changes nothing, and each file is asked for by itself', () => {
  const { state } = live([requested()], completed())
  assert.equal(evolve(state, requested(0), '1000')?.requested, state.requested)
  const both = live([requested(1)], state).state
  assert.deepEqual(
    [
      isRequested(both, 'webcam', 'mp4', 1),
      isRequested(state, 'webcam', 'mp4', 1),
      isRequested(both, 'screen', 'mp4', 0),
    ],
    [true, false, false],
  )
})

test('a deleted session has no requests, and takes none', () => {
  const gone = live([requested(), { type: 'session-deleted', session, at: at(90) }, requested()], completed()).state
  assert.deepEqual([gone.status, gone.requested], ['deleted', undefined])
})

test('what a state keeps of requests is bounded', () => {
  const { state } = live(
    Array.from({ length: 300 }, (_, file) => requested(file)),
    completed(),
  )
  assert.equal(state.requested?.length, 100)
})
