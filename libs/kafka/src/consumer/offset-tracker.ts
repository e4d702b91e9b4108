/** A shorter list is not worth tidying. */
const MIN_TIDIED = 1024

/**
 * Which offset of one partition may be committed, when records are handed out in order and completed in any. Never
 * past a record that is not complete, and never over one that was neither handed out nor explicitly skipped. Remembers only
 * records that are not complete, however many behind them are: one that stays incomplete for hours costs no memory. Pure.
 */
export class OffsetTracker {
  readonly #open = new Set<bigint>()
  /** All of `#open`, rising, among complete ones that are dropped from time to time; none before `#head` is incomplete. */
  #order: bigint[] = []
  #head = 0
  #reached: bigint

  /** @param start the first offset that will be handed out or skipped: what is committed now */
  constructor(start: bigint) {
    this.#reached = start
  }

  /** The offset that must be handed out, or skipped, next. */
  get reached(): bigint {
    return this.#reached
  }

  /** A record is handed out: the next one, or {@link skippedTo} it came first. RangeError otherwise. */
  started(offset: bigint): void {
    if (offset !== this.#reached) throw new RangeError(`offset ${offset} is handed out where ${this.#reached} is next`)
    this.#open.add(offset)
    this.#order.push(offset)
    this.#reached = offset + 1n
    this.#tidy()
  }

  /** The log is known to hold no record between the last one handed out and `next`. RangeError when that was passed already. */
  skippedTo(next: bigint): void {
    if (next < this.#reached) throw new RangeError(`offset ${next} is skipped to where ${this.#reached} is next`)
    this.#reached = next
  }

  /** A record is complete. False for one that was not handed out, or is complete already. */
  done(offset: bigint): boolean {
    if (!this.#open.delete(offset)) return false
    while (this.#head < this.#order.length && !this.#open.has(this.#order[this.#head]!)) this.#head += 1
    this.#tidy()
    return true
  }

  /** The offset to commit: that of the first incomplete record, or where reading goes on. */
  get committable(): bigint {
    return this.#order[this.#head] ?? this.#reached
  }

  /** Records handed out that are not complete. */
  get incomplete(): number {
    return this.#open.size
  }

  /** Offsets held in memory; at most about twice as many as are incomplete. */
  get size(): number {
    return this.#order.length
  }

  /** As each call drops at least as many as it keeps, the work per record is constant. */
  #tidy(): void {
    if (this.#order.length < MIN_TIDIED || this.#order.length < 2 * this.#open.size) return
    this.#order = this.#order.filter((offset) => this.#open.has(offset))
    this.#head = 0
  }
}
