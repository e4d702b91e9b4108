/** Memory of a record beside its bytes: objects, headers and promises, in bytes and generously. */
export const RECORD_OVERHEAD_BYTES = 1024

/** Shares of the limit from which windows are narrowed, and to what. Half of a share must be left before it is lifted again. */
const MARKS = [
  { share: 0, window: 1 },
  { share: 0.4, window: 1 / 4 },
  { share: 0.7, window: 0 },
] as const

/** Bytes that the process holds for all clients until Kafka has them or has finally not taken them. */
export class Budget {
  readonly #limit: number
  #used = 0
  #level = 0

  constructor(limitBytes: number) {
    this.#limit = limitBytes
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

  /** What a client's window comes down to now. */
  narrowed(windowBytes: number): number {
    return Math.floor(windowBytes * MARKS[this.#level]!.window)
  }

  #judge(): void {
    const share = this.#used / this.#limit
    const rising = MARKS.findLastIndex((mark) => share >= mark.share)
    const falling = MARKS.findLastIndex((mark) => share >= mark.share / 2)
    this.#level = Math.max(rising, Math.min(this.#level, falling))
  }
}
