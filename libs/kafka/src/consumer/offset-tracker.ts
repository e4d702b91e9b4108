/**
 * Which offset of one partition may be committed, when records are handed out in order and completed in any. Never
 * past a record that is not complete. Pure.
 */
export class OffsetTracker {
  /** Handed out and not complete, rising; complete ones are dropped as soon as they are at the head. */
  #open: bigint[] = []
  #head = 0
  readonly #done = new Set<bigint>()
  #reached: bigint

  /** @param start the first offset that will be handed out or skipped: what is committed now */
  constructor(start: bigint) {
    this.#reached = start
  }

  /** A record is handed out. Offsets rise, but not always by one: compaction leaves holes. */
  started(offset: bigint): void {
    if (offset < this.#reached) throw new RangeError(`offset ${offset} was handed out or skipped before`)
    this.#open.push(offset)
    this.#reached = offset + 1n
  }

  /** There is no record between the last one handed out and `next`. */
  skippedTo(next: bigint): void {
    if (next > this.#reached) this.#reached = next
  }

  /** A record is complete. False for one that was not handed out, or is complete already. */
  done(offset: bigint): boolean {
    if (!this.#isOpen(offset) || this.#done.has(offset)) return false
    this.#done.add(offset)
    while (this.#head < this.#open.length && this.#done.delete(this.#open[this.#head]!)) this.#head += 1
    if (this.#head > 1024 && this.#head * 2 > this.#open.length) {
      this.#open = this.#open.slice(this.#head)
      this.#head = 0
    }
    return true
  }

  /** The offset to commit: that of the first incomplete record, or where reading goes on. */
  get committable(): bigint {
    return this.#open[this.#head] ?? this.#reached
  }

  /** Records handed out whose completion, or that of one before them, is awaited. */
  get waiting(): number {
    return this.#open.length - this.#head
  }

  #isOpen(offset: bigint): boolean {
    let low = this.#head
    let high = this.#open.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.#open[middle]!
      if (found === offset) return true
      if (found < offset) low = middle + 1
      else high = middle - 1
    }
    return false
  }
}
