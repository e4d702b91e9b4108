import { LongtakeError, type SessionState } from '@longtake/contracts'
import type { Sessions } from './ports.ts'

/** The session, deleted or not; throws `SESSION_NOT_FOUND`. */
export async function knownSession(sessions: Sessions, session: string): Promise<SessionState> {
  const state = await sessions.find(session)
  if (state === undefined) throw new LongtakeError('SESSION_NOT_FOUND', `there is no session ${session}`)
  return state
}

/** The session; throws `SESSION_NOT_FOUND` or `SESSION_DELETED`. */
export async function presentSession(sessions: Sessions, session: string): Promise<SessionState> {
  const state = await knownSession(sessions, session)
  assertNotDeleted(state)
  return state
}

/** Throws `SESSION_DELETED`. */
export function assertNotDeleted(state: SessionState): void {
  if (state.status === 'deleted') throw new LongtakeError('SESSION_DELETED', 'the session was deleted')
}
