import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GapState, PartState, RecordingEvent } from '@longtake/contracts'
import { specification } from '@longtake/testkit'
import { evolve, initialState, judge } from '../src/index.ts'
import { at, committed, connected, created, disconnected, finished, fold, live, ms, parked, part, partA, partB, session, whole } from './facts.ts'

const gapsOf = (...events: RecordingEvent[]): GapState[] => judge(fold(events), ms(60)).state.gaps
const brief = ({ from, to, kind, state, cause }: GapState): unknown[] => [from, to, kind, state, cause]
const gapsOfPart = (state: Partial<PartState>): unknown[] => gapsOf(committed(1, [part(state)])).map(brief)

const given = specification({
  initial: () => initialState(session, at(0), '0'),
  decide: ({ now }: { now: number }, state) => judge(state, now).events,
  evolve: (state, event: RecordingEvent) => evolve(state, event, String(Number(state.eventsOffset) + 1)),
})
const range = (from: number, to = from) => ({ session, at: at(60), track: 'webcam', part: partA, from, to })

test('a hole between stored chunks is an open gap with the media time its neighbours tell', () => {
  const hole = part({ stored: [[0, 1], [4, 6]], missing: [{ from: 2, to: 3, startMs: 2000, endMs: 4000 }] })
  given([created(), committed(1, [hole])]).when({ now: ms(60) }).then({ type: 'gap-opened', ...range(2, 3) })
  assert.deepEqual(gapsOf(committed(1, [hole])), [{ track: 'webcam', part: partA, from: 2, to: 3, startMs: 2000, endMs: 4000, kind: 'lost', state: 'open', cause: null, since: at(60) }])
})

test('a declared length that is not reached is a gap, whether or not the writer listed it', () => {
  assert.deepEqual(gapsOfPart({ stored: [[0, 2]], closed: { chunks: 5, clean: true }, missing: [] }), [[3, 4, 'lost', 'open', null]])
})

test('a gap behind all that is stored begins where that ends, whether or not a length was declared', () => {
  const timesOf = (state: Partial<PartState>): unknown[] => gapsOf(committed(1, [part(state)])).map(({ from, startMs, endMs }) => [from, startMs, endMs])
  assert.deepEqual(timesOf({ stored: [[0, 2]], closed: { chunks: 5, clean: true } }), [[3, 10_000, null]])
  assert.deepEqual(timesOf({ stored: [[0, 2]], lost: [{ from: 5, to: 6, cause: 'crash' }] }), [[3, 10_000, null], [5, 10_000, null]])
  assert.deepEqual(timesOf({ stored: [[0, 2], [4, 5]] }), [[3, null, null]])
})

test('lost confirms what is not stored, and nothing that is', () => {
  const lost = [{ from: 1, to: 4, cause: 'quota' as const }]
  assert.deepEqual(gapsOfPart({ stored: [[0, 2], [6, 6]], lost }), [
    [3, 4, 'lost', 'confirmed', 'quota'],
    [5, 5, 'lost', 'open', null],
  ])
  given([created(), committed(1, [part({ stored: [[0, 2]], lost })])]).when({ now: ms(60) }).then({ type: 'gap-confirmed', ...range(3, 4), cause: 'quota' })
})

test('parked chunks are told as such, whatever is declared of them, and nobody is asked for them; written after a replay they are no gap', () => {
  const hole = { stored: [[0, 1], [4, 4]] as PartState['stored'], closed: { chunks: 5, clean: true } }
  const lost: PartState['lost'] = [{ from: 2, to: 3, cause: 'already-acknowledged' }, { from: 3, to: 3, cause: 'crash' }]
  const facts = [connected(1), parked(3), parked(2), parked(3), committed(1, [part({ ...hole, lost })]), finished({ webcam: [partA] })]
  const { state, told, asked } = live(facts)
  assert.deepEqual(state.gaps.map(brief), [[2, 3, 'lost', 'open', 'unwritable']])
  const ranges = told.map((event) => (event.type === 'gap-opened' ? [event.from, event.to] : event.type))
  assert.deepEqual([state.status, ranges, asked], ['recording', [[3, 3], [2, 2]], []], 'each as it is parked, although no file has the part yet')
  const written = live([committed(2, [whole(5, { lost })])], state).state
  assert.deepEqual([written.gaps, written.status], [[], 'complete'])
})

test('parked chunks behind all that is stored are a gap, too, although no length was declared', () => {
  assert.deepEqual(gapsOf(committed(1, [part({ stored: [[0, 1]] })]), parked(2), parked(3)).map(brief), [[2, 3, 'lost', 'open', 'unwritable']])
})

