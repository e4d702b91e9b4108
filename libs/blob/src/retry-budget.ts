/** Retries for each first try, over time: a storage in trouble gets no more than that on top of its load. */
const RETRIES_PER_REQUEST = 0.15
/** What a process with few requests may retry all the same. */
const RETRIES_PER_SECOND = 1
const MOST_SAVED = 30

/**
 * How many retries a process may make, as in Finagle's and gRPC's retry budgets: a token bucket that first tries and time
 * fill. Has no clock: `now` is in ms.
 */
export class RetryBudget {
  #tokens = MOST_SAVED
  #at: number

  constructor(now: number) {
    this.#at = now
  }

  /** A request was sent for the first time. */
  sent(): void {
    this.#tokens = Math.min(MOST_SAVED, this.#tokens + RETRIES_PER_REQUEST)
  }

  /** Takes one retry if there is one. */
  take(now: number): boolean {
    this.#tokens = Math.min(MOST_SAVED, this.#tokens + (Math.max(0, now - this.#at) / 1000) * RETRIES_PER_SECOND)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
