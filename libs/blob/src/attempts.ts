import { exponentialDelayMs } from '@longtake/contracts'
import { isTransient, statusOf, TryTimeout } from './azure-errors.ts'
import { CongestionWindow } from './congestion-window.ts'
import { type Lane, RequestQueue } from './request-queue.ts'
import { retryAfterMs } from './retry-after.ts'
import { RetryBudget } from './retry-budget.ts'

export interface RetryPolicy {
  /** How often an idempotent call is tried in all. */
  tries: number
  /** Time from sending a try until its response headers, and between two pieces of a body. */
  tryTimeoutMs: number
  /** Upper bound of the wait before the second try; doubled for each further one. */
  firstDelayMs: number
  /** Also how long a retry waits for the process's budget at most. */
  maxDelayMs: number
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = { tries: 5, tryTimeoutMs: 30_000, firstDelayMs: 200, maxDelayMs: 10_000 }

/** Time as requests see it; another one in simulations. */
export interface RequestClock {
  /** Monotonic, ms. */
  now(): number
  /** Calls back once after `ms`; returns the cancellation. */
  after(ms: number, callback: () => void): () => void
}

const systemClock: RequestClock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** Why a try was repeated, for metrics. */
export type RetryReason = 'busy' | 'timeout' | 'connection' | 'server-error'

export interface RequestKind {
  readonly lane: Lane
  /** Whose latency it is compared with; default: that of its lane. */
  readonly operation?: string
  /** Of the request's body. */
  readonly bytes?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The one place that sends requests to the storage: within the congestion window of the process, with a deadline for each
 * try that begins when it is sent, and with retries within the budget of the process.
 */
export class Attempts {
  readonly queue: RequestQueue
  readonly #policy: RetryPolicy
  readonly #clock: RequestClock
  readonly #budget: RetryBudget
  readonly #random: () => number

  constructor(policy: RetryPolicy, clock: RequestClock = systemClock, window = new CongestionWindow(), random: () => number = Math.random) {
    this.#policy = policy
    this.#clock = clock
    this.#random = random
    this.queue = new RequestQueue(window, () => clock.now())
    this.#budget = new RetryBudget(clock.now())
  }

  /** Sends once. `run` gets a signal that aborts on timeout and on the caller's signal. */
  async once<T>(kind: RequestKind, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#budget.sent()
    return this.#send(kind, run)
  }

  /** Retries, after a random wait within doubling bounds, what failed for a passing reason. For idempotent calls only. */
  async retried<T>(kind: RequestKind, run: (signal: AbortSignal) => Promise<T>, onRetry: (error: unknown, reason: RetryReason) => void): Promise<T> {
    this.#budget.sent()
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#send(kind, run)
      } catch (error) {
        if (kind.signal?.aborted || attempt >= this.#policy.tries || !isTransient(error)) throw error
        if (!(await this.#mayRetry(attempt, error, kind.signal))) throw error
        onRetry(error, reasonOf(error))
      }
    }
  }

  /** Without the queue, for what only asks whether the storage answers. */
  async outsideQueue<T>(signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#withDeadline(run, signal)
  }

  async #send<T>({ lane, operation, bytes = 0, signal }: RequestKind, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const slot = await this.queue.slot(lane, bytes, signal, operation)
    try {
      const result = await this.#withDeadline(run, signal)
      slot.release('answered')
      return result
    } catch (error) {
      slot.release(signal?.aborted ? 'abandoned' : isTransient(error) ? 'congested' : 'answered')
      throw error
    }
  }

  async #withDeadline<T>(run: (signal: AbortSignal) => Promise<T>, caller: AbortSignal | undefined): Promise<T> {
    caller?.throwIfAborted()
    const { tryTimeoutMs } = this.#policy
    const timeout = new AbortController()
    const cancel = this.#clock.after(tryTimeoutMs, () => timeout.abort())
    try {
      // The caller's signal stays in force for a body that is still being read after `run` has resolved.
      return await run(caller ? AbortSignal.any([caller, timeout.signal]) : timeout.signal)
    } catch (error) {
      caller?.throwIfAborted()
      if (timeout.signal.aborted) throw new TryTimeout(`no answer within ${tryTimeoutMs} ms`, { cause: error })
      throw error
    } finally {
      cancel()
    }
  }

  /** Waits as long as backoff and storage ask, then for the budget; false when that has nothing left for too long. */
  async #mayRetry(attempt: number, error: unknown, signal: AbortSignal | undefined): Promise<boolean> {
    const { firstDelayMs, maxDelayMs } = this.#policy
    const bound = exponentialDelayMs(attempt, { firstMs: firstDelayMs, maxMs: maxDelayMs })
    // Full jitter: after an outage all writers would otherwise come back in step.
    await this.#pause(retryAfterMs(error, Date.now()) + this.#random() * bound, signal)
    for (const until = this.#clock.now() + maxDelayMs; !this.#budget.take(this.#clock.now()); ) {
      if (this.#clock.now() >= until) return false
      await this.#pause(firstDelayMs * (0.5 + this.#random()), signal)
    }
    return true
  }

  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const cancel = this.#clock.after(ms, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      const abort = (): void => {
        cancel()
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', abort, { once: true })
    })
  }
}

function reasonOf(error: unknown): RetryReason {
  if (error instanceof TryTimeout) return 'timeout'
  const status = statusOf(error)
  if (status === undefined) return 'connection'
  if (status === 503 || status === 429) return 'busy'
  return status === 408 || status === 504 ? 'timeout' : 'server-error'
}
