import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventOf, GapState, RecordingEvent, SessionState } from '@longtake/contracts'
import { judge, toManifest } from '../src/index.ts'
import { at, committed, decoded, finished, fold, live, ms, part, partA, partB, whole } from './facts.ts'

const brief = ({ part: id, from, to, startMs, endMs, kind, state, cause }: GapState): unknown[] => [
  id,
  from,
  to,
  startMs,
  endMs,
  kind,
  state,
  cause,
]
const versions = (told: readonly RecordingEvent[]): EventOf<'session-completed'>[] =>
  told.filter((event) => event.type === 'session-completed')

/** A part of ten chunks in ten seconds, and the end of its session. */
const recorded = [committed(1, [whole(10)]), finished({ webcam: [partA] })]
const completed = (): SessionState => live(recorded).state

test('media that a decoder does not show is a confirmed gap with its times, in the next version and its manifest', () => {
  const before = completed()
  assert.deepEqual([before.status, before.version], ['complete', 1])
  const { state, told } = live([decoded(1, [[4000, 6000]])], before)
  assert.deepEqual(state.gaps.map(brief), [[partA, 4, 5, 4000, 6000, 'undecodable', 'confirmed', 'decoder-errors']])
  assert.deepEqual(
    told.map(({ type }) => type),
    ['gap-confirmed', 'session-completed'],
  )
  assert.deepEqual(
    [state.status, state.version, versions(told)[0]?.status],
    ['complete-with-gaps', 2, 'complete-with-gaps'],
  )
  const seal = { snapshot: 's', etag: 'e' }
  assert.deepEqual(
    toManifest(state, new Map([[state.tracks['webcam']!.files[0]!.blob, seal]]), ms(99)).gaps,
    state.gaps,
  )
})

test('a file that decodes without a fault changes nothing but that it is known', () => {
  const { state, told } = live([decoded(1, [])], completed())
  assert.deepEqual([state.status, state.version, told], ['complete', 1, []])
  assert.deepEqual(state.decoded, [{ track: 'webcam', file: 0, commit: 1, coverage: 'all', undecodable: [] }])
})

test('delivered again, or of another decoder, the account of a commit changes nothing', () => {
  const { state } = live([decoded(1, [[4000, 6000]])], completed())
  for (const again of [decoded(1, [[4000, 6000]]), decoded(1, []), decoded(1, [[0, 9000]])]) {
    const judged = live([again], state)
    assert.deepEqual({ ...judged.state, eventsOffset: '' }, { ...state, eventsOffset: '' })
    assert.deepEqual(judged.told, [])
  }
})

test('late chunks do not make the gap vanish: it stands until the later commit is decoded', () => {
  const first = live([decoded(1, [[4000, 6000]])], completed()).state
  const late = live(
    [committed(2, [whole(10), whole(10, { part: partB, startMs: 10_000, endMs: 20_000 })], { durationMs: 20_000 })],
    first,
  )
  assert.deepEqual(
    [late.state.status, late.state.version, late.state.gaps.map(brief)],
    ['complete-with-gaps', 3, first.gaps.map(brief)],
  )
  const mended = live([decoded(2, [])], late.state)
  assert.deepEqual([mended.state.status, mended.state.version, mended.state.gaps], ['complete', 4, []])
  // The event of the earlier commit, delivered late, is old news.
  assert.deepEqual(live([decoded(1, [[4000, 6000]])], mended.state).told, [])
})

test('no status is interrupted by it, and an abandoned session stays abandoned', () => {
  const gone = judge(fold([committed(1, [part({ stored: [[0, 9]] })])]), ms(48 * 3600)).state
  assert.equal(gone.status, 'abandoned')
  // Before block-writer's progress is known again, as after a restart.
  const judged = judge(fold([decoded(1, [[0, 1000]])], gone), ms(49 * 3600), -Infinity)
  assert.deepEqual([judged.state.status, judged.state.version], ['abandoned', 2])
})

test('a span over two parts is a gap in each, and the other parts stay whole', () => {
  const two = [whole(10), whole(5, { part: partB, startMs: 10_000, endMs: 20_000 })]
  const { state } = live(
    [decoded(1, [[9500, 12_500]])],
    live([committed(1, two, { durationMs: 20_000 }), finished({ webcam: [partA, partB] })]).state,
  )
  assert.deepEqual(state.gaps.map(brief), [
    [partA, 9, 9, 9500, 10_000, 'undecodable', 'confirmed', 'decoder-errors'],
    [partB, 0, 1, 10_000, 12_500, 'undecodable', 'confirmed', 'decoder-errors'],
  ])
})

test('chunks are counted among the stored ones, and what lies outside of every part belongs to the one before', () => {
  const holed = part({
    stored: [
      [0, 4],
      [8, 12],
    ],
    missing: [{ from: 5, to: 7, startMs: null, endMs: null }],
    lost: [{ from: 5, to: 7, cause: 'crash' }],
    closed: { chunks: 13, clean: true },
  })
  const { state } = live(
    [
      decoded(1, [
        [5000, 6000],
        [12_000, 13_000],
      ]),
    ],
    live([committed(1, [holed]), finished({ webcam: [partA] })]).state,
  )
  const found = state.gaps.filter(({ cause }) => cause === 'decoder-errors')
  assert.deepEqual(
    found.map(({ from, to, startMs, endMs }) => [from, to, startMs, endMs]),
    [
      [8, 8, 5000, 6000],
      [12, 12, 12_000, 13_000],
    ],
  )
})

test('picture and sound that fail together are one gap; faults within one chunk are told apart by their times', () => {
  const { state } = live(
    [
      decoded(1, [
        [1000, 2000],
        [1500, 2500, 'audio'],
        [3100, 3160, 'audio'],
        [3400, 3460, 'audio'],
      ]),
    ],
    completed(),
  )
  assert.deepEqual(
    state.gaps.map(({ from, to, startMs, endMs }) => [from, to, startMs, endMs]),
    [
      [1, 2, 1000, 2500],
      [3, 3, 3100, 3160],
      [3, 3, 3400, 3460],
    ],
  )
  assert.deepEqual(judge(state, ms(300)).state, state, 'judged again, they are the same gaps')
})

test('a gap of a decoder inside of one that was known before is known since it was found', () => {
  const broken = whole(10, { undecodable: [{ from: 0, to: 8, startMs: null, endMs: null }] })
  const before = live([committed(1, [broken]), finished({ webcam: [partA] })]).state
  const { state } = live([decoded(1, [[2000, 3000]])], before)
  assert.deepEqual(
    state.gaps.map(({ from, to, since }) => [from, to, since]),
    [
      [0, 8, before.gaps[0]?.since],
      [2, 2, at(90)],
    ],
  )
})

test('a part that block-writer rejected, and a file that is not known, have no gap of a decoder', () => {
  const rejected = part({ stored: [[0, 2]], rejected: { code: 'REC_NOT_A_RECORDING', message: 'x' } })
  const state = fold([
    committed(1, [rejected]),
    decoded(1, [[0, 100]]),
    decoded(1, [[0, 100]], { file: 7 }),
    decoded(1, [[0, 100]], { track: 'screen' }),
  ])
  assert.deepEqual(
    judge(state, ms(60)).state.gaps.map(({ cause }) => cause),
    ['REC_NOT_A_RECORDING'],
  )
})
