/** Memory of a record beside its bytes: objects, headers and promises, in bytes and generously. */
export const RECORD_OVERHEAD_BYTES = 1024

/** Shares of the limit from which windows are narrowed, and to what. Half of a share must be left before it is lifted again. */
const MARKS = [
  { share: 0, window: 1 },
  { share: 0.4, window: 1 / 4 },
  { share: 0.7, window: 0 },
] as const

/** A window that is shared comes no further down: it is about one chunk, and as a chunk alone always passes, a narrower one bounds nothing. */
const NARROWEST_SHARE_BYTES = 64 * 1024

/** Bytes that the process holds for all clients until Kafka has them or has finally not taken them. */
export class Budget {
  readonly #limit: number
  readonly #windowBytes: number
  /** One client's window while memory is there. */
  #share: number
  #used = 0
  #level = 0

  /** @param windowBytes of one client at most */
  constructor(limitBytes: number, windowBytes: number) {
    this.#limit = limitBytes
    this.#windowBytes = windowBytes
    this.#share = windowBytes
  }

  get used(): number {
    return this.#used
  }

  /** Nothing fits any more. */
  get full(): boolean {
    return !this.fits(0)
  }

  fits(bytes: number): boolean {
    return this.#used + bytes + RECORD_OVERHEAD_BYTES <= this.#limit
  }

  take(bytes: number): void {
    this.#used += bytes + RECORD_OVERHEAD_BYTES
    this.#judge()
  }

  give(bytes: number): void {
    this.#used -= bytes + RECORD_OVERHEAD_BYTES
    this.#judge()
  }

  /**
   * How many clients there are. As long as a fair share is a chunk, all windows together stay below the first mark, so that
   * clients who come back from an outage all at once are not sent away. Of more clients than that, whoever finds memory
   * full is: `fits` alone bounds it.
   */
  divide(clients: number): void {
    const fair = Math.max(NARROWEST_SHARE_BYTES, (this.#limit * MARKS[1].share) / Math.max(1, clients))
    // By halves, and wider only when there is room for twice as much: each change is told to every client.
    if (this.#share > fair || this.#share * 4 <= fair) this.#share = Math.min(this.#windowBytes, this.#windowBytes / 2 ** Math.ceil(Math.log2(this.#windowBytes / fair)))
  }

  /** What a client's window comes down to now. */
  get windowBytes(): number {
    return Math.floor(this.#share * MARKS[this.#level]!.window)
  }

  #judge(): void {
    const share = this.#used / this.#limit
    const rising = MARKS.findLastIndex((mark) => share >= mark.share)
    const falling = MARKS.findLastIndex((mark) => share >= mark.share / 2)
    this.#level = Math.max(rising, Math.min(this.#level, falling))
  }
}
