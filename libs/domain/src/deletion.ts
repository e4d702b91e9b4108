import type { SessionState } from '@longtake/contracts'
import { epochMs, instantOf, later } from './time.ts'

/**
 * When the record that a session was deleted is due to be removed, milliseconds since the epoch; `Infinity` while it must stay.
 * It must stay until all blobs are erased (a legal hold may delay that): until then it is what stops late chunks.
 * @param retentionMs how long the record stays after that
 */
export function deletionExpiresAt({ deletedAt, deletion }: SessionState, retentionMs: number): number {
  if (deletedAt === null || deletion?.expiredAt !== undefined) return Infinity
  // States of versions that did not record the erasure have no `deletion`: finalizer looks whether anything is left.
  if (deletion === undefined) return epochMs(deletedAt) + retentionMs
  return deletion.erasedAt === undefined ? Infinity : epochMs(later(deletedAt, deletion.erasedAt)) + retentionMs
}

/** The state with its record of deletion marked as expired, if that is due; otherwise the same object. */
export function expireDeletion(state: SessionState, now: number, retentionMs: number): SessionState {
  if (deletionExpiresAt(state, retentionMs) > now) return state
  return { ...state, deletion: { ...state.deletion, expiredAt: instantOf(now) } }
}

/** Whether nothing of the session is left and its state itself is to be removed. */
export const isForgotten = ({ deletion }: SessionState): boolean => deletion?.forgottenAt !== undefined
