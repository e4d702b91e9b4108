import type { SessionState } from '@longtake/contracts'
import { connectionTurningPoints } from './clients.ts'
import { turningPoints } from './patience.ts'
import { nextResendAt } from './resends.ts'
import { isCompleted } from './session.ts'
import { departureTurningPoints } from './still-recording.ts'

/**
 * When time alone may change what `judge` has said, if no event comes before; `Infinity` for never. Until then to judge
 * again would change nothing.
 * @param judged as judged at `now`
 * @param now milliseconds since the epoch
 */
export function nextJudgementAt(judged: SessionState, now: number): number {
  if (judged.deletedAt !== null || isCompleted(judged.status)) return Infinity
  const { clients } = judged
  const points = [...connectionTurningPoints(clients), ...departureTurningPoints(judged), ...turningPoints(judged)]
  const later = points.filter((at) => at > now)
  return Math.min(nextResendAt(judged, now), ...later)
}
