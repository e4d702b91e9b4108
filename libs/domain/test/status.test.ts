import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordingEvent } from '@longtake/contracts'
import { deletionExpiresAt, evolve, expireDeletion, isForgotten, judge, partsOf } from '../src/index.ts'
import { at, committed, connected, created, disconnected, finished, fold, live, ms, part, partA, partB, session, whole } from './facts.ts'

const statusAt = (seconds: number, ...events: RecordingEvent[]): string => judge(fold(events), ms(seconds)).state.status
const all = { webcam: [partA] }

test('a session waits until something of it was recorded, whoever connects', () => {
  assert.equal(statusAt(1, created()), 'waiting')
  assert.equal(statusAt(1, created(), connected(1)), 'waiting', 'who only measures the line records nothing')
  assert.equal(statusAt(3, created(), connected(1), disconnected(2)), 'waiting')
  assert.equal(statusAt(4, created(), connected(1), committed(1, [part({ stored: [[0, 0]], startMs: null })], { bytes: 0 })), 'recording', 'though nothing of it is playable yet')
  assert.equal(statusAt(61, created(), connected(1), finished(all)), 'recording', 'what its end names is awaited')
})

test('without a client a session that is not finished is interrupted after a grace, and goes on with the next', () => {
  const facts = [created(), connected(1), committed(1, [part({ stored: [[0, 3]] })])]
  assert.equal(statusAt(6, ...facts), 'recording')
  assert.equal(statusAt(126, ...facts, disconnected(7)), 'recording')
  assert.equal(statusAt(127, ...facts, disconnected(7)), 'interrupted')
  assert.equal(statusAt(10, ...facts, disconnected(7), connected(9, 'k2')), 'recording')
})

test('the end of an old connection does not end the one that took over', () => {
  const facts = [created(), connected(1, 'old'), committed(1, [part({ stored: [[0, 3]] })]), connected(8, 'new'), disconnected(9, 'old')]
  assert.equal(statusAt(10, ...facts), 'recording')
})

test('a client whose gateway fell silent counts as gone after 150 s, and a sign of life keeps it', () => {
  const facts = [created(), connected(1), committed(1, [part({ stored: [[0, 3]] })])]
  assert.equal(statusAt(150, ...facts), 'recording')
  assert.equal(statusAt(152, ...facts), 'interrupted')
  assert.equal(statusAt(152, ...facts, connected(61)), 'recording')
})

test('commits alone count as recording where no gateway speaks, for as long as they come', () => {
  const facts = [created(), committed(1, [part({ stored: [[0, 3]] })])]
  assert.equal(statusAt(124, ...facts), 'recording')
  assert.equal(statusAt(125, ...facts), 'interrupted')
})

test('a session is complete once it is finished and every chunk up to the declared last is stored', () => {
  const { state, told } = live([created(), connected(1), committed(1, [part({ stored: [[0, 3]] })]), committed(2, [whole(5)]), finished(all), disconnected(61)])
  assert.equal(state.status, 'complete')
  assert.equal(state.version, 1)
  assert.equal(state.endedAt, at(60))
  assert.deepEqual(told, [{ type: 'session-completed', session, at: at(60), version: 1, status: 'complete' }])
})

test('it is not complete while a part is not closed, not stored, or not even seen', () => {
  const open = part({ stored: [[0, 4]] })
  assert.equal(statusAt(180, committed(1, [open]), finished(all)), 'interrupted', 'not closed')
  assert.equal(statusAt(61, connected(60), committed(1, [part({ stored: [[0, 4]], closed: { chunks: 6, clean: true } })]), finished(all)), 'recording', 'one chunk short')
  assert.equal(statusAt(180, committed(1, [whole(5)]), finished({ webcam: [partA, partB] })), 'interrupted', 'named by finish and never seen')
  assert.equal(statusAt(180, committed(1, [whole(5)]), finished({ webcam: [partA], screen: [partB] })), 'interrupted', 'a whole track never seen')
  assert.equal(statusAt(61, connected(60), committed(1, [whole(5)])), 'recording', 'not finished')
})

