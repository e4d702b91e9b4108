import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeRoom, placeInFile, type Span } from '../src/core/timeline.ts'

const ZERO = 1_000_000_000
const span = (part: string, wallMs: number, startMs: number, endMs: number): Span => ({ part, startedAtMs: ZERO + wallMs, startMs, endMs })
const place = (spans: Span[], wallMs: number, lengthMs = 1_000) => placeInFile(spans, ZERO, { part: 'p', startedAtMs: ZERO + wallMs, lengthMs })
const HOUR = 3_600_000

test('a part begins when its recorder started', () => {
  assert.deepEqual(place([span('a', 0, 0, 10_000)], 25_000), { offsetMs: 25_000, shiftMs: 0 })
})

test('a part that started a little before the end of the one ahead begins at that end', () => {
  assert.deepEqual(place([span('a', 0, 0, 10_000)], 9_200), { offsetMs: 10_000, shiftMs: 0 })
})

test('a part that overlaps the one ahead by a frame or two begins when its recorder started, so that none of a thousand drifts', () => {
  assert.deepEqual(place([span('a', 0, 0, 10_000)], 9_980), { offsetMs: 9_980, shiftMs: 0 })
  assert.deepEqual(place([span('a', 0, 0, 10_000)], 9_750), { offsetMs: 9_750, shiftMs: 0 })
  assert.deepEqual(makeRoom([span('a', 0, 0, 10_000), span('b', 9_980, 9_980, 20_000), span('c', 19_000, 19_000, 21_000)], 250), [{ part: 'c', deltaMs: 1_000, ahead: 'b' }])
})

test('parts that overlap do not fit', () => {
  assert.equal(place([span('a', 0, 0, 10_000)], 5_000), null)
})

test('more than four hours of nothing do not fit, neither before nor behind', () => {
  assert.equal(place([span('a', 0, 0, 10_000)], 10_000 + 4 * HOUR + 1), null)
  assert.equal(place([span('a', 0, 0, 10_000)], -(4 * HOUR) - 1_001), null)
})

test('a late part fits between two others if it is short enough', () => {
  const spans = [span('a', 0, 0, 10_000), span('b', 60_000, 60_000, 90_000)]
  assert.deepEqual(place(spans, 20_000, 30_000), { offsetMs: 20_000, shiftMs: 0 })
  assert.equal(place(spans, 20_000, 50_000), null)
})

test('a part from before the file makes all others move', () => {
  assert.deepEqual(place([span('a', 0, 0, 10_000)], -30_000, 20_000), { offsetMs: 0, shiftMs: 30_000 })
  assert.equal(place([span('a', 0, 0, 10_000)], -30_000, 40_000), null)
})

test('after making room no part begins before the end of the one ahead, and none moved needlessly', () => {
  const spans = fc.array(fc.tuple(fc.nat(10_000), fc.nat(3_000)), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(spans, (drawn) => {
      const given = drawn.toSorted((a, b) => a[0] - b[0]).map(([start, length], i) => span(String(i), start, start, start + length))
      const moves = new Map(makeRoom(given).map(({ part, deltaMs }) => [part, deltaMs]))
      let end = 0
      for (const { part, startMs, endMs } of given) {
        const deltaMs = moves.get(part) ?? 0
        assert.ok(startMs + deltaMs >= end)
        assert.ok(deltaMs === 0 || startMs + deltaMs === end)
        end = Math.max(end, endMs + deltaMs)
      }
    }),
  )
})
