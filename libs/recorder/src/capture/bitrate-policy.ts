/** Of the bits that pictures were meant to have. */
const STEP = 0.7
const LOWEST_SHARE = 0.25
/** What waits must have grown, and something have been acknowledged, in each half of this time. A giant chunk after a sleep grows in one only. */
const GROWS_FOR_MS = 20_000
/** Less is the coming and going of chunks. */
const GROWTH_BYTES = 128 * 1024
/** No oftener does anything change: each change is a part of its own. */
const CHANGE_EVERY_MS = 30_000
const CALM_BYTES = 1024 * 1024
const CALM_MS = 5 * 60_000
const LONGEST_CALM_MS = 40 * 60_000

export interface Backlog {
  /** Milliseconds, from any start. */
  now: number
  connected: boolean
  waitingBytes: number
  /** All that was acknowledged until now. */
  acknowledgedBytes: number
}

type Sample = Omit<Backlog, 'connected'>

/**
 * How many of their intended bits pictures get. A backlog that grows although the server acknowledges means that the line
 * is too thin: a step down. Being offline says nothing about the line, nor does a server that acknowledges nothing. After five calm minutes a step up is tried; each
 * that does not last doubles the calm that the next one needs.
 */
export class BitratePolicy {
  #share = 1
  #seen: Sample[] = []
  #changedAt = -Infinity
  #calmSince: number | null = null
  #calmNeededMs = CALM_MS
  #lastWasUp = false

  /** The share that is right from now on. */
  get share(): number {
    return this.#share
  }

  /** To be told every few seconds. */
  see({ now, connected, waitingBytes, acknowledgedBytes }: Backlog): void {
    if (!connected) {
      this.#seen = []
      this.#calmSince = null
      return
    }
    this.#seen = [...this.#seen.filter((sample) => now - sample.now <= 2 * GROWS_FOR_MS), { now, waitingBytes, acknowledgedBytes }]
    this.#calmSince = waitingBytes < CALM_BYTES ? (this.#calmSince ?? now) : null
    if (now - this.#changedAt < CHANGE_EVERY_MS) return
    if (this.#grows(now) && this.#share > LOWEST_SHARE) this.#down(now)
    else if (this.#share < 1 && this.#calmSince !== null && now - this.#calmSince >= this.#calmNeededMs) this.#up(now)
  }

  #grows(now: number): boolean {
    const [first, middle, last] = [GROWS_FOR_MS, GROWS_FOR_MS / 2, 0].map((age) => this.#seen.findLast((sample) => now - sample.now >= age))
    if (first === undefined || middle === undefined || last === undefined) return false
    return growsAtWork(first, middle) && growsAtWork(middle, last)
  }

  #down(now: number): void {
    if (this.#lastWasUp && now - this.#changedAt < CALM_MS) this.#calmNeededMs = Math.min(LONGEST_CALM_MS, this.#calmNeededMs * 2)
    this.#lastWasUp = false
    this.#change(now, Math.max(LOWEST_SHARE, this.#share * STEP))
  }

  #up(now: number): void {
    this.#lastWasUp = true
    this.#change(now, Math.min(1, this.#share / STEP))
  }

  #change(now: number, share: number): void {
    this.#share = share
    this.#changedAt = now
    this.#seen = []
    this.#calmSince = null
  }
}

function growsAtWork(from: Sample, to: Sample): boolean {
  return to.waitingBytes - from.waitingBytes >= GROWTH_BYTES && to.acknowledgedBytes > from.acknowledgedBytes
}
