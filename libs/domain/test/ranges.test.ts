import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  countOf,
  endOf,
  firstSeqs,
  hasSeq,
  insertRange,
  intersectRanges,
  subtractRanges,
  toRanges,
  unionRanges,
  type Ranges,
} from '../src/index.ts'

const seqs = fc.uniqueArray(fc.integer({ min: 0, max: 40 }))
const rangesOf = (set: readonly number[]): Ranges => toRanges(set.map((seq) => [seq, seq]))
const seqsOf = (ranges: Ranges): number[] => ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
const ascending = (set: Iterable<number>): number[] => [...set].sort((a, b) => a - b)

function inserted(ranges: Ranges): Ranges {
  const set: [number, number][] = []
  for (const [from, to] of ranges) insertRange(set, from, to)
  return set
}

function assertCanonical(ranges: Ranges): void {
  for (const [i, [from, to]] of ranges.entries()) {
    assert.ok(from <= to)
    if (i > 0) assert.ok(from > ranges[i - 1]![1] + 1, 'sorted, disjoint, not adjacent')
  }
}

test('set operations on ranges agree with those on plain sets, and stay canonical', () => {
  fc.assert(
    fc.property(seqs, seqs, (a, b) => {
      const results: [Ranges, Iterable<number>][] = [
        [unionRanges(rangesOf(a), rangesOf(b)), new Set([...a, ...b])],
        [subtractRanges(rangesOf(a), rangesOf(b)), a.filter((seq) => !b.includes(seq))],
        [intersectRanges(rangesOf(a), rangesOf(b)), a.filter((seq) => b.includes(seq))],
        [inserted(a.map((seq) => [seq, seq])), a],
        [inserted([...rangesOf(a), ...rangesOf(b)]), new Set([...a, ...b])],
      ]
      for (const [actual, expected] of results) {
        assertCanonical(actual)
        assert.deepEqual(seqsOf(actual), ascending(expected))
      }
      for (let seq = 0; seq <= 40; seq++) assert.equal(hasSeq(rangesOf(a), seq), a.includes(seq))
      assert.equal(countOf(rangesOf(a)), a.length)
      assert.equal(endOf(rangesOf(a)), a.length === 0 ? 0 : Math.max(...a) + 1)
    }),
  )
})

test('overlapping, adjacent and unsorted ranges become one canonical set', () => {
  assert.deepEqual(toRanges([[7, 9], [0, 2], [3, 3], [8, 12]]), [[0, 3], [7, 12]])
  assert.deepEqual(firstSeqs(0), [])
  assert.deepEqual(firstSeqs(3), [[0, 2]])
})

test('given sets are left as they are', () => {
  const a = Object.freeze([Object.freeze([0, 2] as [number, number])])
  unionRanges(a, [[1, 5]])
  assert.deepEqual(a, [[0, 2]])
})
