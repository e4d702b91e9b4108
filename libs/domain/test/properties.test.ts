import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SessionState, shape, type PartState, type RecordingEvent, LOST_CAUSES } from '@longtake/contracts'
import fc from 'fast-check'
import { evolve, isCompleted, isEqual, judge, nextJudgementAt, statusOf, toRanges } from '../src/index.ts'
import { at, committed, created, decoded, fold, laptop, ms, part, partA, partB, session } from './facts.ts'

const State = shape('session state', SessionState)
const seconds = fc.integer({ min: 0, max: 600 })
const chunk = fc.integer({ min: 0, max: 7 })
const seqRange = fc.tuple(chunk, chunk).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)])
const timedRange = seqRange.map(([from, to]) => ({ from, to, startMs: null, endMs: null }))

const anyPart = fc.record({
  part: fc.constantFrom(partA, partB),
  stored: fc.array(seqRange, { maxLength: 3 }).map(toRanges),
  closed: fc.option(fc.record({ chunks: fc.integer({ min: 0, max: 8 }), clean: fc.boolean() })),
  lost: fc.array(fc.tuple(seqRange, fc.constantFrom(...LOST_CAUSES)).map(([[from, to], cause]) => ({ from, to, cause })), { maxLength: 3 }),
  undecodable: fc.option(timedRange, { freq: 3 }).map((range) => (range === null ? [] : [range])),
  missing: fc.array(timedRange, { maxLength: 2 }),
  rejected: fc.option(fc.constant({ code: 'REC_NOT_A_RECORDING', message: 'x' }), { freq: 6, nil: null }),
}).map((state): PartState => part(state))
const anyParts = fc.uniqueArray(anyPart, { maxLength: 2, selector: (state) => state.part })

/** Facts as services tell them: of one commit number there is one content, of one offset one end of the session. */
const anyFact: fc.Arbitrary<RecordingEvent> = fc.oneof(
  fc.tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom('webcam', 'constructor'), anyParts).map(([number, track, parts]) => committed(number, parts, { track })),
  fc.record({ type: fc.constant('client-connected' as const), session: fc.constant(session), at: seconds.map(at), client: fc.constant(laptop), gateway: fc.constant('g1'), connection: fc.constantFrom('k1', 'k2', 'k3') }),
  fc.record({ type: fc.constant('client-disconnected' as const), session: fc.constant(session), at: seconds.map(at), client: fc.constant(laptop), gateway: fc.constant('g1'), connection: fc.constantFrom('k1', 'k2', 'k3'), code: fc.constant(1001) }),
  fc.tuple(seconds, fc.constantFrom('muted', 'slept')).map(([s, event]): RecordingEvent => ({ type: 'client-reported', session, at: at(s), client: laptop, report: { event, track: null, detail: null }, reportedAt: at(s) })),
  fc.tuple(fc.integer({ min: 0, max: 50 }), fc.option(fc.constantFrom<Record<string, string[]>[]>({ webcam: [partA] }, { webcam: [partA, partB] }, { webcam: [partB], constructor: [partA] }, {}))).map(([offset, parts]): RecordingEvent => ({ type: 'session-finished', session, at: at(offset), parts, offset: String(offset) })),
  fc.integer({ min: 1, max: 4 }).map((version): RecordingEvent => ({ type: 'session-finalized', session, at: at(500), version, manifest: `m${version}` })),
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.constantFrom({}, { file: 1 })).map(([version, works, file]): RecordingEvent => ({
    session, at: at(500), version, track: 'webcam', kind: 'mp4', ...file,
    ...(works ? { type: 'rendition-ready', blob: `p${version}`, mimeType: 'image/jpeg', bytes: 3 } : { type: 'rendition-failed', reason: `no ${version}` }),
  })),
  fc.constantFrom({}, { file: 1 }).map((file): RecordingEvent => ({ type: 'rendition-requested', session, at: at(400), track: 'webcam', kind: 'mp4', ...file })),
  fc.record({ number: fc.integer({ min: 0, max: 30 }), track: fc.constantFrom('webcam', 'constructor'), spans: fc.array(fc.tuple(fc.nat(9000), fc.nat(3000)), { maxLength: 2 }) }).map(({ number, track, spans }) =>
    decoded(number, spans.map(([startMs, lengthMs]) => [startMs, startMs + lengthMs]), { track })),
)
/** One content to one identity, as it is in life. */
const identity = (event: RecordingEvent): string => {
  if (event.type === 'blocks-committed' || event.type === 'file-decoded') return `${event.type} ${event.track} ${event.commit.number}`
  return event.type === 'session-finished' ? `finish ${event.offset}` : JSON.stringify(event)
}
const facts = fc.uniqueArray(anyFact, { minLength: 1, maxLength: 25, selector: identity })

