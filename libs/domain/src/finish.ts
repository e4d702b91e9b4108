import type { EventOf, SessionState, TrackParts } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { isHigherOffset } from './time.ts'

export type Finish = NonNullable<SessionState['finish']>

/**
 * A gateway accepts no more parts in one session (its `maxParts`) and fewer tracks, so only made-up names exceed these.
 */
const NAMES_KEPT = 3000
const TRACKS_KEPT = 64

/**
 * Folds in one end of a session. The one with the highest offset counts, but the part names of all of them are kept: a
 * client that names its parts has finished, whichever client finishes after it. The order does not matter, and a
 * repeated end changes nothing.
 */
export function finishSeen(known: Finish | null, { parts, scope, at, offset }: EventOf<'session-finished'>): Finish {
  // Compared even with no known end: an invalid offset throws here, before it is stored and breaks every later
  // comparison.
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

/** Each name once, sorted, and the first ones of too many: independent of the order of arrival. */
function toTrackParts(names: readonly string[]): TrackParts {
  const kept = [...new Set(names)].sort().slice(0, NAMES_KEPT).map((name) => name.split(' ') as [track: string, part: string])
  const byTrack = [...Map.groupBy(kept, ([track]) => track)].slice(0, TRACKS_KEPT)
  return Object.fromEntries(byTrack.map(([track, of]) => [track, of.map(([, part]) => part)]))
}
