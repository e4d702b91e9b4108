import type { SeqRange } from '@longtake/contracts'

/** Adds `from`–`to` to ascending, disjoint, non-adjacent ranges and returns such ranges again; the argument stays as it is. */
export function addRange(ranges: readonly SeqRange[], from: number, to: number): SeqRange[] {
  const last = ranges.at(-1)
  // Mostly it goes on at the end, of a list that may have grown long.
  if (last === undefined || from > last[1] + 1) return [...ranges, [from, to]]
  if (from >= last[0]) return [...ranges.slice(0, -1), [last[0], Math.max(last[1], to)]]
  const before = ranges.filter((range) => range[1] < from - 1)
  const touched = ranges.filter((range) => range[1] >= from - 1 && range[0] <= to + 1)
  const behind = ranges.filter((range) => range[0] > to + 1)
  return [...before, [Math.min(from, ...touched.map(([low]) => low)), Math.max(to, ...touched.map(([, high]) => high))], ...behind]
}

export function contains(ranges: readonly SeqRange[], seq: number): boolean {
  const last = ranges.at(-1)
  return last !== undefined && seq <= last[1] && ranges.some(([from, to]) => from <= seq && seq <= to)
}

/** Ascending seqs as runs. */
export function runsOf(seqs: Iterable<number>): SeqRange[] {
  const runs: SeqRange[] = []
  for (const seq of seqs) {
    const last = runs.at(-1)
    if (last !== undefined && last[1] === seq - 1) last[1] = seq
    else runs.push([seq, seq])
  }
  return runs
}

/** The rest of a range. */
export function without([from, to]: SeqRange, taken: readonly SeqRange[]): SeqRange[] {
  const rest: SeqRange[] = []
  let next = from
  for (const [low, high] of taken.toSorted((a, b) => a[0] - b[0])) {
    if (high < next || low > to) continue
    if (low > next) rest.push([next, low - 1])
    next = high + 1
  }
  return next <= to ? [...rest, [next, to]] : rest
}
