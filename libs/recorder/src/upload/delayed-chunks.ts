import type { SpooledChunk } from './chunk-queue.ts'

/** So often a store that is well may fail to give a chunk, in half a minute: then its bytes are damaged. */
export const READS = 5
const FIRST_DELAY_MS = 2000
export const LONGEST_DELAY_MS = 30_000

/** `unreadable`: the store answers, but does not give this chunk's bytes. `store-away`: it did not open or answer, which is no fault of the chunk. */
export type DelayCause = 'unreadable' | 'store-away'

/** Chunks of a part that the spool did not give when they were to be sent: later it may. Times are milliseconds since the epoch. */
export class DelayedChunks {
  readonly #waiting = new Map<number, { chunk: SpooledChunk; until: number }>()
  readonly #tries = new Map<number, { failed: number; unreadable: number }>()

  get size(): number {
    return this.#waiting.size
  }

  get chunks(): SpooledChunk[] {
    return [...this.#waiting.values()].map(({ chunk }) => chunk)
  }

  has(seq: number): boolean {
    return this.#waiting.has(seq)
  }

  /** @returns whether there is hope for it; if not, it is not taken in */
  delay(chunk: SpooledChunk, cause: DelayCause, now: number): boolean {
    const tries = this.#tries.get(chunk.seq) ?? { failed: 0, unreadable: 0 }
    const next = { failed: tries.failed + 1, unreadable: tries.unreadable + (cause === 'unreadable' ? 1 : 0) }
    if (next.unreadable >= READS) return false
    this.#tries.set(chunk.seq, next)
    this.#waiting.set(chunk.seq, { chunk, until: now + Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** tries.failed) })
    return true
  }

  /** Takes out what is to be tried again. */
  due(now: number): SpooledChunk[] {
    // A clock that was set back must not make it last.
    const due = [...this.#waiting.values()].filter(({ until }) => until <= now || until > now + LONGEST_DELAY_MS).map(({ chunk }) => chunk)
    for (const { seq } of due) this.#waiting.delete(seq)
    return due
  }

  remove(seq: number): SpooledChunk | undefined {
    const delayed = this.#waiting.get(seq)
    this.#waiting.delete(seq)
    return delayed?.chunk
  }

  /** Of a chunk that is durable, or given up. */
  forget(seq: number): void {
    this.#tries.delete(seq)
  }
}
