import { retryDelayMs } from '@longtake/contracts'

/** The pause after so many failures in a row, with jitter. */
export const backoffMs = (failures: number, firstMs: number, maxMs: number): number => retryDelayMs(failures, { firstMs, maxMs }, Math.random())

/** Waits, but no longer than until `signal` aborts; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
  })
}
