import type { Ranges } from '@longtake/domain'

/**
 * Bytes kept of each chunk's SHA-256. They only tell a repeated chunk from another payload under its identity, which no sound
 * client makes: one in four billion of those is taken for a repetition. And a day of chunks is to fit into a checkpoint.
 */
export const DIGEST_BYTES = 4
const PAGE = 256

/** Digest prefixes by seq. */
export class Digests {
  readonly #pages = new Map<number, Uint8Array>()

  /** @param sha256 lower-case hex */
  set(seq: number, sha256: string): void {
    this.#write(seq, Buffer.from(sha256.slice(0, 2 * DIGEST_BYTES), 'hex'))
  }

  /** Whether the chunk kept under `seq` is that of this digest. */
  matches(seq: number, sha256: string): boolean {
    const at = (seq % PAGE) * DIGEST_BYTES
    const page = this.#pages.get(Math.floor(seq / PAGE))
    if (page === undefined) return false
    return Buffer.from(sha256.slice(0, 2 * DIGEST_BYTES), 'hex').equals(page.subarray(at, at + DIGEST_BYTES))
  }

  /** The digests of these seqs, one after another. */
  pack(ranges: Ranges): Uint8Array {
    const packed = new Uint8Array(ranges.reduce((sum, [from, to]) => sum + (to - from + 1) * DIGEST_BYTES, 0))
    let out = 0
    for (const [from, to] of ranges) {
      for (let seq = from; seq <= to; seq++) {
        const at = (seq % PAGE) * DIGEST_BYTES
        const page = this.#pages.get(Math.floor(seq / PAGE))
        if (page !== undefined) packed.set(page.subarray(at, at + DIGEST_BYTES), out)
        out += DIGEST_BYTES
      }
    }
    return packed
  }

  static unpack(ranges: Ranges, packed: Uint8Array): Digests {
    const digests = new Digests()
    let at = 0
    for (const [from, to] of ranges) {
      for (let seq = from; seq <= to; seq++, at += DIGEST_BYTES) digests.#write(seq, packed.subarray(at, at + DIGEST_BYTES))
    }
    return digests
  }

  #write(seq: number, digest: Uint8Array): void {
    const index = Math.floor(seq / PAGE)
    let page = this.#pages.get(index)
    if (page === undefined) this.#pages.set(index, (page = new Uint8Array(PAGE * DIGEST_BYTES)))
    page.set(digest, (seq % PAGE) * DIGEST_BYTES)
  }
}
