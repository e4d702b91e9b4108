/** One partition as one look at Kafka found it. */
export interface Progress {
  /** When the look began, in milliseconds since the epoch. */
  readonly at: number
  /** Where recordings.chunks ended then. */
  readonly chunksEnd: bigint
  /** Up to there block-writer has written it, and told so. */
  readonly written: bigint
  /** Where recordings.events ended after that. */
  readonly eventsEnd: bigint
}

/**
 * Finds out until when all that Kafka had taken of a partition is among the events that were folded: block-writer has to come
 * to where the chunks ended at that time, and we to where the events ended after that. No I/O.
 */
export class WrittenTo {
  #at = -Infinity
  #aim: { readonly at: number; readonly chunksEnd: bigint; eventsEnd: bigint | null } | null = null
  #folded: bigint

  /** @param folded offset of the next event */
  constructor(folded: bigint) {
    this.#folded = folded
  }

  /** Milliseconds since the epoch; `-Infinity` before anything is known. */
  get at(): number {
    return this.#at
  }

  folded(next: bigint): void {
    this.#folded = next
    this.#reach()
  }

  saw({ at, chunksEnd, written, eventsEnd }: Progress): void {
    this.#aim ??= { at, chunksEnd, eventsEnd: null }
    if (written >= this.#aim.chunksEnd) this.#aim.eventsEnd ??= eventsEnd
    this.#reach()
  }

  #reach(): void {
    if (this.#aim === null || this.#aim.eventsEnd === null || this.#folded < this.#aim.eventsEnd) return
    this.#at = this.#aim.at
    this.#aim = null
  }
}
