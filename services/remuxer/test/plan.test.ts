import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SessionState } from '@longtake/contracts'
import { missingRenditions, MP4_POLICIES, type Mp4Policy } from '../src/plan.ts'
import { finalizedState, type StoredFile } from './support.ts'

const bytes = new Uint8Array(10)
const webm: StoredFile = { bytes, mimeType: 'video/webm', codecs: ['A_OPUS', 'V_VP9'] }
const sound: StoredFile = { bytes, mimeType: 'video/webm', codecs: ['A_OPUS'] }
const mp4: StoredFile = { bytes, mimeType: 'video/mp4', codecs: [] }
const h264: StoredFile = { bytes, mimeType: 'video/x-matroska', codecs: ['V_MPEG4/ISO/AVC', 'A_OPUS'] }

const planned = (state: SessionState): string[] => missingRenditions(state).map(({ blob }) => blob)

test('a track with a picture gets a poster, what is not seekable or playable everywhere an MP4 as well', () => {
  const state = finalizedState([webm, { ...sound, track: 'room' }, { ...mp4, track: 'phone' }, { ...h264, track: 'screen' }])
  assert.deepEqual(planned(state), [
    'exam-17/renditions/1/phone/poster.jpg',
    'exam-17/renditions/1/phone/0.mp4',
    'exam-17/renditions/1/screen/poster.jpg',
    'exam-17/renditions/1/screen/0.mp4',
    'exam-17/renditions/1/webcam/poster.jpg',
  ])
})

test('of several files each gets its MP4, and the first with a picture is the poster', () => {
  const state = finalizedState([{ ...mp4, file: 2 }, { ...mp4, mimeType: 'audio/mp4' }, { ...mp4, bytes: new Uint8Array(0), file: 1 }])
  assert.deepEqual(planned(state), ['exam-17/renditions/1/webcam/poster.jpg', 'exam-17/renditions/1/webcam/0.mp4', 'exam-17/renditions/1/webcam/2.mp4'])
  assert.equal(missingRenditions(state)[0]!.source.file, 2)
})

test('nothing is made before a version is finalized, nor of one that a newer one is about to replace, nor of what is deleted', () => {
  assert.deepEqual(planned(finalizedState([webm], { finalizedVersion: 0, manifest: null })), [])
  assert.deepEqual(planned(finalizedState([webm], { version: 2 })), [])
  assert.deepEqual(planned(finalizedState([webm], { status: 'deleted' })), [])
  assert.equal(planned(finalizedState([webm], { status: 'interrupted' })).length, 1)
})

test('what exists of this version or could not be made is not made again, what is older is', () => {
  const poster = { track: 'webcam', kind: 'poster' as const, blob: 'p', mimeType: 'image/jpeg', bytes: 3, reason: null }
  const second = { version: 2, finalizedVersion: 2, manifest: { version: 2, blob: 'm' } }
  assert.deepEqual(planned(finalizedState([webm], { renditions: [{ ...poster, version: 1 }] })), [])
  assert.deepEqual(planned(finalizedState([webm], { renditions: [{ ...poster, version: 1, blob: null, reason: 'no' }] })), [])
  assert.deepEqual(planned(finalizedState([webm], { ...second, renditions: [{ ...poster, version: 1 }] })), ['exam-17/renditions/2/webcam/poster.jpg'])
  const mp4Made = { ...poster, version: 1, kind: 'mp4' as const, file: 1 }
  assert.deepEqual(planned(finalizedState([mp4, { ...mp4, file: 1 }], { renditions: [{ ...poster, version: 1 }, mp4Made] })), ['exam-17/renditions/1/webcam/0.mp4'])
})

test('an MP4 of VP8, VP9 and AV1 is made where a viewer asked for it, always, or never, as the operator decides', () => {
  const requested = [{ track: 'webcam', kind: 'mp4' as const, file: 0 }]
  const codecs = (policy: Mp4Policy, state: SessionState): unknown => missingRenditions(state, policy).filter(({ kind }) => kind === 'mp4').map((planned) => planned.codecs)
  const [asked, unasked] = [finalizedState([webm], { requested }), finalizedState([webm])]
  assert.deepEqual([codecs('on-request', asked), codecs('on-request', unasked)], [['encoded'], []])
  assert.deepEqual([codecs('always', asked), codecs('always', unasked)], [['encoded'], ['encoded']])
  assert.deepEqual([codecs('needed', asked), codecs('needed', unasked)], [['refused'], []])
  // Their container needs one in any case, and what is asked for is not made twice.
  for (const policy of MP4_POLICIES) assert.deepEqual(codecs(policy, finalizedState([mp4], { requested })), ['recorded'])
})
