import assert from 'node:assert/strict'
import { decodeEvent, encodeEvent, encodeJson, encodeStatus, decodeStatus, isRecordFault, LOST_CAUSES, MAX_SEQ, type PartState, type RecordingEvent, type SeqRange } from '@longtake/contracts'
import { fuzz, mutatedJson } from '@longtake/testkit'
import fc from 'fast-check'
import { evolve, isCompleted, judge, toPublicSession, toRanges, type RecordingUrls } from '../src/index.ts'
import { at, committed, connected, created, decoded, disconnected, finished, ms, part, partA, partB, session } from './facts.ts'

const urls: RecordingUrls = { file: (...of) => of.join('/'), rendition: (...of) => of.join('/') }

/** All that happens after an event: folded, judged, shown, published and read again. */
function live(events: readonly RecordingEvent[], now: number, check: (before: number, judged: ReturnType<typeof judge>) => void): void {
  let state
  for (const [offset, event] of events.entries()) {
    const folded = evolve(state, event, String(offset))
    const judged = judge(folded, now)
    check(state?.version ?? 0, judged)
    const again = judge(judged.state, now)
    assert.deepEqual([again.events, again.requests], [[], []], 'judged again, it says nothing')
    for (const key of Object.keys(again.state) as (keyof typeof again.state)[]) assert.equal(again.state[key], judged.state[key], key)
    if (judged.state.status !== 'deleted') toPublicSession(judged.state, urls)
    state = judged.state
  }
}

const seq = fc.oneof({ weight: 5, arbitrary: fc.nat(12) }, { weight: 1, arbitrary: fc.constantFrom(MAX_SEQ, MAX_SEQ - 1, 2 ** 31) })
const range = fc.tuple(seq, seq).map(([a, b]): SeqRange => [Math.min(a, b), Math.max(a, b)])
const timed = fc.tuple(range, fc.option(fc.double({ min: 0, max: 8.64e11 })), fc.option(fc.double({ min: 0, max: 8.64e11 }))).map(([[from, to], startMs, endMs]) => ({ from, to, startMs, endMs }))
const instant = fc.oneof(fc.nat(1000).map(at), fc.constantFrom('0000-01-01T00:00:00Z', '0001-01-01T00:00:00+14:00', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59-23:59', '2026-03-01T10:00:00.123456789+05:30'))

/** Whatever block-writer may say, told by clients whose clocks and counts are anything. */
const anyPart = fc.record({
  part: fc.constantFrom(partA, partB),
  startedAt: fc.option(instant),
  startMs: fc.option(fc.double({ min: 0, max: 8.64e11, noNaN: true })),
  endMs: fc.option(fc.double({ min: 0, max: 8.64e11, noNaN: true })),
  stored: fc.array(range, { maxLength: 4 }).map(toRanges),
  undecodable: fc.array(timed, { maxLength: 3 }),
  missing: fc.array(timed, { maxLength: 3 }),
  closed: fc.option(fc.record({ chunks: fc.oneof(fc.nat(14), fc.constantFrom(0, 0xffff_ffff)), clean: fc.boolean() })),
  lost: fc.array(fc.tuple(range, fc.constantFrom(...LOST_CAUSES)).map(([[from, to], cause]) => ({ from, to, cause })), { maxLength: 3 }),
  rejected: fc.option(fc.constant({ code: 'REC_NOT_A_RECORDING', message: 'x' }), { freq: 8 }),
}).map((fields): PartState => part(fields))

const track = fc.constantFrom('webcam', 'screen', 'constructor', 'manifests')
const anyEvent: fc.Arbitrary<RecordingEvent> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.nat(9), fc.array(anyPart, { maxLength: 3 }), track, fc.nat(2), fc.option(instant)).map(([number, parts, track, file, startedAt]): RecordingEvent => committed(number, parts, { track, file, startedAt })) },
  { weight: 2, arbitrary: fc.tuple(fc.option(fc.dictionary(track, fc.array(fc.constantFrom(partA, partB), { maxLength: 3 }))), fc.nat(100)).map(([parts, offset]) => finished(parts, String(offset))) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(1000), fc.nat(40)).chain(([seconds, n]) => fc.constantFrom(connected(seconds, `k${n}`), disconnected(seconds, `k${n}`))) },
  { weight: 1, arbitrary: fc.tuple(instant, track).map(([when, track]): RecordingEvent => ({ type: 'client-reported', session, at: at(1), client: '10000000-0000-4000-8000-000000000001', report: { event: 'muted', track, detail: null }, reportedAt: when })) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(9), track, fc.nat(2), fc.array(fc.tuple(fc.double({ min: -1e12, max: 1e12, noNaN: true }), fc.double({ min: -1e12, max: 1e12, noNaN: true })), { maxLength: 4 })).map(([number, track, file, spans]) => decoded(number, spans, { track, file })) },
  { weight: 1, arbitrary: fc.constantFrom<RecordingEvent>(created(), { type: 'session-finalized', session, at: at(9), version: 3, manifest: 'm' }, { type: 'session-deleted', session, at: at(9) }, { type: 'session-erased', session, at: at(9) }) },
)

fuzz(
  'events in any order: no throw, versions never fall, every state can be published and read again',
  600,
  fc.record({ events: fc.array(anyEvent, { minLength: 1, maxLength: 15 }), now: fc.constantFrom(ms(0), ms(500), ms(1e6)) }),
  ({ events, now }) => {
    for (const event of events) assert.ok(!isRecordFault(decodeEvent(encodeEvent(event))))
    live(events, now, (version, { state, events: told, requests }) => {
      const completed = told.filter(({ type }) => type === 'session-completed')
      assert.equal(state.version, version + completed.length, 'each version is told of')
      assert.ok(state.version >= version && completed.length <= 1)
      assert.ok(requests.length <= 32)
      const published = decodeStatus(encodeStatus(state))
      assert.ok(!isRecordFault(published), JSON.stringify(published))
      for (const event of told) assert.ok(!isRecordFault(decodeEvent(encodeEvent(event))), JSON.stringify(event))
      if (isCompleted(state.status)) assert.ok(state.gaps.every((gap) => gap.state === 'confirmed'))
    })
  },
)

const samples: RecordingEvent[] = [created({ a: 1 }), connected(3), disconnected(9), finished({ webcam: [partA] }), finished(null), committed(2, [part({ stored: [[0, 3]], missing: [{ from: 4, to: 5, startMs: 1, endMs: null }], closed: { chunks: 8, clean: true }, lost: [{ from: 5, to: 5, cause: 'quota' }] })])]
const decodable = mutatedJson(samples).map((value) => {
  const kind = typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' ? value.type : ''
  return decodeEvent({ key: session, value: encodeJson(value), headers: { kind } })
})

fuzz('events that fit the contract and yet are odd: no throw, and judging is idempotent', 600, fc.array(decodable, { minLength: 1, maxLength: 12 }), (decoded) => {
  const events = decoded.filter((event): event is RecordingEvent => !isRecordFault(event))
  live(events, ms(500), () => undefined)
})
