import type { DelayCause } from './delayed-chunks.ts'

/** So many chunks in a row that are not to be read are no coincidence: something keeps the store's bytes from everybody. */
const TOO_MANY = 3
/** But if that lasts it is damage, and the page that sends what is left may not stay open for long. */
export const LONGEST_FAULT_MS = 10 * 60_000

/** Tells a chunk that is damaged from a store that for a while gives no chunk's bytes, as when memory or file handles are short. */
export class ReadFaults {
  /** Of the chunks that were read in vain since the last that was not, some. */
  readonly #chunks = new Set<string>()
  #since = 0

  /** A chunk was read. */
  read(): void {
    this.#chunks.clear()
  }

  /** A chunk's bytes were not given. @param now milliseconds of a clock that is never set */
  failed(part: string, seq: number, now: number): DelayCause {
    if (this.#chunks.size === 0) this.#since = now
    if (this.#chunks.size < TOO_MANY) this.#chunks.add(`${part} ${seq}`)
    return this.#chunks.size < TOO_MANY || now - this.#since >= LONGEST_FAULT_MS ? 'unreadable' : 'store-away'
  }
}
