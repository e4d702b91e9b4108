import type { ClientRequest, GapState, RecordingEvent, SessionState, SessionStatus } from '@longtake/contracts'
import { liveConnections } from './clients.ts'
import { isEqual } from './equal.ts'
import { gapEvents } from './gap-events.ts'
import { currentGaps } from './gaps.ts'
import { areSettled, areWhole, hasParts, hasUnseenParts } from './parts.ts'
import { isAbandoned, isEnded, isInterrupted } from './patience.ts'
import { resendsFor } from './resends.ts'
import { isCompleted } from './session.ts'
import { isStillRecording } from './still-recording.ts'
import { instantOf } from './time.ts'

export interface Judgement {
  /** The state with gaps, status, version and resends as of now. */
  state: SessionState
  /** To be published before the state, in this order. */
  events: RecordingEvent[]
  requests: ClientRequest[]
}

/**
 * What follows from the facts and the time. To judge the judged state again at the same time gives nothing; fields
 * that did not change keep their identity, so that `===` tells what did.
 * @param now milliseconds since the epoch
 * @param writtenTo what Kafka had by then is written, and its facts are in the state; milliseconds since the epoch
 */
export function judge(state: SessionState, now: number, writtenTo: number = now): Judgement {
  if (state.deletedAt !== null) return dismiss(state, now)
  const gaps = currentGaps(state, now, writtenTo)
  const status = statusOf(state, now, writtenTo)
  const events = gapEvents(state.session, state.gaps, gaps, now)
  const { resends, requests } = resendsFor(state, gaps, now)
  const { completedAs: _before, ...facts } = state
  const completedAs = completedAsOf(state, status)
  let version = state.version
  if (isCompleted(status) && completedAs === undefined && !(status === state.status && areSameGaps(gaps, state.gaps))) {
    version += 1
    events.push({ type: 'session-completed', session: state.session, at: instantOf(now), version, status })
  }
  // What was abandoned without an end ended with its last sign of life.
  const endedAt = isCompleted(status) ? (completedAs?.endedAt ?? state.finish?.at ?? state.activeAt) : null
  return { state: { ...facts, gaps, status, version, resends, endedAt, ...(completedAs === undefined ? {} : { completedAs }) }, events, requests }
}

/** Who comes back to a completed session reopens it; if they bring nothing it is completed as before, and makes no version. */
function completedAsOf({ status: before, endedAt, completedAs }: SessionState, status: SessionStatus): SessionState['completedAs'] {
  if (isCompleted(status)) return completedAs?.status === status ? completedAs : undefined
  return isCompleted(before) && endedAt !== null ? { status: before, endedAt } : completedAs
}

/**
 * The status by the rules alone, whatever it was called before; only where block-writer is behind, what was completed
 * stays so.
 * @param writtenTo see `judge`
 */
export function statusOf(state: SessionState, now: number, writtenTo: number = now): SessionStatus {
  if (state.deletedAt !== null) return 'deleted'
  const isFinished = state.finish !== null && !hasUnseenParts(state) && areSettled(state, isEnded(state, now) ? 'acknowledged' : 'all')
  if (isFinished && !isStillRecording(state, now, writtenTo)) return areWhole(state) ? 'complete' : 'complete-with-gaps'
  if (state.finish === null && !hasParts(state)) return 'waiting'
  if (liveConnections(state.clients, now).length > 0) return 'recording'
  if (isAbandoned(state, now, writtenTo)) return 'abandoned'
  return isInterrupted(state, now) ? 'interrupted' : 'recording'
}

/** Whoever is connected to a deleted session is sent away, and told again whenever a gateway says it still holds one. */
function dismiss(state: SessionState, now: number): Judgement {
  if (state.clients.length === 0) return { state, events: [], requests: [] }
  const isConnected = liveConnections(state.clients, now).length > 0
  const requests: ClientRequest[] = isConnected ? [{ type: 'clients-dismissed', session: state.session, at: instantOf(now) }] : []
  return { state: { ...state, clients: [] }, events: [], requests }
}

/** Whether these are the same gaps, since whenever they have been known. */
export const areSameGaps = (a: readonly GapState[], b: readonly GapState[]): boolean =>
  a === b || isEqual(a.map((gap) => ({ ...gap, since: '' })), b.map((gap) => ({ ...gap, since: '' })))
