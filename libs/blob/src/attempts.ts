import { setTimeout as delay } from 'node:timers/promises'
import { isTransient, TryTimeout } from './azure-errors.ts'

export interface RetryPolicy {
  /** How often an idempotent call is tried in all. */
  tries: number
  /** Time until a try's response headers, and between two pieces of a body. */
  tryTimeoutMs: number
  /** Upper bound of the wait before the second try; doubled for each further one. */
  firstDelayMs: number
  maxDelayMs: number
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = { tries: 5, tryTimeoutMs: 30_000, firstDelayMs: 200, maxDelayMs: 10_000 }

/**
 * Runs one try with its timeout. `run` gets a signal that aborts on timeout and on the caller's signal; the latter
 * stays in force for a body that is still being read after `run` has resolved.
 */
export async function oneTry<T>(run: (signal: AbortSignal) => Promise<T>, timeoutMs: number, caller?: AbortSignal): Promise<T> {
  caller?.throwIfAborted()
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), timeoutMs)
  try {
    return await run(caller ? AbortSignal.any([caller, timeout.signal]) : timeout.signal)
  } catch (error) {
    caller?.throwIfAborted()
    if (timeout.signal.aborted) throw new TryTimeout(`no answer within ${timeoutMs} ms`, { cause: error })
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Tries again, after a random wait within doubling bounds, what failed for a passing reason. For idempotent calls only. */
export async function withRetries<T>(
  run: (signal: AbortSignal) => Promise<T>,
  policy: RetryPolicy,
  options: { signal?: AbortSignal | undefined; onRetry: (error: unknown) => void },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await oneTry(run, policy.tryTimeoutMs, options.signal)
    } catch (error) {
      if (options.signal?.aborted || attempt >= policy.tries || !isTransient(error)) throw error
      options.onRetry(error)
      const bound = Math.min(policy.firstDelayMs * 2 ** (attempt - 1), policy.maxDelayMs)
      // Full jitter: after an outage all writers would otherwise come back in step.
      await delay(Math.random() * bound, undefined, options.signal ? { signal: options.signal } : {}).catch(() => options.signal?.throwIfAborted())
    }
  }
}
