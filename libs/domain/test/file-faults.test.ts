import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventOf, FileFault, RecordingEvent, SessionState } from '@longtake/contracts'
import { evolve, judge } from '../src/index.ts'
import { at, committed, created, finished, ms, partA, partB, session, whole } from './facts.ts'

const first = whole(5, { startMs: 0, endMs: 10_000 })
const second = whole(4, { part: partB, startedAt: at(10), startMs: 10_000, endMs: 14_000 })
const fault = (startMs: number | null, endMs: number | null, cause: FileFault['cause'] = 'wrong-index'): FileFault => ({ startMs, endMs, cause, detail: 'x' })
const verified = (number: number, faults: FileFault[]): EventOf<'file-verified'> => ({ type: 'file-verified', session, at: at(70), track: 'webcam', file: 0, commit: { number, id: `c${number}` }, faults })

function given(...events: RecordingEvent[]): SessionState {
  const facts = [created(), committed(1, [first, second], { durationMs: 14_000 }), finished({ webcam: [partA, partB] }), ...events]
  return facts.reduce<SessionState | undefined>((state, event, i) => judge(evolve(state, event, String(i)), ms(100 + i)).state, undefined)!
}
const gaps = ({ gaps }: SessionState): unknown[] => gaps.map(({ part, from, to, startMs, endMs, cause }) => [part, from, to, startMs, endMs, cause])

test('given a file in which something was found, then the parts with media there have a gap, and the next version says so', () => {
  assert.deepEqual([given().status, given().version], ['complete', 1])
  const state = given(verified(1, [fault(12_000, 20_000)]))
  assert.deepEqual(gaps(state), [[partB, 0, 3, 12_000, 14_000, 'wrong-index']])
  assert.deepEqual([state.status, state.version], ['complete-with-gaps', 2])
  assert.deepEqual(gaps(given(verified(1, [fault(null, null, 'file-missing')]))), [[partA, 0, 4, 0, 10_000, 'file-missing'], [partB, 0, 3, 10_000, 14_000, 'file-missing']])
  assert.deepEqual(gaps(given(verified(1, [fault(50_000, 60_000)]))).length, 2, 'a time where no part is, is of all of them')
})

test('given what was found before, then to hear it again changes nothing, an older commit neither', () => {
  const found = verified(2, [fault(0, 1_000)])
  const state = given(committed(2, [first, second], { durationMs: 14_000 }), found)
  assert.equal(state.version, 2)
  const again = evolve(state, found, '50')
  assert.equal(again.tracks, state.tracks)
  assert.equal(evolve(state, verified(1, []), '51').tracks, state.tracks)
  const judged = judge(again, ms(500))
  assert.deepEqual([judged.state.version, judged.events], [2, []])
})

test('given a later commit, then what was found stays until that one is looked at', () => {
  const later = [verified(1, [fault(0, 1_000)]), committed(2, [first, second], { durationMs: 14_000 })] as const
  const state = given(...later)
  assert.deepEqual([gaps(state).length, state.version], [1, 2])
  const sound = given(...later, verified(2, []))
  assert.deepEqual([gaps(sound), sound.status, sound.version], [[], 'complete', 3])
})

test('given chunks that cannot be played anyway, then they keep their own cause', () => {
  const broken = whole(5, { undecodable: [{ from: 1, to: 2, startMs: 2_000, endMs: 6_000, cause: 'no-keyframe' }] })
  const state = given(committed(2, [broken]), verified(2, [fault(null, null)]))
  assert.deepEqual(gaps(state), [[partA, 0, 0, 0, 10_000, 'wrong-index'], [partA, 1, 2, 2_000, 6_000, 'no-keyframe'], [partA, 3, 4, 0, 10_000, 'wrong-index']])
})

test('given a finalized version, then the commits that were found to be sound are remembered, and nothing else changes', () => {
  const finalized = (number: number, version = 1): EventOf<'session-finalized'> =>
    ({ type: 'session-finalized', session, at: at(80), version, manifest: `${session}/manifests/${version}.json`, sound: [{ track: 'webcam', file: 0, commit: { number, id: `c${number}` } }] })
  const state = given(finalized(1))
  assert.deepEqual(state.tracks['webcam']!.files[0]!.verification, { commit: { number: 1, id: 'c1' }, faults: [] })
  assert.deepEqual([state.status, state.version, state.finalizedVersion, state.gaps], ['complete', 1, 1, []])
  assert.equal(evolve(state, finalized(1), '50').tracks, state.tracks)
  assert.equal(evolve(state, finalized(0), '50').tracks, state.tracks, 'an older commit changes nothing')
  const unknown = { ...finalized(1), sound: [{ track: 'constructor', file: 0, commit: { number: 1, id: 'c1' } }, { track: 'webcam', file: 7, commit: { number: 1, id: 'c1' } }] }
  assert.equal(evolve(state, unknown, '50').tracks, state.tracks)
})

test('given a fault, then only what was found in a later commit takes it back, not that a version was finalized', () => {
  const sound = [{ track: 'webcam', file: 0, commit: { number: 1, id: 'c1' } }]
  const state = given(verified(1, [fault(0, 1_000)]), { type: 'session-finalized', session, at: at(80), version: 2, manifest: `${session}/manifests/2.json`, sound })
  assert.deepEqual(state.tracks['webcam']!.files[0]!.verification?.faults, [fault(0, 1_000)])
  assert.equal(state.status, 'complete-with-gaps')
})
