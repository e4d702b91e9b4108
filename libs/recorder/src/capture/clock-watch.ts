import { LATE_MS, type Moment } from '../clocks.ts'

export interface Standstill {
  /** `slept`: the whole device; `frozen`: this page alone. */
  event: 'slept' | 'frozen'
  ms: number
}

/** A page that is merely busy does not block its timers for so long, and a browser announces when it freezes one. */
const UNANNOUNCED_SLEEP_MS = 30_000

/** Finds out from ticks that come regularly, and from two clocks, that this page stood still. */
export class ClockWatch {
  #last: Moment
  #wasFrozen = false

  constructor(first: Moment) {
    this.#last = first
  }

  /** The browser says that it freezes the page now. */
  freezes(): void {
    this.#wasFrozen = true
  }

  /**
   * A clock that was set forward looks like a sleep. One that was set back is nothing. On Windows, and in Firefox on
   * macOS, `performance.now()` goes on during a sleep (w3c/hr-time#115): there only the length of the standstill
   * separates a sleep from a page that was busy.
   * @param everyMs how far apart ticks are
   */
  tick(now: Moment, everyMs: number): Standstill | null {
    const wallMs = now.wall - this.#last.wall
    const steadyMs = now.steady - this.#last.steady
    const wasFrozen = this.#wasFrozen
    this.#last = now
    this.#wasFrozen = false
    if (wallMs - steadyMs >= LATE_MS && !wasFrozen) return { event: 'slept', ms: Math.round(wallMs) }
    const ms = wasFrozen ? Math.max(wallMs, steadyMs) : steadyMs
    if (ms - everyMs < LATE_MS) return null
    return { event: !wasFrozen && ms - everyMs >= UNANNOUNCED_SLEEP_MS ? 'slept' : 'frozen', ms: Math.round(ms) }
  }
}
