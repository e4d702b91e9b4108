import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LOST_CAUSES, type EventOf, type PartState, type RecordingEvent, type SessionState } from '@longtake/contracts'
import fc from 'fast-check'
import { CommitChanges, evolve, judge, nextJudgementAt, type Judgement } from '../src/index.ts'
import { at, committed, created, decoded, laptop, ms, session, whole } from './facts.ts'

/*
 * Results are cached as long as a part is the same object. A state that was read from Kafka has no cached results: both
 * must lead to the same results.
 */

const idOf = (i: number): string => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`

/** One change of a file's parts. */
type Step =
  | { readonly kind: 'add'; readonly pauseMs: number }
  | { readonly kind: 'change'; readonly at: number; readonly fields: Partial<PartState> }
  | { readonly kind: 'insert'; readonly at: number }
  | { readonly kind: 'next-file' }
  | { readonly kind: 'event'; readonly event: RecordingEvent }

const chunk = fc.integer({ min: 0, max: 9 })
const range = fc.tuple(chunk, chunk).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)])
const unrecorded = fc
  .tuple(range, fc.constantFrom('clock' as const, 'sound' as const))
  .map(([[from, to], evidence]) => {
    return {
      from,
      to,
      startMs: 1000 * from,
      endMs: 1000 * to + 1000,
      missingMs: 6000,
      evidence,
      startedAt: at(from),
      endedAt: at(to + 7),
    }
  })
const change: fc.Arbitrary<Partial<PartState>> = fc.oneof(
  range.map(([, to]) => ({ stored: [[0, to]] as [number, number][], chunks: to + 1 })),
  range.map(([from, to]) => ({
    stored:
      from > 0 && to < 9
        ? ([
            [0, from - 1],
            [to + 1, 9],
          ] as [number, number][])
        : [[0, 9] as [number, number]],
  })),
  fc.tuple(range, fc.constantFrom(...LOST_CAUSES)).map(([[from, to], cause]) => ({ lost: [{ from, to, cause }] })),
  range.map(([from, to]) => ({ undecodable: [{ from, to, startMs: null, endMs: null }] })),
  unrecorded.map((one) => ({ unrecorded: [one] })),
  fc.constantFrom(
    { closed: null },
    { closed: { chunks: 10, clean: false } },
    { startMs: null, endMs: null },
    { rejected: { code: 'REC_NOT_A_RECORDING', message: 'x' } },
  ),
)
const place = fc.nat(200)
const event: fc.Arbitrary<RecordingEvent> = fc.oneof(
  fc
    .constantFrom('k1', 'k2')
    .chain((connection) =>
      fc.constantFrom<RecordingEvent>(
        { type: 'client-connected', session, at: at(5), client: laptop, gateway: 'g1', connection },
        { type: 'client-disconnected', session, at: at(6), client: laptop, gateway: 'g1', connection, code: 1001 },
      ),
    ),
  fc
    .tuple(fc.nat(900), fc.constantFrom('slept', 'paused', 'resumed'))
    .map(([s, name]): RecordingEvent => ({
      type: 'client-reported',
      session,
      at: at(s),
      client: laptop,
      report: { event: name, track: null, detail: null },
      reportedAt: at(s),
    })),
  fc
    .tuple(place, range)
    .map(([i, [from, to]]): RecordingEvent => ({
      type: 'chunks-parked',
      session,
      at: at(7),
      track: 'webcam',
      part: idOf(i),
      from,
      to,
    })),
  fc
    .array(place, { maxLength: 5 })
    .map((named): RecordingEvent => ({
      type: 'session-finished',
      session,
      at: at(800),
      parts: { webcam: named.map(idOf) },
      offset: '1',
    })),
  fc
    .tuple(fc.nat(9000), fc.nat(3000))
    .map(([startMs, lengthMs]) => decoded(1, [[startMs, startMs + lengthMs]], { track: 'webcam' })),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 400, 5000).map((pauseMs): Step => ({ kind: 'add', pauseMs })) },
  { weight: 8, arbitrary: fc.tuple(place, change).map(([i, fields]): Step => ({ kind: 'change', at: i, fields })) },
  { weight: 1, arbitrary: place.map((i): Step => ({ kind: 'insert', at: i })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'next-file' }) },
  { weight: 4, arbitrary: event.map((one): Step => ({ kind: 'event', event: one })) },
)

interface History {
  readonly events: readonly RecordingEvent[]
  readonly counts: { readonly changed: number; readonly parts: number }
}

const OPEN = { closed: null }

/** The events that block-writer and others publish of such steps, beginning with a file of so many parts. */
function historyOf(begun: number, steps: readonly Step[]): History {
  let endMs = 0
  let made = 0
  const next = (pauseMs: number): PartState => {
    const startMs = endMs + pauseMs
    endMs = startMs + 10_000
    return whole(10, { part: idOf(made++), startMs, endMs, startedAt: at(startMs / 1000), client: laptop })
  }
  let parts = Array.from({ length: begun }, (_, i) => ({ ...next(0), ...(i === begun - 1 ? OPEN : {}) }))
  let [file, number] = [0, 0]
  let changes = new CommitChanges()
  const events: RecordingEvent[] = [created()]
  let changed = 0
  const commit = (): void => {
    number++
    const event: EventOf<'blocks-committed'> = committed(number, [...parts], {
      file,
      blob: `${session}/webcam/${file}`,
    })
    const published = { ...changes.eventOf(event), at: event.at }
    changes.published(event, published)
    if (published.type === 'parts-committed') changed++
    events.push(structuredClone(published))
  }
  commit()
  for (const one of steps) {
    if (one.kind === 'event') events.push(one.event)
    else if (one.kind === 'next-file') {
      // The last part goes on in the next file.
      const last = parts.at(-1)
      file++
      number = 0
      changes = new CommitChanges()
      parts =
        last === undefined
          ? []
          : [{ ...last, stored: [[0, 11]], chunks: 12, startMs: 0, endMs: 12_000, closed: { chunks: 12, clean: true } }]
      commit()
    } else {
      const i = parts.length === 0 ? 0 : one.kind === 'add' ? parts.length : one.at % parts.length
      if (one.kind === 'change' && parts.length > 0) parts = parts.with(i, { ...parts[i]!, ...one.fields })
      else parts = parts.toSpliced(i, 0, { ...next(one.kind === 'add' ? one.pauseMs : 0), ...OPEN })
      commit()
    }
  }
  return { events, counts: { changed, parts: made } }
}

/** Each event folded in and judged as of its place in the log, from the state that `before` makes of the last. */
function run(
  events: readonly RecordingEvent[],
  before: (state: SessionState | undefined) => SessionState | undefined,
): { judged: Judgement; due: number }[] {
  let state: SessionState | undefined
  return events.map((one, i) => {
    const judged = judge(evolve(before(state), one, String(i)), ms(900 + 20 * i))
    state = judged.state
    return { judged, due: nextJudgementAt(state, ms(900 + 20 * i)) }
  })
}

test('what is kept of a long session changes nothing that follows from it', () => {
  let [changed, large] = [0, 0]
  fc.assert(
    fc.property(
      fc.constantFrom(0, 3, 31, 32, 70, 130),
      fc.array(step, { minLength: 1, maxLength: 25 }),
      (begun, steps) => {
        const { events, counts } = historyOf(begun, steps)
        changed += counts.changed
        if (counts.parts > 64) large++
        assert.deepEqual(
          run(events, (state) => state),
          run(events, (state) => structuredClone(state)),
        )
      },
    ),
    { numRuns: 150 },
  )
  assert.ok(
    changed > 100 && large > 20,
    `${changed} commits published their changes alone, ${large} histories had many parts: too few for the property`,
  )
})

test('a state that was judged before gives the same when others have been made of it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(31, 70),
      fc.array(step, { minLength: 2, maxLength: 8 }),
      fc.array(step, { minLength: 2, maxLength: 8 }),
      (begun, steps, others) => {
        const one = historyOf(begun, steps).events
        const other = historyOf(begun, others).events
        const first = judge(evolve(evolve(undefined, one[0]!, '0'), one[1]!, '1'), ms(900)).state
        const after = (events: readonly RecordingEvent[], from: SessionState): unknown =>
          events
            .slice(2)
            .reduce((state, event, i) => judge(evolve(state, event, String(2 + i)), ms(901 + i)).state, from)
        const alone = after(one, structuredClone(first))
        after(other, first)
        assert.deepEqual(after(one, first), alone)
        assert.deepEqual(after(other, first), after(other, structuredClone(first)))
      },
    ),
    { numRuns: 60 },
  )
})
