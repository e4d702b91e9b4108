import type { NewChunk } from './spool.ts'

const MOST_BYTES = 8 * 1024 * 1024

/**
 * Chunks that the browser's store does not take, in memory until they are sent, or it takes them: nobody expects a loss
 * while the network is fine. They are few, so that memory stays bounded, and do not outlive the page.
 */
export class Overflow {
  readonly #chunks = new Map<string, NewChunk>()
  #bytes = 0

  get isEmpty(): boolean {
    return this.#chunks.size === 0
  }

  /** The one that has waited longest. */
  get first(): NewChunk | undefined {
    return this.#chunks.values().next().value
  }

  /** @returns false where there is no room here either */
  add(chunk: NewChunk): boolean {
    if (this.#bytes + chunk.payload.byteLength > MOST_BYTES) return false
    this.#bytes += chunk.payload.byteLength
    this.#chunks.set(keyOf(chunk.part, chunk.seq), chunk)
    return true
  }

  read(part: string, seq: number): NewChunk | undefined {
    return this.#chunks.get(keyOf(part, seq))
  }

  forget(part: string, from: number, to: number): void {
    for (const [key, chunk] of this.#chunks) {
      if (chunk.part !== part || chunk.seq < from || chunk.seq > to) continue
      this.#bytes -= chunk.payload.byteLength
      this.#chunks.delete(key)
    }
  }

  clear(): void {
    this.#chunks.clear()
    this.#bytes = 0
  }
}

const keyOf = (part: string, seq: number): string => `${part} ${seq}`
