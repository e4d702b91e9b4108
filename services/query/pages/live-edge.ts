/** While recording, about half as much comes at once as there is already, and at most so much: block-writer's commits. */
const LONGEST_STEP_MS = 30_000
/** From so long a recording on the steps are longer. */
const CALM_AFTER_MS = 5 * 60_000
const CALM_STEP_MS = 60_000
/** Until a step is known here and loaded. */
const SLACK_MS = 3000

/** How much of a recording that lasts `durationMs` has to lie before it is known how it goes on. */
function stepMs(durationMs: number): number {
  return Math.min(durationMs / 2, durationMs < CALM_AFTER_MS ? LONGEST_STEP_MS : CALM_STEP_MS) + SLACK_MS
}

/** Where to play a growing recording so that it is as fresh as can be and does not halt: ms, from 0. */
export function livePositionMs(durationMs: number): number {
  return Math.max(0, durationMs - stepMs(durationMs))
}

/** Whether someone who follows has fallen so far back that only a jump brings them near again. */
export function isFarBehind(positionMs: number, durationMs: number): boolean {
  return durationMs - positionMs > 2 * stepMs(durationMs)
}