test('a part without chunks and a session without parts can be complete', () => {
  assert.equal(statusAt(61, committed(1, [part({ closed: { chunks: 0, clean: true } })]), finished(all)), 'complete')
  assert.equal(statusAt(61, created(), finished({})), 'complete')
})

test('when a backend ends the session of a person who has vanished, it ends with what is there', () => {
  assert.equal(statusAt(61, committed(1, [whole(5)]), finished(null)), 'complete')
  const cutShort = [committed(1, [whole(5), part({ part: partB, stored: [[0, 1], [4, 5]] })]), finished(null)]
  assert.equal(statusAt(61, ...cutShort), 'complete-with-gaps')
  const { gaps } = live([created(), ...cutShort]).state
  assert.deepEqual(gaps.filter(({ kind }) => kind === 'lost').map(({ from, to, state, cause }) => ({ from, to, state, cause })), [{ from: 2, to: 3, state: 'confirmed', cause: 'ended' }])
  assert.equal(statusAt(62, connected(1), ...cutShort), 'recording', 'whoever is still there is waited for')
})

test('a part that finish did not name must be whole like any other, so that two devices may finish one after the other', () => {
  const phone = committed(2, [part({ part: partB, stored: [[0, 2]] })], { track: 'room' })
  const first = [connected(1), committed(1, [whole(5)]), phone, finished(all, '100')]
  assert.equal(statusAt(61, ...first), 'recording')
  const second = [committed(3, [whole(3, { part: partB })], { track: 'room' }), finished({ room: [partB] }, '120')]
  assert.equal(statusAt(61, ...first, ...second), 'complete')
})

test('an unproven tail ends complete-with-gaps at best, even if nothing is known to be missing', () => {
  assert.equal(statusAt(61, committed(1, [part({ stored: [[0, 4]], closed: { chunks: 5, clean: false } })]), finished(all)), 'complete-with-gaps')
})

test('a declared length below what is stored proves nothing', () => {
  assert.equal(statusAt(61, committed(1, [part({ stored: [[0, 6]], closed: { chunks: 5, clean: true } })]), finished(all)), 'complete-with-gaps')
})

test('opening another part after the end reopens the session, and its end makes the next version', () => {
  const before = live([created(), connected(1), committed(1, [whole(5)]), finished(all)])
  const reopened = live([committed(2, [whole(5), part({ part: partB, startMs: 70_000, endMs: 71_000, stored: [[0, 0]] })])], before.state)
  assert.equal(reopened.state.status, 'recording')
  assert.equal(reopened.state.endedAt, null)
  const again = live([committed(3, [whole(5), whole(2, { part: partB, startMs: 10_000, endMs: 12_000 })]), finished({ webcam: [partA, partB] }, '200', 90)], reopened.state)
  assert.equal(again.state.status, 'complete')
  assert.equal(again.state.version, 2)
})

test('content that changes after completion makes the next version, a mere new checkpoint does not', () => {
  const lost = part({ stored: [[0, 2], [4, 4]], closed: { chunks: 5, clean: true }, lost: [{ from: 3, to: 3, cause: 'crash' }] })
  const before = live([committed(1, [lost]), finished(all)])
  assert.equal(before.state.status, 'complete-with-gaps')
  const checkpoint = live([committed(2, [lost])], before.state)
  assert.equal(checkpoint.state.version, 1)
  assert.deepEqual(checkpoint.told, [])
  const late = live([committed(3, [whole(5)])], checkpoint.state)
  assert.equal(late.state.status, 'complete')
  assert.equal(late.state.version, 2)
  assert.deepEqual(late.told.map(({ type }) => type), ['gap-closed', 'session-completed'])
})

test('a client that comes back to a completed session changes nothing', () => {
  const before = live([connected(1), committed(1, [whole(5)]), finished(all), disconnected(61)])
  const after = live([connected(70, 'k2')], before.state)
  assert.equal(after.state.status, 'complete')
  assert.deepEqual(after.told, [])
})

