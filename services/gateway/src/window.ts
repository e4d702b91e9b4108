/**
 * How much one client may have in flight, and whether it obeys. `held` is what the gateway has received and not yet
 * settled: never more than what an obeying client counts as in flight, for acks reach it later than they are counted here.
 */
export class Window {
  #bytes: number
  #held = 0
  #before = { bytes: 0, until: 0 }
  readonly #graceMs: number

  /** @param graceMs how long a wider window stays good after it was narrowed: its chunks may still be on their way */
  constructor(bytes: number, graceMs: number) {
    this.#bytes = bytes
    this.#graceMs = graceMs
  }

  get bytes(): number {
    return this.#bytes
  }

  get held(): number {
    return this.#held
  }

  /** @param now milliseconds */
  resize(bytes: number, now: number): void {
    if (bytes < this.#bytes) this.#before = { bytes: this.#tolerated(now), until: now + this.#graceMs }
    this.#bytes = bytes
  }

  /**
   * Whether a chunk of this size obeys. One chunk alone always does: a window narrower than a chunk must not stop a
   * client for good, and what is held keeps the process's own budget in any case.
   */
  admits(size: number, now: number): boolean {
    return this.#held === 0 || this.#held + size <= this.#tolerated(now)
  }

  hold(size: number): void {
    this.#held += size
  }

  release(size: number): void {
    this.#held -= size
  }

  #tolerated(now: number): number {
    return now < this.#before.until ? Math.max(this.#bytes, this.#before.bytes) : this.#bytes
  }
}
