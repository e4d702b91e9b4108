import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@longtake/testkit'
import { joinedPace, missingBefore, NO_PACE, packPace, shortfalls, unpackPace, withChunk, type Pace } from '../src/core/pace.ts'

interface Chunk {
  readonly seq: number
  readonly capturedMs: number
  readonly firstMs: number
  readonly endMs: number
  readonly hasSound: boolean
}

/** Chunks of a second each, in which frames follow those of the one before; `lagMs` says how late each comes, and whether it has sound. */
function given(count: number, lagMs: (seq: number) => number, hasSound: (seq: number) => boolean = () => true): Chunk[] {
  let firstMs = 0
  return Array.from({ length: count }, (_, seq) => {
    const chunk = { seq, capturedMs: (seq + 1) * 1_000, firstMs, endMs: (seq + 1) * 1_000 - lagMs(seq), hasSound: hasSound(seq) }
    firstMs = chunk.endMs
    return chunk
  })
}
const paceOf = (chunks: readonly Chunk[]): Pace => chunks.reduce((pace, chunk) => withChunk(pace, chunk, chunk), NO_PACE)
const found = (chunks: readonly Chunk[], isClosed = true): unknown[] => shortfalls(paceOf(chunks), isClosed).map(({ before, behind, missingMs }) => [before.seq, behind.seq, Math.round(missingMs)])

test('given chunks that come as they are recorded, give or take, then nothing is missing', () => {
  const random = seededRandom(1)
  assert.deepEqual(found(given(3_600, () => random.between(0, 1_500))), [])
})

test('given a minute that only comes late, then nothing is missing: a busy page, or a giant blob cut into pieces', () => {
  assert.deepEqual(found(given(100, (seq) => (seq >= 30 && seq < 90 ? (90 - seq) * 1_000 : 100))), [])
  const blob = Array.from({ length: 50 }, (_, seq): Chunk => ({ seq, capturedMs: 600_000, firstMs: 12_000 * seq, endMs: 12_000 * (seq + 1) - 100, hasSound: true }))
  assert.deepEqual(found(blob), [])
  assert.deepEqual(found(given(100, (seq) => (seq >= 99 ? 40_000 : 100)), false), [], 'while it goes on, nobody knows')
})

test('given a clock that drifts, or a start that was late, then nothing is missing', () => {
  const random = seededRandom(2)
  assert.deepEqual(found(given(12 * 3_600, (seq) => 300 + seq * 0.1 + random.between(0, 400))), [], '100 ppm in twelve hours')
  assert.deepEqual(found(given(60, () => 40_000)), [])
})

test('given media that stood still, then what is missing has its place and length', () => {
  assert.deepEqual(found(given(100, (seq) => (seq < 20 ? 100 : 40_100))), [[19, 20, 40_000]])
  assert.deepEqual(found(given(100, (seq) => (seq < 20 ? 100 : seq < 60 ? 12_100 : 20_100))), [[19, 20, 12_000], [59, 60, 8_000]])
  assert.deepEqual(found(given(100, (seq) => (seq < 20 ? 100 : 4_900))), [], 'less than a recorder begins another part for')
})

test('given a recorder that records a third of what passes, then all of it is one shortfall', () => {
  assert.deepEqual(found(given(60, (seq) => (seq * 2_000) / 3)), [[1, 58, 38_667]])
  const [[from, to, missingMs]] = found(given(10_800, (seq) => (seq * 2_000) / 3)) as [[number, number, number]]
  assert.deepEqual([from, to, missingMs], [1, 10_798, 7_198_667])
})

test('given no sound, then only media behind it proves that something is missing: a picture that stands still has no frames', () => {
  const silent = (): boolean => false
  assert.deepEqual(found(given(100, (seq) => (seq < 99 ? 100 : 60_000), silent)), [], 'the last chunk of a screen where nothing moved')
  assert.deepEqual(found(given(100, (seq) => (seq < 90 ? 100 : 40_100), silent)), [[89, 90, 40_000]])
  assert.deepEqual(found(given(100, (seq) => (seq < 99 ? 100 : 60_000))), [[98, 99, 59_900]], 'sound does not pause')
  assert.deepEqual(found(given(60, (seq) => (seq * 2_000) / 3, silent)), [[1, 58, 38_667]])
})

test('given clocks that nobody can believe, then they prove nothing', () => {
  const odd = given(100, () => 100).map((sample, i) => (i === 50 ? { ...sample, capturedMs: -1.7e12 } : i === 60 ? { ...sample, capturedMs: 8e15 } : i === 70 ? { ...sample, capturedMs: Number.NaN } : sample))
  assert.deepEqual(found(odd), [])
})

test('what is kept is bounded, and is the same after a checkpoint or when two runs of chunks become one', () => {
  const random = seededRandom(3)
  let lag = 0
  const samples = given(5_000, (seq) => (lag += seq % 50 === 0 ? random.between(1_100, 3_000) : 0))
  const pace = paceOf(samples)
  assert.ok(pace.levels.length <= 32)
  assert.deepEqual(unpackPace(JSON.parse(JSON.stringify(packPace(pace)))), pace)
  assert.ok(Math.abs(missingBefore(pace, 4_999) - lag) < 3_000)
  const few = given(120, (seq) => (seq < 30 ? 100 : seq < 80 ? 9_000 : 20_000) + (seq % 7) * 30)
  const expected = [[29, 30, 8_900], [79, 80, 11_000]]
  assert.deepEqual(found(few), expected)
  for (const at of [1, 20, 70]) {
    const joined = joinedPace(paceOf(few.slice(0, at)), paceOf(few.slice(at)))
    assert.deepEqual(shortfalls(joined, true).map(({ before, behind, missingMs }) => [before.seq, behind.seq, Math.round(missingMs)]), expected)
  }
})

test('given pictures that come every now and then, then the time between them is not missing, however chunks are cut', () => {
  const random = seededRandom(4)
  for (let run = 0; run < 50; run++) {
    const frames = Array.from({ length: 40 }, () => random.between(0, 300_000)).sort((a, b) => a - b)
    const chunks = Array.from({ length: 300 }, (_, seq) => ({ seq, inside: frames.filter((ms) => ms >= seq * 1_000 && ms < (seq + 1) * 1_000) }))
    const cut = chunks.filter(({ inside }) => inside.length > 0).map(({ seq, inside }): Chunk => ({ seq, capturedMs: (seq + 1) * 1_000, firstMs: inside[0]!, endMs: inside.at(-1)! + 33, hasSound: false }))
    assert.deepEqual(found(cut), [])
    const froze = cut.map((chunk) => (chunk.seq < 100 ? chunk : { ...chunk, capturedMs: chunk.capturedMs + 60_000 }))
    assert.equal(found(froze).length, 1, 'what is missing is found among them')
  }
})
