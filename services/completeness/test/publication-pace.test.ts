import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordingEvent } from '@longtake/contracts'
import { Sessions } from '../src/sessions.ts'
import { client, factsOf, manyParts } from './facts.ts'

const session = factsOf('s1')

test('a deferred publication comes with time, and whatever completes the session at once', () => {
  const sessions = new Sessions()
  const publish = (now: number): ReturnType<Sessions['judge']> => {
    const judged = sessions.judge(now, 10)
    sessions.settle(judged)
    return judged
  }
  const start = Date.now()
  sessions.fold(manyParts(session, 1, 200), 0n)
  assert.deepEqual(publish(start).map(({ isDeferred }) => isDeferred), [false])
  sessions.fold(manyParts(session, 2, 201), 1n)
  assert.deepEqual(publish(start + 1_000).map(({ isDeferred }) => isDeferred), [true])
  sessions.tick(start + 9_000)
  assert.equal(sessions.hasWork, false)
  sessions.tick(start + 10_000)
  assert.deepEqual(publish(start + 10_000).map(({ isDeferred, state }) => [isDeferred, state.revision]), [[false, 2]])
  sessions.fold(manyParts(session, 3, 202), 2n)
  publish(start + 11_000)
  sessions.tick(start - 3_600_000)
  assert.deepEqual(publish(start - 3_600_000).map(({ isDeferred }) => isDeferred), [false], 'the clock was set back')
  sessions.fold(manyParts(session, 4, 203), 3n)
  assert.deepEqual(publish(start - 3_600_000 + 1).map(({ isDeferred }) => isDeferred), [true])
  sessions.fold({ ...session.finished, parts: {} }, 4n)
  assert.deepEqual(publish(start - 3_600_000 + 2).map(({ isDeferred, state }) => [isDeferred, state.status]), [[false, 'complete']])
  assert.equal(sessions.hasDeferred, false)
})

test('signs of life and reports of a session of many parts wait for its next publication, who connects does not', () => {
  const sessions = new Sessions()
  const start = Date.now()
  let offset = 0n
  const isPublished = (event: RecordingEvent, afterMs: number): boolean => {
    sessions.fold(event, offset++)
    const judged = sessions.judge(start + afterMs, 10)
    sessions.settle(judged)
    return judged.every(({ isNews, isDeferred }) => isNews && !isDeferred)
  }
  const at = new Date(start).toISOString()
  const connected = (connection: string, afterMs: number): RecordingEvent =>
    ({ type: 'client-connected', session: 's1', at: new Date(start + afterMs).toISOString(), client, gateway: 'g1', connection })
  assert.equal(isPublished(manyParts(session, 1, 600), 0), true)
  assert.equal(isPublished(connected('k1', 1), 1), true)
  assert.equal(isPublished(connected('k1', 15_000), 15_000), false, 'the gateway still holds it')
  const report = { event: 'hidden' as const, track: null, detail: null }
  assert.equal(isPublished({ type: 'client-reported', session: 's1', at, client, report, reportedAt: at }, 20_000), false)
  assert.equal(isPublished(manyParts(session, 2, 601), 24_000), false, '24 s for 600 parts')
  assert.equal(isPublished(connected('k2', 24_030), 24_030), true)
  assert.equal(isPublished(manyParts(session, 3, 602), 24_100), false)
  sessions.tick(start + 48_200)
  assert.deepEqual(sessions.judge(start + 48_200, 10).map(({ isDeferred }) => isDeferred), [false])
})

test('a pause between two of many parts waits for the next publication, a missing chunk does not', () => {
  const sessions = new Sessions()
  const start = Date.now()
  const commit = (number: number, pauseMs: number, stored: [number, number][]): RecordingEvent => {
    const event = manyParts(session, number, 80)
    const last = event.parts.at(-1)!
    return { ...event, startedAt: new Date(start).toISOString(), parts: [...event.parts.slice(0, -1), { ...last, startMs: last.startMs! + pauseMs, endMs: last.endMs! + pauseMs, stored }] }
  }
  const publish = (event: RecordingEvent, offset: bigint, afterMs: number): unknown => {
    sessions.fold(event, offset)
    const judged = sessions.judge(start + afterMs, 10)
    sessions.settle(judged)
    return judged.map(({ isDeferred, state }) => [isDeferred, state.gaps.map(({ kind }) => kind)])
  }
  assert.deepEqual(publish(commit(1, 0, [[0, 4]]), 0n, 0), [[false, []]])
  assert.deepEqual(publish(commit(2, 5000, [[0, 4]]), 1n, 10), [[true, ['not-recorded']]])
  assert.deepEqual(publish(commit(3, 5000, [[0, 1], [3, 4]]), 2n, 20), [[false, ['lost', 'not-recorded']]])
})
