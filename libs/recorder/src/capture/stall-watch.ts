import type { Kinds } from './media-type.ts'

/** With live sources a MediaRecorder delivers every second. */
export const STALLED_AFTER_MS = 12_000
/** The longest that is waited for data before another part is begun. What is waited for is in memory only. */
const LONGEST_PATIENCE_MS = { withSound: 60_000, pictureOnly: 5 * 60_000 }
/** After so long without a stall the next one counts as the first. */
const STEADY_MS = 5 * 60_000
/** What was delivered while the page was busy is handled only after the look. */
const LOOKS = 3
/** Browsers repeat the last frame to every new MediaRecorder: that alone is no delivery. */
const DELIVERIES = 3

/**
 * Detects that a running MediaRecorder delivers no data. A picture that moves now and then would begin a part at each
 * of its stalls, so each waits twice as long as the one before. Times are milliseconds of a clock that is never set.
 */
export class StallWatch {
  #patienceMs = STALLED_AFTER_MS
  #quietSince: number
  #quietLooks = 0
  #deliveries = 0
  #isDelivering = true
  /** Without a stall that was handled. */
  #steadySince: number | null = null

  constructor(now: number) {
    this.#quietSince = now
  }

  /** False from a time of `STALLED_AFTER_MS` without data on, until data comes regularly again. */
  get isDelivering(): boolean {
    return this.#isDelivering
  }

  /** What the current part has given so far; `unknown` while it is too young to say. */
  get part(): 'data' | 'nothing' | 'unknown' {
    if (this.#deliveries > 0) return 'data'
    return this.#quietLooks < LOOKS ? 'unknown' : 'nothing'
  }

  /** Another part was begun: what came before says nothing about it. */
  began(now: number): void {
    this.#deliveries = 0
    this.#quietFrom(now)
  }

  delivered(now: number): void {
    this.#deliveries += 1
    this.#quietFrom(now)
    if (this.#deliveries < DELIVERIES) return
    this.#isDelivering = true
    this.#steadySince ??= now
  }

  /** To be called about once a second. @returns whether another part should be begun */
  look(now: number): boolean {
    this.#quietLooks += 1
    const quietMs = now - this.#quietSince
    if (this.#quietLooks < LOOKS || quietMs < STALLED_AFTER_MS) return false
    this.#isDelivering = false
    return quietMs >= (this.#wasSteady ? STALLED_AFTER_MS : this.#patienceMs)
  }

  /** Another part is begun because of the stall. @param recorded what the stalled part recorded */
  handled(recorded: Kinds): void {
    const longestMs = recorded.audio ? LONGEST_PATIENCE_MS.withSound : LONGEST_PATIENCE_MS.pictureOnly
    this.#patienceMs = Math.min(longestMs, (this.#wasSteady ? STALLED_AFTER_MS : this.#patienceMs) * 2)
    this.#steadySince = null
  }

  get #wasSteady(): boolean {
    return this.#steadySince !== null && this.#quietSince - this.#steadySince >= STEADY_MS
  }

  #quietFrom(now: number): void {
    this.#quietSince = now
    this.#quietLooks = 0
  }
}

/**
 * What the part after a stall leaves out. Browsers hold sound back until the picture moves, and a picture until there
 * is sound, so either may be the cause: first the picture is left out, then the sound, then nothing.
 * @param recorded what the stalled part recorded
 * @param live what is live
 */
export function leaveOutAfterStall(recorded: Kinds, live: Kinds): keyof Kinds | null {
  if (!live.video || !live.audio) return null
  if (recorded.video && recorded.audio) return 'video'
  return recorded.audio ? 'audio' : null
}
