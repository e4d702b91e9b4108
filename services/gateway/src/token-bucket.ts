export interface Rate {
  /** What may be spent at once after a quiet time. */
  readonly burst: number
  readonly perSecond: number
}

/** A token bucket that may go into debt. Times are milliseconds of a clock that is never set. */
export class TokenBucket {
  readonly #rate: Rate
  readonly #maxDebt: number
  #level: number
  #at: number

  /** @param maxDebtMs time after which any debt is paid: more is forgiven */
  constructor(rate: Rate, maxDebtMs: number, now: number) {
    this.#rate = rate
    this.#maxDebt = (rate.perSecond * maxDebtMs) / 1000
    this.#level = rate.burst
    this.#at = now
  }

  spend(amount: number, now: number): void {
    this.#level = Math.max(this.#levelAt(now) - amount, -this.#maxDebt)
    this.#at = Math.max(this.#at, now)
  }

  /** Until the debt is paid; 0 without one. */
  waitMs(now: number): number {
    return (Math.max(0, -this.#levelAt(now)) / this.#rate.perSecond) * 1000
  }

  isFull(now: number): boolean {
    return this.#levelAt(now) >= this.#rate.burst
  }

  #levelAt(now: number): number {
    const { burst, perSecond } = this.#rate
    return Math.min(burst, this.#level + (Math.max(0, now - this.#at) / 1000) * perSecond)
  }
}
