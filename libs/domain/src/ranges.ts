import type { SeqRange } from '@longtake/contracts'

/**
 * Sets of chunk seqs as inclusive ranges: sorted, disjoint, not adjacent ("canonical"). Every function takes and
 * gives canonical sets, changes nothing in place (but `insertRange`), and costs time in the number of ranges, never in that of chunks.
 */
export type Ranges = readonly Readonly<SeqRange>[]

/** Any ranges, in any order, overlapping or not, as a canonical set. */
export function toRanges(ranges: Iterable<Readonly<SeqRange>>): SeqRange[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0])
  const merged: SeqRange[] = []
  for (const [from, to] of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

export const unionRanges = (a: Ranges, b: Ranges): SeqRange[] => toRanges([...a, ...b])

/**
 * Adds `from` … `to` to a set that its owner keeps, in place: one search and one splice, so that a stream of single seqs costs the
 * same however many holes it has. The pairs in it are replaced, never changed.
 */
export function insertRange(ranges: SeqRange[], from: number, to: number): void {
  const first = firstEndingAtOrAfter(ranges, from - 1)
  let end = first
  let merged: SeqRange = [from, to]
  for (; end < ranges.length && ranges[end]![0] <= to + 1; end++) {
    merged = [Math.min(merged[0], ranges[end]![0]), Math.max(merged[1], ranges[end]![1])]
  }
  if (end === first + 1) ranges[first] = merged
  else ranges.splice(first, end - first, merged)
}

/** Index of the first range that ends at `seq` or behind it; the number of ranges when none does. */
export function firstEndingAtOrAfter(ranges: Ranges, seq: number): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[middle]![1] < seq) low = middle + 1
    else high = middle
  }
  return low
}

/** What is in `a` and not in `b`. */
export function subtractRanges(a: Ranges, b: Ranges): SeqRange[] {
  const rest: SeqRange[] = []
  let i = 0
  for (const [from, to] of a) {
    let start = from
    while (i < b.length && b[i]![1] < start) i++
    for (let j = i; j < b.length && b[j]![0] <= to; j++) {
      if (b[j]![0] > start) rest.push([start, b[j]![0] - 1])
      start = Math.max(start, b[j]![1] + 1)
    }
    if (start <= to) rest.push([start, to])
  }
  return rest
}

/** What is in both. */
export function intersectRanges(a: Ranges, b: Ranges): SeqRange[] {
  const both: SeqRange[] = []
  let i = 0
  let j = 0
  while (i < a.length && j < b.length) {
    const from = Math.max(a[i]![0], b[j]![0])
    const to = Math.min(a[i]![1], b[j]![1])
    if (from <= to) both.push([from, to])
    if (a[i]![1] < b[j]![1]) i++
    else j++
  }
  return both
}

export function hasSeq(ranges: Ranges, seq: number): boolean {
  const range = ranges[firstEndingAtOrAfter(ranges, seq)]
  return range !== undefined && range[0] <= seq
}

/** How many seqs the set holds. */
export const countOf = (ranges: Ranges): number => ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)

/** One above the highest seq; 0 for the empty set. */
export const endOf = (ranges: Ranges): number => (ranges.at(-1)?.[1] ?? -1) + 1

/** The set 0 … count-1. */
export const firstSeqs = (count: number): SeqRange[] => (count > 0 ? [[0, count - 1]] : [])
