import { setTimeout as delay } from 'node:timers/promises'
import { retryDelayMs, type RetryDelays } from '@longtake/contracts'

export interface RetryOptions {
  readonly delays: RetryDelays
  /** Ends the attempts; one that runs is not interrupted. */
  readonly signal: AbortSignal
  /** Called after each failure, before the pause. Default: nothing. */
  readonly failed?: (error: unknown, failures: number) => void
}

/** Attempts it until it succeeds, with growing pauses; rejects only with the signal's reason, once that aborts. */
export async function retrying<T>(attempt: () => Promise<T>, { delays, signal, failed }: RetryOptions): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      failed?.(error, failures)
      // An abort ends the pause; the next round throws its reason.
      await delay(retryDelayMs(failures, delays, Math.random()), undefined, { signal }).catch(() => {})
    }
  }
}

/**
 * Settles like `begun`, or rejects with the signal's reason as soon as the signal aborts: for operations that cannot be
 * aborted themselves. After an abort the operation continues in the background, and its rejection is ignored.
 */
export async function orAborted<T>(begun: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([begun, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
