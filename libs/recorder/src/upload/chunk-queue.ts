/** What the upload session knows of a chunk; its bytes stay in the spool. */
export interface SpooledChunk {
  seq: number
  bytes: number
  /** When the browser handed it over: milliseconds since the epoch by this device's clock. */
  capturedAt: number
}

const COMPACT_FROM = 256

/** Chunks that wait to be sent, by seq. After hours offline it is long, so taking the first must not move the rest. */
export class ChunkQueue {
  #chunks: SpooledChunk[] = []
  #head = 0

  get size(): number {
    return this.#chunks.length - this.#head
  }

  first(): SpooledChunk | undefined {
    return this.#chunks[this.#head]
  }

  /** @param chunk behind all others, as recorders make them */
  push(chunk: SpooledChunk): void {
    this.#chunks.push(chunk)
  }

  shift(): void {
    this.#head += 1
    if (this.#head < COMPACT_FROM || this.#head * 2 < this.#chunks.length) return
    this.#chunks = this.#chunks.slice(this.#head)
    this.#head = 0
  }

  /** Takes chunks back that were sent in vain. */
  restore(chunks: Iterable<SpooledChunk>): void {
    this.#chunks = [...chunks, ...this.#chunks.slice(this.#head)].toSorted((a, b) => a.seq - b.seq)
    this.#head = 0
  }

  /** Takes out one of them, wherever it stands. */
  remove(seq: number): SpooledChunk | undefined {
    const index = this.#indexOf(seq)
    return index === undefined ? undefined : this.#chunks.splice(index, 1)[0]
  }

  has(seq: number): boolean {
    return this.#indexOf(seq) !== undefined
  }

  #indexOf(seq: number): number | undefined {
    let [low, high] = [this.#head, this.#chunks.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#chunks[middle]!.seq < seq) low = middle + 1
      else high = middle
    }
    return this.#chunks[low]?.seq === seq ? low : undefined
  }
}