test('of two ends the one that stands later in the stream counts, whichever comes first', () => {
  const both = [finished({ webcam: [partA, partB] }, '10', 50), finished(all, '9', 55)]
  assert.equal(statusAt(180, committed(1, [whole(5)]), ...both), 'interrupted')
  assert.equal(statusAt(180, committed(1, [whole(5)]), ...both.toReversed()), 'interrupted')
})

test('deletion is final and forgets what was recorded', () => {
  const facts = [created({ exam: 'B2' }), connected(1), committed(1, [whole(5)]), finished(all)]
  const { state } = live([...facts, { type: 'session-deleted', session, at: at(70) }, committed(2, [whole(6)]), created({ exam: 'B2' })])
  assert.equal(state.status, 'deleted')
  assert.deepEqual([state.tracks, state.metadata, state.finish, state.gaps], [{}, {}, null, []])
})

test('a session of which nothing is left is deleted, even if that was not said', () => {
  const { state } = live([created(), committed(1, [whole(5)]), finished(all), { type: 'session-erased', session, at: at(70) }])
  assert.deepEqual([state.status, state.deletedAt, state.tracks], ['deleted', at(70), {}])
})

test('it stays known that a session was deleted until its blobs are erased and the time for it is over', () => {
  const retentionMs = 86_400_000
  const { state: deleted } = live([created(), { type: 'session-deleted', session, at: at(70) }])
  assert.equal(deletionExpiresAt(deleted, retentionMs), Infinity)
  const { state: erased } = live([created(), { type: 'session-deleted', session, at: at(70) }, { type: 'session-erased', session, at: at(90) }])
  const due = Date.parse(at(90)) + retentionMs
  assert.equal(deletionExpiresAt(erased, retentionMs), due)
  assert.equal(expireDeletion(erased, due - 1, retentionMs), erased)
  const expired = expireDeletion(erased, due, retentionMs)
  assert.deepEqual([expired.deletion?.expiredAt, deletionExpiresAt(expired, retentionMs), isForgotten(expired)], [new Date(due).toISOString(), Infinity, false])
  const { deletion: _deletion, ...legacy } = deleted
  assert.equal(deletionExpiresAt(legacy, retentionMs), Date.parse(at(70)) + retentionMs)
})

test('a deletion is forgotten only once it has expired, and not for an earlier one of the same id', () => {
  const { state: erased } = live([
    created(),
    { type: 'session-deleted', session, at: at(70) },
    { type: 'session-erased', session, at: at(90) },
  ])
  const expired = expireDeletion(erased, ms(86_500), 86_400_000)
  const isGone = (state: typeof erased, deletedAt?: string): boolean => {
    const about = deletedAt === undefined ? {} : { deletedAt }
    return isForgotten(evolve(state, { type: 'session-forgotten', session, at: at(86_600), ...about }, '900'))
  }
  assert.deepEqual([isGone(erased, at(70)), isGone(erased)], [false, false], 'blobs may be left')
  assert.deepEqual([isGone(expired, at(70)), isGone(expired)], [true, true])
  assert.equal(isGone(expired, at(7)), false, 'of an earlier deletion')
})

test('whoever is connected to a deleted session is sent away, and again when still there', () => {
  const { state, asked } = live([created(), connected(1), { type: 'session-deleted', session, at: at(70) }])
  assert.deepEqual(asked, [{ type: 'clients-dismissed', session, at: at(70) }])
  assert.deepEqual(judge(state, ms(75)).requests, [])
  assert.equal(live([connected(130)], state).asked.length, 1)
  assert.equal(live([disconnected(71)], state).asked.length, 0)
})

test('a part that moved to another file counts once, as the state that knows most of it says', () => {
  const unplaced = part({ part: partB, stored: [], startMs: null, endMs: null })
  const facts = [committed(1, [whole(5), unplaced]), committed(1, [whole(3, { part: partB })], { file: 1 }), finished({ webcam: [partA, partB] })]
  assert.equal(statusAt(61, ...facts), 'complete')
  assert.deepEqual(partsOf(fold(facts)).map(({ file, part: { part: id } }) => [file.file, id]), [[0, partA], [1, partB]])
})
