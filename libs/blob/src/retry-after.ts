import { RestError } from '@azure/storage-blob'

/** Longer waits than this are cut: the budget and the caller's own retries take over. */
const LONGEST_MS = 60_000

/** How long the storage asks to wait before the next try, ms (RFC 9110 §10.2.3, and Azure's headers in ms); 0 if it does not. */
export function retryAfterMs(error: unknown, nowMs: number): number {
  if (!(error instanceof RestError)) return 0
  const headers = error.response?.headers
  const ms = headers?.get('x-ms-retry-after-ms') ?? headers?.get('retry-after-ms')
  if (ms !== undefined) return bounded(Number(ms))
  const value = headers?.get('retry-after')
  if (value === undefined) return 0
  return bounded(/^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs)
}

const bounded = (ms: number): number => (Number.isFinite(ms) ? Math.min(Math.max(ms, 0), LONGEST_MS) : 0)
