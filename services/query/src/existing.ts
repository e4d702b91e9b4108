import { LongtakeError, type SessionState } from '@longtake/contracts'

/** Throws `SESSION_DELETED`. */
export function assertNotDeleted(state: SessionState): void {
  if (state.status === 'deleted') throw new LongtakeError('SESSION_DELETED', 'the session was deleted')
}
