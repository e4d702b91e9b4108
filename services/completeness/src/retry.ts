import { setTimeout as delay } from 'node:timers/promises'

const FIRST_MS = 100
const LONGEST_MS = 10_000

/** Does it until it succeeds; rejects only with the signal's reason, once that aborts. */
export async function retrying<T>(attempt: () => Promise<T>, signal: AbortSignal, failed: (error: unknown, failures: number) => void): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      failed(error, failures)
      const pauseMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20)) * (0.75 + Math.random() * 0.25)
      // An abort ends the pause; the next round throws its reason.
      await delay(pauseMs, undefined, { signal }).catch(() => {})
    }
  }
}
