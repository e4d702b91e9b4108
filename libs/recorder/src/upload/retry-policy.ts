import { CLOSE_CODES } from '@longtake/contracts/protocol'

export const FIRST_DELAY_MS = 1000
export const LONGEST_DELAY_MS = 30_000

export interface FailedConnection {
  /** The WebSocket's close code; null when no socket came about. */
  code: number | null
  /** Connections in a row, this one included, by which nothing became durable. 0: this one was of use. */
  fruitless: number
}

/**
 * How long to wait before the next connection, in milliseconds. Full jitter: thousands of recorders that lost the same
 * server come back spread over the whole time, not in waves.
 * @param random in [0, 1)
 */
export function retryDelay({ code, fruitless }: FailedConnection, random: number): number {
  // Restarting, or a token that ran out while all was well: another connection works now.
  if (fruitless === 0 && (code === CLOSE_CODES.restarting || code === CLOSE_CODES.unauthorized)) return 0
  return Math.floor(random * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(fruitless, 10)))
}