/** Everything but how far the log was read. */
const meaning = (events: readonly RecordingEvent[]): unknown => ({ ...judge(fold([created(), ...events]), ms(700)).state, eventsOffset: '' })

test('the same facts in any order, told again and again, give the same state', () => {
  fc.assert(
    fc.property(
      facts.chain((events) => fc.record({ events: fc.constant(events), mixed: fc.shuffledSubarray([...events, ...events, ...events], { minLength: 3 * events.length }) })),
      ({ events, mixed }) => assert.deepEqual(meaning(mixed), meaning(events)),
    ),
    { numRuns: 300 },
  )
})

test('every state that can arise fits the contract, and reading the log again changes nothing', () => {
  fc.assert(
    fc.property(facts, (events) => {
      const state = judge(fold(events), ms(700)).state
      assert.deepEqual(State.faults(JSON.parse(JSON.stringify(state))), [])
      for (const [i, event] of events.entries()) assert.equal(evolve(state, event, String(i)), state)
    }),
  )
})

test('to judge twice changes nothing, asks for nothing and tells nothing', () => {
  fc.assert(
    fc.property(facts, (events) => {
      const { state } = judge(fold(events), ms(700))
      const again = judge(state, ms(700))
      assert.deepEqual([again.events, again.requests], [[], []])
      for (const key of Object.keys(state) as (keyof typeof state)[]) assert.equal(again.state[key], state[key], key)
    }),
  )
})

test('folding what was told of a judgement changes nothing', () => {
  fc.assert(
    fc.property(facts, (events) => {
      const { state, events: told } = judge(fold(events), ms(700))
      const after = judge(fold(told, state), ms(700))
      assert.deepEqual(after.events, [])
      assert.deepEqual({ ...after.state, eventsOffset: '' }, { ...state, eventsOffset: '', createdAt: after.state.createdAt })
    }),
  )
})

test('nothing is complete while a chunk up to the declared last is missing; no gap is open in what is completed', () => {
  let completed = 0
  fc.assert(
    fc.property(anyParts, fc.constantFrom<(Record<string, string[]> | null)[]>(null, { webcam: [partA] }), fc.constantFrom(ms(61), ms(6000)), (parts, named, now) => {
      const { state } = judge(fold([committed(1, parts), { type: 'session-finished', session, at: at(60), parts: named, offset: '1' }]), now)
      if (!isCompleted(state.status)) return
      completed++
      assert.deepEqual(state.gaps.filter((gap) => gap.state === 'open'), [])
      for (const { part: id, stored, closed, rejected, lost, undecodable } of parts) {
        // Judged chunk by chunk, without any of the functions under test.
        const isStored = (seq: number): boolean => stored.some(([from, to]) => from <= seq && seq <= to)
        const isLost = (seq: number): boolean => lost.some(({ from, to, cause }) => cause !== 'already-acknowledged' && from <= seq && seq <= to)
        for (let seq = 0; seq < (closed?.chunks ?? 0); seq++) {
          if (state.status === 'complete') assert.ok(isStored(seq), `${id} lacks ${seq}`)
          // Whom the backend has given up needs to declare nothing, but every chunk known of is told.
          const isTold = named === null && state.gaps.some((gap) => gap.part === id && gap.kind === 'lost' && gap.from <= seq && seq <= gap.to)
          if (state.status !== 'complete') assert.ok(isStored(seq) || isLost(seq) || rejected !== null || isTold, `${id} lacks ${seq} without a word`)
        }
        assert.ok(closed !== null || rejected !== null || named === null, 'a length is declared')
        if (state.status === 'complete') assert.ok(closed?.clean === true && rejected === null && undecodable.length === 0)
      }
    }),
    { numRuns: 2000 },
  )
  assert.ok(completed > 100, `only ${completed} of the cases were completed: the property says little`)
})

test('every chunk that is known of and not stored stands in exactly one gap', () => {
  fc.assert(
    fc.property(anyPart, (state) => {
      const gaps = judge(fold([committed(1, [state])]), ms(61)).state.gaps
      if (state.rejected !== null) return
      const last = Math.max(-1, (state.closed?.chunks ?? 0) - 1, ...state.stored.map(([, to]) => to), ...state.lost.map(({ to }) => to))
      for (let seq = 0; seq <= last + 1; seq++) {
        const isStored = state.stored.some(([from, to]) => from <= seq && seq <= to)
        const told = gaps.filter(({ kind, from, to }) => kind === 'lost' && from <= seq && seq <= to)
        assert.equal(told.length, isStored || seq > last ? 0 : 1, `chunk ${seq}`)
      }
    }),
  )
})

