import { setTimeout as delay } from 'node:timers/promises'
import type { Child } from './child.ts'
import type { Probe } from './probes.ts'
import { SetupError } from './setup-error.ts'
import { cpuTimeMs } from './cpu-time.ts'
import { decide, healthy, MAX_RESTARTS, RESTART_WINDOW_MS, unlessBusy } from './supervision.ts'

const INTERVAL_MS = 2000
const INTERVAL_FAILING_MS = 500

export interface SupervisedServer {
  readonly child: Child
  kill(): void
  restart(): Promise<void>
}

export interface SupervisorOptions {
  /** As users call it: `Kafka`, `Azurite`. */
  name: string
  server: SupervisedServer
  probe: Probe
  logFile: string
  log: (line: string) => void
}

export interface Supervisor {
  /** Rejects with one line for the user once restarts do not help; resolves after {@link stop}. */
  readonly ended: Promise<void>
  /** From then on nothing is restarted; resolves when a restart under way has ended. */
  stop(): Promise<void>
}

/** Restarts a server that has died, hangs, or rejects writes, until restarts do not help. */
export function supervise(options: SupervisorOptions): Supervisor {
  const stopping = new AbortController()
  const state: WatchState = { restarting: undefined }
  const ended = watch(options, stopping.signal, state)
  // Reported by whoever awaits `ended`; a `stop` that comes first must not make it an unhandled rejection.
  ended.catch(() => undefined)
  return {
    ended,
    stop: async () => {
      stopping.abort()
      await state.restarting
    },
  }
}

interface WatchState {
  /** Never rejects. */
  restarting: Promise<void> | undefined
}

async function watch({ name, server, probe, logFile, log }: SupervisorOptions, signal: AbortSignal, state: WatchState): Promise<void> {
  let health = healthy
  while (!signal.aborted) {
    const { child } = server
    const beganMs = performance.now()
    const cpuBeganMs = cpuTimeMs(child.pid)
    const answer = child.exit() ? 'ended' : await probe()
    if (signal.aborted) return
    const cpuMs = (cpuTimeMs(child.pid) ?? 0) - (cpuBeganMs ?? 0)
    const nowMs = performance.now()
    const next = decide(health, child.exit() ? 'ended' : unlessBusy(answer, cpuMs, nowMs - beganMs), beganMs, nowMs)
    health = next.health
    const { decision } = next
    switch (decision.action) {
      case 'wait':
        await pauseWhileRunning(child, health.failingSinceMs === undefined ? INTERVAL_MS : INTERVAL_FAILING_MS, signal)
        break
      case 'restart':
        log(`${name}: ${decision.reason}; restarting it. Recordings continue, nothing acknowledged is lost.`)
        state.restarting = restart(decision.pauseMs)
        await state.restarting
        state.restarting = undefined
        break
      case 'give-up':
        throw new SetupError(
          `${name} failed again (${decision.reason}) after ${MAX_RESTARTS} restarts within ${RESTART_WINDOW_MS / 60_000} minutes. ` +
            `Check free memory, free disk space and ${logFile}, then run npm start again. If it fails again, ` +
            '`npm start -- --reset` deletes the local recordings and starts afresh.',
        )
      default:
        decision satisfies never
    }
  }

  async function restart(pauseMs: number): Promise<void> {
    server.kill()
    await server.child.exited
    await delay(pauseMs, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    try {
      await server.restart()
      log(`${name} runs again.`)
    } catch (error) {
      // Its process has ended: the next turn decides whether to try once more.
      log(`${name} did not start: ${(error as Error).message.split('\n')[0]}`)
    }
  }
}

async function pauseWhileRunning(child: Child, ms: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until && !signal.aborted && !child.exit()) await delay(100)
}
