import type { LostCause } from '@longtake/contracts/protocol'

/** Chunks that are given up. `declared`: the server has it durably. */
export interface LostRange {
  from: number
  to: number
  cause: LostCause
  declared: boolean
}

/** Adds a range to ascending, disjoint ones, whose word on the same chunks it replaces; the argument stays as it is. */
export function withLoss(ranges: readonly LostRange[], added: LostRange): LostRange[] {
  const others = ranges.flatMap((range) => [
    { ...range, to: Math.min(range.to, added.from - 1) },
    { ...range, from: Math.max(range.from, added.to + 1) },
  ])
  const result: LostRange[] = []
  for (const range of [...others, added].filter(({ from, to }) => from <= to).toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last !== undefined && last.to === range.from - 1 && last.cause === range.cause && last.declared === range.declared) result[result.length - 1] = { ...last, to: range.to }
    else result.push(range)
  }
  return result
}