test('events keep what consumers know of the gaps true to the state', () => {
  fc.assert(
    fc.property(fc.array(anyPart.map((state) => ({ ...state, part: partA, rejected: null })), { minLength: 1, maxLength: 6 }), (states) => {
      const open = new Set<number>()
      const confirmed = new Set<number>()
      let state
      for (const [i, next] of states.entries()) {
        const judged = judge(fold([committed(i, [next])], state), ms(i))
        for (const event of judged.events) {
          if (event.type !== 'gap-opened' && event.type !== 'gap-closed' && event.type !== 'gap-confirmed') continue
          for (let seq = event.from; seq <= event.to; seq++) {
            open.delete(seq)
            confirmed.delete(seq)
            if (event.type === 'gap-opened') open.add(seq)
            if (event.type === 'gap-confirmed') confirmed.add(seq)
          }
        }
        state = judged.state
        const chunksIn = (openness: string): number[] =>
          judged.state.gaps.filter((gap) => gap.state === openness).flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, n) => from + n)).sort((a, b) => a - b)
        assert.deepEqual([...open].sort((a, b) => a - b), chunksIn('open'))
        assert.deepEqual([...confirmed].sort((a, b) => a - b), chunksIn('confirmed'))
      }
    }),
  )
})

test('status follows from facts and time alone, not from what it was', () => {
  fc.assert(fc.property(facts, (events) => assert.equal(statusOf(judge(fold(events), ms(50)).state, ms(700)), statusOf(fold(events), ms(700)))))
})

test('equality of data does not depend on the order of keys', () => {
  assert.ok(isEqual({ a: [1, { b: null }], c: 2 }, { c: 2, a: [1, { b: null }] }))
  for (const other of [{ a: [1] }, { a: [1, 2], b: undefined }, { a: { 0: 1, 1: 2 } }, null]) assert.ok(!isEqual({ a: [1, 2] }, other))
})

test('until the next judgement is due, to judge changes nothing', () => {
  const day = 26 * 3600
  const moments = fc.tuple(fc.integer({ min: 0, max: 900 }), fc.oneof(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 2 * day }))).map(([first, pause]) => [ms(first), ms(first + pause)] as const)
  const graces = fc.option(fc.record({ interruptedAfterMs: fc.constantFrom(1000, 300_000), abandonedAfterMs: fc.constantFrom(300_000, 400_000) }), { nil: undefined })
  // Where it is undefined, block-writer is never behind.
  const written = fc.option(fc.oneof(seconds.map(ms), fc.constant(-Infinity)), { nil: undefined })
  let [quiet, due] = [0, 0]
  fc.assert(
    fc.property(facts, graces, moments, written, (events, set, [first, second], writtenTo) => {
      const { state } = judge(fold([created({}, set), ...events]), first, writtenTo)
      const again = judge(state, second, writtenTo)
      const changes = again.events.length + again.requests.length > 0 || (Object.keys(state) as (keyof typeof state)[]).some((key) => again.state[key] !== state[key])
      const isDue = nextJudgementAt(state, first) <= second
      if (isDue) due++
      else quiet++
      assert.ok(isDue || !changes, `changed before ${nextJudgementAt(state, first)}`)
      if (nextJudgementAt(again.state, second) <= second) assert.ok(again.requests.length > 0, 'judged now, it is due again at once only where there was too much to ask for')
    }),
    { numRuns: 3000 },
  )
  assert.ok(quiet > 300 && due > 300, `${quiet} of the cases were quiet, ${due} due: the property says little`)
})

test('whatever happened, time alone ends every session of which a part is known, with no gap open, and then changes nothing', () => {
  fc.assert(
    fc.property(facts, (events) => {
      const { state } = judge(fold([created(), ...events]), ms(3 * 86_400))
      const hasParts = Object.values(state.tracks).some(({ files }) => files.some(({ parts }) => parts.length > 0))
      if (!hasParts && state.finish === null) return assert.equal(state.status, 'waiting')
      assert.ok(isCompleted(state.status), state.status)
      assert.deepEqual(state.gaps.filter((gap) => gap.state === 'open'), [])
      assert.equal(nextJudgementAt(state, ms(3 * 86_400)), Infinity)
      assert.equal(judge(state, ms(30 * 86_400)).state.version, state.version)
    }),
  )
})
