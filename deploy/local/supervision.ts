/** What was seen of a server: its process has ended, or how it answered a probe. */
export type Observation =
  | 'works'
  | 'ended'
  /** It answers each write with an error. */
  | 'rejects'
  /** It is at work or answers reads, but completes no write within the probe's deadline. */
  | 'slow'
  /** It answers nothing within the probe's deadline. */
  | 'silent'

export interface Health {
  /** When the first probe that failed since the last success began, in ms. */
  failingSinceMs: number | undefined
  /** When it was restarted, in ms; older ones than {@link RESTART_WINDOW_MS} are left out. */
  restartsMs: readonly number[]
}

export type Decision = { action: 'wait' } | { action: 'restart'; pauseMs: number; reason: string } | { action: 'give-up'; reason: string }

export const MAX_RESTARTS = 5
export const RESTART_WINDOW_MS = 10 * 60_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000
/** A server that is merely overloaded needs time more than a restart. */
const FAILING_LIMIT_MS = { rejects: 7000, silent: 7000, slow: 30_000 } as const
const REASONS = { rejects: 'it rejects writes', silent: 'it does not answer', slow: 'it does not complete writes' } as const

/** From this share of a core on, a process that does not answer is overloaded; one that is stopped or hangs uses none. */
const BUSY_SHARE = 0.1

/** What an observation means for a process that has used `cpuMs` of CPU time in the `elapsedMs` that it took. */
export function unlessBusy(observation: Observation, cpuMs: number, elapsedMs: number): Observation {
  return observation === 'silent' && cpuMs > elapsedMs * BUSY_SHARE ? 'slow' : observation
}

export const healthy: Health = { failingSinceMs: undefined, restartsMs: [] }

/** What to do after an observation that began at `beganMs` and ended at `nowMs`, and what is known then. */
export function decide(health: Health, observation: Observation, beganMs: number, nowMs: number): { health: Health; decision: Decision } {
  const restartsMs = health.restartsMs.filter((at) => nowMs - at < RESTART_WINDOW_MS)
  if (observation === 'works') return { health: { failingSinceMs: undefined, restartsMs }, decision: { action: 'wait' } }
  const failingSinceMs = health.failingSinceMs ?? beganMs
  if (observation === 'ended') return restart(restartsMs, 'its process has ended', nowMs)
  const failingMs = nowMs - failingSinceMs
  if (failingMs < FAILING_LIMIT_MS[observation]) return { health: { failingSinceMs, restartsMs }, decision: { action: 'wait' } }
  return restart(restartsMs, `${REASONS[observation]} for ${Math.round(failingMs / 1000)} s`, nowMs)
}

function restart(restartsMs: readonly number[], reason: string, nowMs: number): { health: Health; decision: Decision } {
  if (restartsMs.length >= MAX_RESTARTS) return { health: { failingSinceMs: undefined, restartsMs }, decision: { action: 'give-up', reason } }
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** restartsMs.length, LONGEST_PAUSE_MS)
  return { health: { failingSinceMs: undefined, restartsMs: [...restartsMs, nowMs] }, decision: { action: 'restart', pauseMs, reason } }
}
