import type { ChunkRecord } from '@longtake/contracts'

/** Chunks of a part that wait until the hole before them is filled. */
export class HeldChunks {
  readonly #chunks = new Map<number, ChunkRecord>()
  #since: number | null = null
  #released: ChunkRecord[] = []

  get size(): number {
    return this.#chunks.size
  }

  /** When the first of these chunks was held, ms; null while there is none. */
  get since(): number | null {
    return this.#since
  }

  get(seq: number): ChunkRecord | undefined {
    return this.#chunks.get(seq)
  }

  hold(chunk: ChunkRecord, now: number): void {
    this.#chunks.set(chunk.seq, chunk)
    this.#since ??= now
  }

  hasAnyOf(from: number, to: number): boolean {
    // The shorter of the two is searched.
    if (to - from >= this.#chunks.size) return this.#chunks.keys().some((seq) => from <= seq && seq <= to)
    for (let seq = from; seq <= to; seq++) if (this.#chunks.has(seq)) return true
    return false
  }

  /** Takes one out; undefined when it is not held. */
  release(seq: number): ChunkRecord | undefined {
    const chunk = this.#chunks.get(seq)
    if (chunk === undefined) return undefined
    this.#chunks.delete(seq)
    this.#released.push(chunk)
    if (this.#chunks.size === 0) this.#since = null
    return chunk
  }

  /** All seqs that are held, ascending. */
  seqs(): number[] {
    return [...this.#chunks.keys()].toSorted((a, b) => a - b)
  }

  /** What was released since the last call. */
  takeReleased(): readonly ChunkRecord[] {
    if (this.#released.length === 0) return NONE
    const released = this.#released
    this.#released = []
    return released
  }
}

const NONE: readonly ChunkRecord[] = []
