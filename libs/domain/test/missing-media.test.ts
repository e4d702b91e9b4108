import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GapState, PartState, RecordingEvent, SessionState } from '@longtake/contracts'
import { evolve, judge, toPublicSession } from '../src/index.ts'
import { at, committed, created, finished, laptop, ms, partA, partB, session, whole } from './facts.ts'

type Unrecorded = NonNullable<PartState['unrecorded']>[number]
/** Forty seconds that passed between chunks 12 and 13, of which the media holds one. */
const late: Unrecorded = { evidence: 'clock', from: 13, to: 13, startMs: 13_000, endMs: 14_000, missingMs: 39_000, startedAt: at(13), endedAt: at(53) }
const silent: Unrecorded = { evidence: 'sound', from: 8, to: 8, startMs: 5_000, endMs: 8_000, missingMs: 3_000, startedAt: at(5), endedAt: at(8) }
const report = (seconds: number, event: string, { track = 'webcam', client = laptop }: { track?: string | null; client?: string } = {}): RecordingEvent =>
  ({ type: 'client-reported', session, at: at(seconds), client, report: { event, track, detail: null }, reportedAt: at(seconds) })

function given(unrecorded: Unrecorded[], ...events: RecordingEvent[]): SessionState {
  const facts = [created(), ...events, committed(1, [whole(20, { unrecorded })]), finished({ webcam: [partA] })]
  return facts.reduce<SessionState | undefined>((state, event, i) => judge(evolve(state, event, String(i)), ms(100 + i)).state, undefined)!
}
const brief = ({ gaps }: SessionState): unknown[] => gaps.map(({ kind, from, to, startMs, endMs, cause, unrecorded }) => [kind, from, to, startMs, endMs, cause, unrecorded?.missingMs])

test('given less media than time passed, then it is a gap with media times, the clock and a cause of its own, and the session is complete', () => {
  const state = given([late, silent])
  assert.deepEqual(brief(state), [['not-recorded', 13, 13, 13_000, 14_000, 'media-missing', 39_000], ['not-recorded', 8, 8, 5_000, 8_000, 'sound-missing', 3_000]])
  assert.deepEqual([state.gaps[0]!.state, state.gaps[0]!.unrecorded, state.status], ['confirmed', { evidence: 'clock', missingMs: 39_000, startedAt: at(13), endedAt: at(53) }, 'complete'])
  const shown = toPublicSession(state, { file: () => '', rendition: () => '' }).tracks.webcam!.parts[0]!.gaps[0]!
  assert.deepEqual([shown.unrecorded, shown.cause], [state.gaps[0]!.unrecorded, 'media-missing'])
})

test('given a report of that time, then it is the cause, if it is of this recorder and track', () => {
  const causeOf = (...events: RecordingEvent[]): GapState['cause'] => given([late], ...events).gaps[0]!.cause
  assert.equal(causeOf(report(14, 'stalled')), 'stalled')
  assert.equal(causeOf(report(52, 'frozen', { track: null })), 'frozen')
  assert.equal(causeOf(report(14, 'hidden'), report(15, 'muted')), 'muted')
  assert.equal(causeOf(report(14, 'muted', { track: 'screen' })), 'media-missing')
  assert.equal(causeOf(report(14, 'muted', { client: '10000000-0000-4000-8000-000000000002' })), 'media-missing')
  assert.equal(causeOf(report(70, 'muted')), 'media-missing')
})

