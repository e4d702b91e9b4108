import { withDefaultGraces, type SessionState } from '@longtake/contracts'
import { liveConnections } from './clients.ts'
import { epochMs } from './time.ts'

/** What is still waited for: all that is missing; only what clients were acknowledged, since Kafka has it; nothing. */
export type Awaited = 'all' | 'acknowledged' | 'nothing'

/** All that these rules look at. */
type Waiting = Pick<SessionState, 'status' | 'clients' | 'finish' | 'activeAt' | 'graces'>

/**
 * @param now milliseconds since the epoch
 * @param writtenTo what Kafka had by then is written, and its facts are in the state; milliseconds since the epoch
 */
export function awaitedOf(state: Waiting, now: number, writtenTo: number): Awaited {
  if (isAbandoned(state, now, writtenTo)) return 'nothing'
  return isEnded(state, now) ? 'acknowledged' : 'all'
}

/** Why chunks are missing for good that nobody has declared lost. */
export const givenUpCause = ({ finish }: Pick<SessionState, 'finish'>): string => (finish?.parts === null ? 'ended' : 'abandoned')

/** A backend has ended the session of a person who has vanished. A recorder that comes back reopens it. */
export function isEnded({ finish, clients }: Waiting, now: number): boolean {
  return finish !== null && finish.parts === null && liveConnections(clients, now).length === 0
}

/**
 * Nobody has been there for so long that nobody will come, and nothing is on its way: while block-writer is behind, Kafka may
 * have what seems to be missing. Whoever comes all the same reopens it.
 */
export function isAbandoned(state: Waiting, now: number, writtenTo: number): boolean {
  const { abandonedAfterMs } = withDefaultGraces(state.graces)
  const isWritten = state.status === 'abandoned' || writtenTo - epochMs(state.activeAt) >= abandonedAfterMs
  return isWritten && absentMs(state, now) >= abandonedAfterMs
}

export function isInterrupted(state: Waiting, now: number): boolean {
  return absentMs(state, now) >= withDefaultGraces(state.graces).interruptedAfterMs
}

/** Since when there was no sign of life, in ms; below 0 while a client is connected, or where a clock is ahead of ours. */
function absentMs({ clients, activeAt }: Waiting, now: number): number {
  return liveConnections(clients, now).length > 0 ? -1 : now - epochMs(activeAt)
}

/** The moments at which the passing of time alone may change one of these answers. */
export function turningPoints({ activeAt, graces }: Waiting): number[] {
  const { interruptedAfterMs, abandonedAfterMs } = withDefaultGraces(graces)
  return [epochMs(activeAt) + interruptedAfterMs, epochMs(activeAt) + abandonedAfterMs]
}