test('already-acknowledged never confirms', () => {
  const hole = part({ stored: [[0, 1], [3, 4]], closed: { chunks: 5, clean: true }, lost: [{ from: 2, to: 2, cause: 'already-acknowledged' }] })
  assert.deepEqual(gapsOf(committed(1, [hole])).map(brief), [[2, 2, 'lost', 'open', 'already-acknowledged']])
  assert.equal(judge(fold([committed(1, [hole]), finished(null)]), ms(300)).state.status, 'interrupted')
  assert.equal(judge(fold([connected(299), committed(1, [hole]), finished(null)]), ms(300)).state.gaps[0]!.state, 'open')
})

test('a declaration of loss beyond all that is stored is a gap, too', () => {
  assert.deepEqual(gapsOfPart({ stored: [[0, 1]], lost: [{ from: 5, to: 6, cause: 'crash' }] }), [
    [2, 4, 'lost', 'open', null],
    [5, 6, 'lost', 'confirmed', 'crash'],
  ])
})

test('what cannot be decoded is open as long as the hole beside it is, and confirmed with it', () => {
  const hole = { stored: [[0, 1], [4, 9]] as [number, number][], undecodable: [{ from: 1, to: 1, startMs: null, endMs: null }, { from: 4, to: 5, startMs: null, endMs: null }] }
  assert.deepEqual(gapsOfPart(hole), [
    [1, 1, 'undecodable', 'open', null],
    [2, 3, 'lost', 'open', null],
    [4, 5, 'undecodable', 'open', null],
  ])
  assert.deepEqual(gapsOfPart({ ...hole, lost: [{ from: 2, to: 3, cause: 'crash' }] }), [
    [1, 1, 'undecodable', 'confirmed', 'crash'],
    [2, 3, 'lost', 'confirmed', 'crash'],
    [4, 5, 'undecodable', 'confirmed', 'crash'],
  ])
})

test('broken content without a hole beside it is confirmed, and keeps the session from being complete', () => {
  const broken = whole(5, { undecodable: [{ from: 2, to: 2, startMs: null, endMs: null }] })
  assert.deepEqual(gapsOf(committed(1, [broken])).map(brief), [[2, 2, 'undecodable', 'confirmed', 'broken-content']])
  assert.equal(judge(fold([committed(1, [broken]), finished(null)]), ms(60)).state.status, 'complete-with-gaps')
})

test('what was stored of a part that only begins is not called broken until nothing more is to come', () => {
  const begun = part({ stored: [[0, 0]], startedAt: null, startMs: null, endMs: null, undecodable: [{ from: 0, to: 0, startMs: null, endMs: null }] })
  const { state, told } = live([connected(1), committed(1, [begun])])
  assert.deepEqual([state.gaps.map(brief), told.map(({ type }) => type)], [[[0, 0, 'undecodable', 'open', null]], ['gap-opened']])
  assert.deepEqual(live([committed(2, [part({ stored: [[0, 1]] })])], state).told.map(({ type }) => type), ['gap-closed'])
  for (const later of [live([finished(null), disconnected(61)], state).state, judge(state, ms(48 * 3600)).state]) assert.deepEqual(later.gaps.map(brief), [[0, 0, 'undecodable', 'confirmed', 'broken-content']])
})

test('a rejected part is one confirmed gap and holds nothing up', () => {
  const rejected = part({ stored: [], rejected: { code: 'REC_NOT_A_RECORDING', message: 'a PDF' }, closed: { chunks: 3, clean: true }, startMs: null, endMs: null })
  assert.deepEqual(gapsOf(committed(1, [rejected])).map(brief), [[0, 2, 'undecodable', 'confirmed', 'REC_NOT_A_RECORDING']])
  assert.equal(judge(fold([committed(1, [rejected]), finished(null)]), ms(60)).state.status, 'complete-with-gaps')
})

test('gaps are told once: opened, shrunk, confirmed, and closed by data that came all the same', () => {
  const hole = (stored: [number, number][], lost: PartState['lost'] = []): PartState => part({ stored, lost })
  const { told, state } = live([
    committed(1, [hole([[0, 1], [5, 6]])]),
    committed(2, [hole([[0, 2], [5, 6]])]),
    committed(3, [hole([[0, 2], [5, 6]], [{ from: 3, to: 4, cause: 'crash' }])]),
    committed(4, [hole([[0, 6]], [{ from: 3, to: 4, cause: 'crash' }])]),
  ])
  assert.deepEqual(
    told.map((event) => ('from' in event ? [event.type, event.from, event.to] : event)),
    [['gap-opened', 2, 4], ['gap-closed', 2, 2], ['gap-confirmed', 3, 4], ['gap-closed', 3, 4]],
  )
  assert.deepEqual(state.gaps, [])
})

