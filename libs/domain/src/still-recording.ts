import type { SessionState } from '@longtake/contracts'
import { liveConnections } from './clients.ts'
import { nameOf, namesIn, type Finish } from './finish.ts'
import type { KnownPart } from './parts.ts'
import { remembered } from './remembered.ts'
import { trackParts, type PartFacts } from './track-parts.ts'

/**
 * Whether a connected client records beyond the latest end: a client's `finish` ends the recording of that client, and the session only
 * once all clients have finished. A client has finished when some `finish` names each of its known parts; a client without a known
 * part records nothing. So a client that reconnects after its end keeps nothing open, and one that opens another part does. Only
 * connected clients count: a disconnected one is waited for through its unclosed parts.
 * The end of the whole session, by a backend (`parts: null`) or a client (`scope`), applies to all clients, also to one that is
 * between two parts.
 * @param now milliseconds since the epoch
 */
export function isStillRecording(state: PartFacts & Pick<SessionState, 'finish' | 'clients'>, now: number): boolean {
  const { finish, clients } = state
  if (finish === null || finish.parts === null || finish.scope === 'session') return false
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
