import type { EventOf, SessionState } from '@longtake/contracts'
import { subtractRanges, toRanges } from './ranges.ts'

type Parked = NonNullable<SessionState['parked']>

/** Folds in that block-writer has set chunks aside; parked once more, as after a replay in vain, they are the same. */
export function chunksParked(parked: Parked = [], { track, part, from, to }: EventOf<'chunks-parked'>): Parked {
  const isOfPart = (one: Parked[number]): boolean => one.track === track && one.part === part
  const known = parked.filter(isOfPart).map((one): [number, number] => [one.from, one.to])
  if (subtractRanges([[from, to]], known).length === 0) return parked
  const ranges = toRanges([...known, [from, to]])
  return [...parked.filter((one) => !isOfPart(one)), ...ranges.map(([first, last]) => ({ track, part, from: first, to: last }))]
}