test('a gap that shrinks has existed since it was first seen', () => {
  const { state } = live([committed(1, [part({ stored: [[0, 1], [5, 6]] })]), committed(9, [part({ stored: [[0, 2], [5, 6]] })])])
  assert.deepEqual(state.gaps.map(({ since }) => since), [at(5)])
})

test('time between two parts is told with its cause, and does not keep the session from being complete', () => {
  const parts = [whole(5, { endMs: 10_000 }), whole(5, { part: partB, startMs: 25_000, endMs: 30_000 })]
  const slept: RecordingEvent = { type: 'client-reported', session, at: at(24), client: parts[0]!.client!, report: { event: 'slept', track: null, detail: null }, reportedAt: at(23) }
  const { state, told } = live([slept, committed(1, parts), finished(null)])
  assert.deepEqual(state.gaps, [{ track: 'webcam', part: partB, from: 0, to: 0, startMs: 10_000, endMs: 25_000, kind: 'not-recorded', state: 'confirmed', cause: 'slept', since: at(5) }])
  assert.equal(state.status, 'complete')
  assert.deepEqual(told.map(({ type }) => type), ['session-completed'])
})

test('a page that said that it was closed has not crashed', () => {
  const parts = [whole(5, { endMs: 10_000, closed: { chunks: 5, clean: false } }), whole(5, { part: partB, startMs: 25_000, endMs: 30_000 })]
  const closed: RecordingEvent = { type: 'client-reported', session, at: at(40), client: parts[0]!.client!, report: { event: 'page-closed', track: null, detail: null }, reportedAt: at(11) }
  assert.deepEqual([[closed], []].map((reports) => live([...reports, committed(1, parts), finished(null)]).state.gaps.map(({ cause }) => cause)), [['page-closed'], ['crash']])
})

test('a report that is sent again counts once, although another connection corrects its time otherwise', () => {
  const id = '00000000-0000-4000-8000-000000000001'
  const paused = (seconds: number, client: string, more: object = {}): RecordingEvent => ({ type: 'client-reported', session, at: at(40), client, report: { event: 'paused', track: null, detail: null, ...more }, reportedAt: at(seconds) })
  const { client } = whole(5)
  assert.equal(live([paused(10, client!, { id }), paused(10.2, client!, { id })]).state.reports.length, 1)
  assert.equal(live([paused(10, client!), paused(10, client!)]).state.reports.length, 1, 'without an id, where it is the same')
  assert.equal(live([paused(10, client!), paused(12, client!)]).state.reports.length, 2)
})

test('its cause stays when the report has been forgotten, so that no version comes of forgetting', () => {
  const parts = [whole(5, { endMs: 10_000 }), whole(5, { part: partB, startMs: 25_000, endMs: 30_000 })]
  const report = (seconds: number, event: string): RecordingEvent => ({ type: 'client-reported', session, at: at(seconds), client: parts[0]!.client!, report: { event, track: null, detail: String(seconds) }, reportedAt: at(seconds) })
  const before = live([report(23, 'slept'), committed(1, parts), finished(null)])
  const after = live(Array.from({ length: 60 }, (_, i) => report(100 + i, 'muted')), before.state)
  assert.equal(after.state.reports.length, 50)
  assert.equal(after.state.gaps[0]!.cause, 'slept')
  assert.equal(after.state.version, 1)
})

test('however often a page is hidden and shown, what explains a gap is remembered until the gap is known', () => {
  const parts = [whole(5, { endMs: 10_000 }), whole(5, { part: partB, startMs: 125_000, endMs: 130_000 })]
  const report = (seconds: number, event: string): RecordingEvent => ({ type: 'client-reported', session, at: at(seconds), client: parts[0]!.client!, report: { event, track: null, detail: null }, reportedAt: at(seconds) })
  const { state } = live([report(23, 'device-lost'), ...Array.from({ length: 80 }, (_, i) => report(30 + i, 'hidden')), committed(1, parts), finished(null)])
  assert.equal(state.reports.length, 50)
  assert.equal(state.gaps[0]!.cause, 'device-lost')
})

