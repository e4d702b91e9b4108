import type { SessionState } from '@longtake/contracts'
import { CONNECTION_STALE_MS, liveConnections } from './clients.ts'
import { nameOf, namesIn, type Finish } from './finish.ts'
import type { KnownPart } from './parts.ts'
import { remembered } from './remembered.ts'
import { isCompleted } from './session.ts'
import { epochMs } from './time.ts'
import { trackParts, type PartFacts } from './track-parts.ts'

type Recording = PartFacts & Pick<SessionState, 'finish' | 'clients' | 'status'>

/**
 * Whether a connected client records beyond the latest end: a client's `finish` ends the recording of that client, and
 * the session only once all clients have finished. A client has finished when some `finish` names each of its known
 * parts; a client without a known part records nothing. So a client that reconnects after its end keeps nothing open,
 * and one that opens another part does. Only the clients of `presentClients` count: any other is waited for through its
 * unclosed parts. The end of the whole session, by a backend (`parts: null`) or a client (`scope`), applies to all
 * clients, also to one that is between two parts.
 * @param now milliseconds since the epoch
 * @param writtenTo see `isAbandoned`
 */
export function isStillRecording(state: Recording, now: number, writtenTo: number): boolean {
  const { finish } = state
  if (!isOfOneClient(finish)) return false
  const present = presentClients(state, now, writtenTo)
  if (present.length === 0) return false
  const named = namesOf(finish)
  return trackParts(state).some(({ track, segments }) =>
    segments.some(({ parts }) => {
      const unfinished = unfinishedIn(track, parts, named)
      return present.some((client) => unfinished.has(client))
    }),
  )
}

/** When time alone may change the answer because a client has disconnected; in milliseconds since the epoch. */
export function departureTurningPoints({ finish, clients }: Pick<Recording, 'finish' | 'clients'>): number[] {
  if (!isOfOneClient(finish)) return []
  return clients.flatMap(({ goneAt }) => (goneAt === null ? [] : [epochMs(goneAt), epochMs(goneAt) + CONNECTION_STALE_MS]))
}

const isOfOneClient = (finish: Finish | null): finish is Finish => finish !== null && finish.parts !== null && finish.scope !== 'session'

/**
 * The clients that are connected, and those that have disconnected but may have records in Kafka that are not written
 * yet: a gateway publishes at once that a connection ended, while the client's last part and its `finish` wait until
 * block-writer has committed them. The wait ends after the time for which a client whose gateway died counts as
 * connected, so that a session completes even where block-writer makes no progress. A completed session stays
 * completed: its version is published, and later data makes the next one.
 */
function presentClients({ status, clients }: Recording, now: number, writtenTo: number): string[] {
  const mayBring = ({ goneAt }: { readonly goneAt: string | null }): boolean =>
    goneAt !== null && epochMs(goneAt) > writtenTo && Math.abs(now - epochMs(goneAt)) < CONNECTION_STALE_MS
  const left = isCompleted(status) ? [] : clients.filter(mayBring)
  return [...liveConnections(clients, now), ...left].map(({ client }) => client)
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