test('given a pause that is reported, then what was not recorded in it is no gap, and what else is missing is one', () => {
  assert.deepEqual(given([late], report(13, 'paused'), report(52, 'resumed')).gaps, [])
  assert.deepEqual(given([late], report(13, 'paused')).gaps, [], 'its end is not reported')
  assert.deepEqual(brief(given([late], report(13, 'paused'), report(23, 'resumed'))), [['not-recorded', 13, 13, 13_000, 14_000, 'media-missing', 29_000]])
  assert.equal(given([late], report(2, 'paused'), report(8, 'resumed')).gaps.length, 1, 'another pause')
  assert.equal(given([late], report(2, 'paused')).gaps.length, 1, 'a pause that was over, as media came')
  assert.equal(given([late], report(13, 'paused', { track: 'screen' }), report(52, 'resumed', { track: 'screen' })).gaps.length, 1)
  const many = Array.from({ length: 60 }, (_, i) => [report(60 + i, 'paused'), report(60.5 + i, 'resumed'), report(60.7 + i, 'hidden')]).flat()
  assert.deepEqual(given([late], report(13, 'paused'), report(52, 'resumed'), ...many).gaps, [], 'however often it is paused later')
})

test('given a gap that is known, then it stays as it is: judged again, when its report is forgotten, and when it grows', () => {
  const state = given([late, silent], report(14, 'stalled'))
  const again = judge({ ...state, reports: [] }, ms(900))
  assert.deepEqual([again.state.gaps, again.state.version, again.events], [state.gaps, 1, []])
  const grown = judge(evolve(state, committed(2, [whole(20, { unrecorded: [{ ...late, to: 14, missingMs: 45_000 }, silent] })]), '50'), ms(901)).state
  assert.deepEqual(brief(grown)[0], ['not-recorded', 13, 14, 13_000, 14_000, 'stalled', 45_000])
  assert.deepEqual([grown.gaps[0]!.since, grown.version], [state.gaps[0]!.since, 2])
})

test('given another part behind it, then the same time is not reported twice, and media after it stands at its time by the clock', () => {
  const first = whole(20, { startMs: 0, endMs: 20_000, unrecorded: [late] })
  const next = (seconds: number): PartState => whole(5, { part: partB, startedAt: at(seconds), startMs: seconds * 1_000, endMs: seconds * 1_000 + 5_000 })
  const state = (seconds: number): SessionState => {
    const facts = [created(), committed(1, [first, next(seconds)], { durationMs: 80_000 }), finished({ webcam: [partA, partB] })]
    return facts.reduce<SessionState | undefined>((known, event, i) => judge(evolve(known, event, String(i)), ms(100 + i)).state, undefined)!
  }
  const timeline = (seconds: number): unknown[] => toPublicSession(state(seconds), { file: () => '', rendition: () => '' }).tracks.webcam!.timeline.map(({ mediaMs, offsetMs }) => [mediaMs, offsetMs])
  assert.deepEqual(brief(state(59.5)).map((gap) => (gap as unknown[])[5]), ['media-missing'])
  assert.deepEqual(brief(state(65)).slice(0, 1), [['not-recorded', 0, 0, 59_000, 65_000, 'between-parts', undefined]])
  assert.deepEqual(timeline(65), [[0, 0], [14_000, 53_000], [65_000, 65_000]])
  assert.deepEqual(timeline(40), [[0, 0], [40_000, 40_000]], 'a clock that contradicts the next part')
})

test('given time that was not recorded at the end of a file, then the track\'s media time still rises from that file to the next', () => {
  const first = whole(20, { startMs: 0, endMs: 14_000, unrecorded: [late] })
  const second = whole(5, { part: partB, startedAt: at(5), startMs: 0, endMs: 5_000 })
  const facts = [created(), committed(1, [first], { durationMs: 14_000 }), committed(1, [second], { file: 1, durationMs: 5_000, startedAt: at(5) })]
  const state = facts.reduce<SessionState | undefined>((known, event, i) => judge(evolve(known, event, String(i)), ms(100 + i)).state, undefined)!
  const { timeline } = toPublicSession(state, { file: () => '', rendition: () => '' }).tracks.webcam!
  assert.deepEqual(timeline, [{ mediaMs: 0, offsetMs: 0 }, { mediaMs: 14_000, offsetMs: 5_000 }])
})
