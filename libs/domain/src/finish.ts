import type { EventOf, SessionState, TrackParts } from '@longtake/contracts'
import { liveConnections } from './clients.ts'
import { isEqual } from './equal.ts'
import type { KnownPart } from './parts.ts'
import { remembered } from './remembered.ts'
import { isHigherOffset } from './time.ts'
import { trackParts, type PartFacts } from './track-parts.ts'

type Finish = NonNullable<SessionState['finish']>

/** A gateway accepts no more parts in one session (its `maxParts`) and fewer tracks, so only made-up names exceed these. */
const NAMES_KEPT = 3000
const TRACKS_KEPT = 64

/**
 * Folds one end in. The one with the highest offset counts, but the names in all of them are kept: a client that names its
 * parts has finished, whoever finishes after it. The result does not depend on the order, and an end that is known changes nothing.
 */
export function finishSeen(known: Finish | null, { parts, at, offset }: EventOf<'session-finished'>): Finish {
  // Compared even with nothing, so that what is no offset throws before it is kept and spoils every later comparison.
  const isLatest = isHigherOffset(offset, known?.offset ?? '-1')
  const before = namesIn(known?.parts, known?.named)
  const named = toTrackParts([...before, ...namesIn(parts)])
  if (known !== null && !isLatest && isEqual(named, toTrackParts([...before]))) return known
  const latest = known === null || isLatest ? { parts, at, offset } : { parts: known.parts, at: known.at, offset: known.offset }
  return isEqual(named, toTrackParts([...namesIn(latest.parts)])) ? latest : { ...latest, named }
}

/**
 * Whether a recorder is connected that goes on after the latest end: one client's `finish` ends that client's share, and the session
 * only together with everyone else's. A client has finished when each part that is known of it is named in some `finish`; without
 * a known part it records nothing. So a client that reconnects after its end holds nothing open, and one that opens another
 * part does. Only connected clients count: one that has vanished is waited for by its unclosed parts, like any other.
 * A backend's end (`parts: null`) is everyone's: nobody who is between two parts is waited for.
 * @param now milliseconds since the epoch
 */
export function isStillRecording(state: PartFacts & Pick<SessionState, 'finish' | 'clients'>, now: number): boolean {
  const { finish, clients } = state
  if (finish === null || finish.parts === null) return false
  const connected = liveConnections(clients, now)
  if (connected.length === 0) return false
  const named = namesOf(finish)
  return trackParts(state).some(({ track, segments }) =>
    segments.some(({ parts }) => {
      const unfinished = unfinishedIn(track, parts, named)
      return connected.some(({ client }) => unfinished.has(client))
    }),
  )
}

const namesOf = remembered(({ parts, named }: Finish): ReadonlySet<string> => namesIn(parts, named))

interface Unfinished {
  readonly named: ReadonlySet<string>
  readonly clients: ReadonlySet<string>
}
/** Kept by segments, so that an event of a long session costs what it changes. */
const unfinishedInSegments = new WeakMap<readonly KnownPart[], Unfinished>()

/** The clients with a part in the segment that is not named. */
function unfinishedIn(track: string, parts: readonly KnownPart[], named: ReadonlySet<string>): ReadonlySet<string> {
  const known = unfinishedInSegments.get(parts)
  if (known?.named === named) return known.clients
  const clients = new Set(parts.flatMap(({ client, part }) => (client === null || named.has(nameOf(track, part)) ? [] : [client])))
  unfinishedInSegments.set(parts, { named, clients })
  return clients
}

/** Track names have no spaces. */
const nameOf = (track: string, part: string): string => `${track} ${part}`

function namesIn(...lists: (TrackParts | null | undefined)[]): Set<string> {
  return new Set(lists.flatMap((parts) => Object.entries(parts ?? {}).flatMap(([track, ids]) => ids.map((part) => nameOf(track, part)))))
}

/** Each name once, in one order, and of too many the first in that order: the same whichever came first. */
function toTrackParts(names: readonly string[]): TrackParts {
  const kept = [...new Set(names)].sort().slice(0, NAMES_KEPT).map((name) => name.split(' ') as [track: string, part: string])
  const byTrack = [...Map.groupBy(kept, ([track]) => track)].slice(0, TRACKS_KEPT)
  return Object.fromEntries(byTrack.map(([track, of]) => [track, of.map(([, part]) => part)]))
}
