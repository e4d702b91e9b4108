/** How the pauses between attempts grow. */
export interface RetryDelays {
  /** After the first failure; doubled with each further one. */
  readonly firstMs: number
  readonly maxMs: number
}

/** The pause after so many failures in a row, from 1 on, without jitter. */
export function exponentialDelayMs(failures: number, { firstMs, maxMs }: RetryDelays): number {
  // Beyond 2^20 the maximum has been reached long ago, and further doubling would overflow.
  return Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20))
}

/**
 * The same with up to a quarter taken off, so that many do not retry in step.
 *
 * @param random in [0, 1)
 */
export function retryDelayMs(failures: number, delays: RetryDelays, random: number): number {
  return exponentialDelayMs(failures, delays) * (0.75 + random * 0.25)
}
