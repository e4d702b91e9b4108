import type { EventOf, SessionState } from '@longtake/contracts'
import { earlier, epochMs, later } from './time.ts'

/** Gateways say every minute which clients they hold; who was silent for so long died with its gateway. */
export const CONNECTION_STALE_MS = 150_000
/** How many connections a state remembers, the living before the dead, the recent before the old. */
const CONNECTIONS_KEPT = 32

type Connection = SessionState['clients'][number]

/** Folds one sighting in. Connection ids are used once, so a connection that ended stays ended. */
export function connectionSeen(clients: readonly Connection[], { client, gateway, connection, at }: EventOf<'client-connected'>): Connection[] {
  return merged(clients, { client, gateway, connection, since: at, seenAt: at, goneAt: null })
}

export function connectionEnded(clients: readonly Connection[], { client, gateway, connection, at }: EventOf<'client-disconnected'>): Connection[] {
  return merged(clients, { client, gateway, connection, since: at, seenAt: at, goneAt: at })
}

/** @param now milliseconds since the epoch */
export function liveConnections(clients: readonly Connection[], now: number): Connection[] {
  return clients.filter(({ goneAt, seenAt }) => goneAt === null && now - epochMs(seenAt) < CONNECTION_STALE_MS)
}

/** When a connection that says nothing more is counted as gone, and when one whose gateway's clock is ahead begins. */
export function connectionTurningPoints(clients: readonly Connection[]): number[] {
  return clients.flatMap(({ goneAt, since, seenAt }) => (goneAt === null ? [epochMs(since), epochMs(seenAt) + CONNECTION_STALE_MS] : []))
}

function merged(clients: readonly Connection[], seen: Connection): Connection[] {
  const known = clients.find(({ gateway, connection }) => gateway === seen.gateway && connection === seen.connection)
  const goneAt = known?.goneAt ?? null
  const entry: Connection =
    known === undefined
      ? seen
      : {
          ...known,
          since: earlier(known.since, seen.since),
          seenAt: later(known.seenAt, seen.seenAt),
          goneAt: goneAt !== null && seen.goneAt !== null ? later(goneAt, seen.goneAt) : (goneAt ?? seen.goneAt),
        }
  const all = [...clients.filter((other) => other !== known), entry]
  const kept = all.length <= CONNECTIONS_KEPT ? all : all.sort(byWorth).slice(0, CONNECTIONS_KEPT)
  return kept.sort((a, b) => epochMs(a.since) - epochMs(b.since) || (a.connection < b.connection ? -1 : 1))
}

const byWorth = (a: Connection, b: Connection): number =>
  Number(a.goneAt !== null) - Number(b.goneAt !== null) || epochMs(b.seenAt) - epochMs(a.seenAt)
