/** This device's two clocks at one moment, in milliseconds. */
export interface Moment {
  /** Since the epoch; goes on while the device sleeps, and may be set. */
  wall: number
  /** `performance.now()`: on most systems it stops while the device sleeps. */
  steady: number
}

/** What comes so late, by a timer, was not kept by a busy moment: the page stood still, or the device slept. */
export const LATE_MS = 5000

/** By so much clocks part only when one is set, or stands: they drift a few seconds in a day. */
export const APART_MS = 5000

export const bothClocks = (): Moment => ({ wall: Date.now(), steady: performance.now() })

/** Whether the wall clock was set meanwhile, forward or back, or may have been while the device slept. */
export function haveParted(then: Moment, now: Moment): boolean {
  return Math.abs(now.wall - then.wall - (now.steady - then.steady)) >= APART_MS
}
