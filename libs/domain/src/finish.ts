import type { EventOf, SessionState, TrackParts } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { isHigherOffset } from './time.ts'

export type Finish = NonNullable<SessionState['finish']>

/** A gateway accepts no more parts in one session (its `maxParts`) and fewer tracks, so only made-up names exceed these. */
const NAMES_KEPT = 3000
const TRACKS_KEPT = 64

/**
 * Folds one end in. The one with the highest offset counts, but the names in all of them are kept: a client that names its
 * parts has finished, whoever finishes after it. The result does not depend on the order, and an end that is known changes nothing.
 */
export function finishSeen(known: Finish | null, { parts, scope, at, offset }: EventOf<'session-finished'>): Finish {
  // Compared even with nothing, so that what is no offset throws before it is kept and spoils every later comparison.
  const isLatest = isHigherOffset(offset, known?.offset ?? '-1')
  const before = namesIn(known?.parts, known?.named)
  const named = toTrackParts([...before, ...namesIn(parts)])
  if (known !== null && !isLatest && isEqual(named, toTrackParts([...before]))) return known
  const { named: _before, ...latest } = known === null || isLatest ? { parts, ...(scope === undefined ? {} : { scope }), at, offset } : known
  return isEqual(named, toTrackParts([...namesIn(latest.parts)])) ? latest : { ...latest, named }
}

/** Track names have no spaces. */
export const nameOf = (track: string, part: string): string => `${track} ${part}`

export function namesIn(...lists: (TrackParts | null | undefined)[]): Set<string> {
  return new Set(lists.flatMap((parts) => Object.entries(parts ?? {}).flatMap(([track, ids]) => ids.map((part) => nameOf(track, part)))))
}

/** Each name once, in one order, and of too many the first in that order: the same whichever came first. */
function toTrackParts(names: readonly string[]): TrackParts {
  const kept = [...new Set(names)].sort().slice(0, NAMES_KEPT).map((name) => name.split(' ') as [track: string, part: string])
  const byTrack = [...Map.groupBy(kept, ([track]) => track)].slice(0, TRACKS_KEPT)
  return Object.fromEntries(byTrack.map(([track, of]) => [track, of.map(([, part]) => part)]))
}