test('no time counts as unrecorded that belongs to missing chunks, or is what another MediaRecorder takes to start', () => {
  const next = (startMs: number): PartState => whole(5, { part: partB, startMs, endMs: startMs + 1000 })
  assert.deepEqual(gapsOf(committed(1, [whole(5), next(10_400)])), [])
  assert.deepEqual(gapsOf(committed(1, [part({ stored: [[0, 3]], closed: { chunks: 5, clean: true } }), next(25_000)])).map(brief), [[4, 4, 'lost', 'open', null]])
})

test('resends are asked for at once, then ever more rarely, and only of a client that is there', () => {
  const hole = committed(1, [part({ stored: [[0, 1], [4, 6]] })])
  const asked = (seconds: number, from: ReturnType<typeof fold>) => judge(from, ms(seconds))
  assert.deepEqual(asked(6, fold([hole])).requests, [])
  const first = asked(6, fold([connected(1), hole]))
  assert.deepEqual(first.requests, [{ type: 'resend-requested', session, track: 'webcam', part: partA, from: 2, to: 3, at: at(6) }])
  assert.deepEqual(asked(20, first.state).requests, [])
  const second = asked(21, first.state)
  assert.equal(second.requests.length, 1)
  assert.deepEqual(asked(45, second.state).requests, [])
  assert.equal(asked(51, second.state).requests.length, 1)
})

test('after ten requests in vain only a new connection is asked, and that at once', () => {
  let state = fold([connected(1), committed(1, [part({ stored: [[0, 1], [4, 6]] })])])
  let requests = 0
  for (let seconds = 6; seconds < 24 * 3600; seconds += 5) {
    if (seconds % 60 < 5) state = fold([connected(seconds)], state)
    const judged = judge(state, ms(seconds))
    requests += judged.requests.length
    state = judged.state
  }
  assert.equal(requests, 10)
  assert.equal(judge(fold([connected(24 * 3600, 'k2')], state), ms(24 * 3600)).requests.length, 1)
})

test('what a client was acknowledged, and what is confirmed, is not asked for', () => {
  const lost: PartState['lost'] = [{ from: 2, to: 2, cause: 'already-acknowledged' }, { from: 3, to: 3, cause: 'crash' }]
  assert.deepEqual(judge(fold([connected(1), committed(1, [part({ stored: [[0, 1], [4, 6]], lost })])]), ms(6)).requests, [])
})

test('a shrinking hole is not asked for anew', () => {
  const first = judge(fold([connected(1), committed(1, [part({ stored: [[0, 1], [6, 6]] })])]), ms(6))
  assert.equal(judge(fold([committed(2, [part({ stored: [[0, 2], [4, 4], [6, 6]] })])], first.state), ms(10)).requests.length, 0)
})

test('a client whose gateway has a clock ahead of ours is asked once until that moment, and once more then', () => {
  const state = fold([connected(60), committed(1, [part({ stored: [[0, 1], [4, 4]] })])])
  const asked = [6, 6, 7, 8, 61, 62].reduce<{ state: typeof state; requests: number[] }>(
    ({ state, requests }, seconds) => {
      const judged = judge(state, ms(seconds))
      return { state: judged.state, requests: [...requests, judged.requests.length] }
    },
    { state, requests: [] },
  )
  assert.deepEqual(asked.requests, [1, 0, 0, 0, 1, 0])
})

test('thousands of holes are judged quickly enough to hold nobody up', () => {
  const stored = Array.from({ length: 20_000 }, (_, i): [number, number] => [2 * i, 2 * i])
  const first = judge(fold([connected(1), committed(1, [part({ stored })])]), ms(6))
  assert.equal(first.state.gaps.length, 19_999)
  assert.equal(first.requests.length, 32)
  assert.equal(judge(fold([committed(2, [part({ stored })])], first.state), ms(6)).events.length, 0)
})

test('while the beginning of a part may still come, nothing behind it is given up', () => {
  const state = { stored: [[1, 2], [4, 5]] as [number, number][], undecodable: [{ from: 1, to: 2, startMs: null, endMs: null }, { from: 4, to: 5, startMs: null, endMs: null }], lost: [{ from: 3, to: 3, cause: 'crash' as const }] }
  assert.deepEqual(gapsOfPart(state), [[0, 0, 'lost', 'open', null], [1, 2, 'undecodable', 'open', null], [3, 3, 'lost', 'confirmed', 'crash'], [4, 5, 'undecodable', 'open', null]])
})
