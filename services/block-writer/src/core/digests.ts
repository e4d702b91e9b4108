import type { Ranges } from '@longtake/domain'

/**
 * Bytes kept of each chunk's SHA-256. They only tell a repeated chunk from another payload under its identity, which no sound
 * client makes: one in four billion of those is taken for a repetition. And a day of chunks is to fit into a checkpoint.
 */
export const DIGEST_BYTES = 4
/** Seqs of one page; a page takes memory up to its highest seq. */
const PAGE = 4_096
const MIN_PAGE_BYTES = 16 * DIGEST_BYTES

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
    for (const { page, at, count } of stretches(ranges)) {
      const bytes = this.#pages.get(page)?.subarray(at * DIGEST_BYTES, (at + count) * DIGEST_BYTES)
      if (bytes !== undefined) packed.set(bytes, out)
      out += count * DIGEST_BYTES
    }
    return packed
  }

  static unpack(ranges: Ranges, packed: Uint8Array): Digests {
    const digests = new Digests()
    let from = 0
    for (const { page, at, count } of stretches(ranges)) {
      const length = count * DIGEST_BYTES
      digests.#reserve(page, at * DIGEST_BYTES + length, 0).set(packed.subarray(from, from + length), at * DIGEST_BYTES)
      from += length
    }
    return digests
  }

  #write(seq: number, digest: Uint8Array): void {
    const at = (seq % PAGE) * DIGEST_BYTES
    const page = this.#reserve(Math.floor(seq / PAGE), at + DIGEST_BYTES, 1 / 8)
    page.set(digest, at)
  }

  /** The page with room for so many bytes; enlarged, if need be, by at least such a share. */
  #reserve(index: number, bytes: number, share: number): Uint8Array {
    const page = this.#pages.get(index)
    if (page !== undefined && page.length >= bytes) return page
    const before = page?.length ?? 0
    const enlarged = new Uint8Array(Math.min(PAGE * DIGEST_BYTES, Math.max(bytes, MIN_PAGE_BYTES, Math.ceil(before * (1 + share)))))
    if (page !== undefined) enlarged.set(page)
    this.#pages.set(index, enlarged)
    return enlarged
  }
}

/** The seqs of these ranges, cut where pages end. */
function* stretches(ranges: Ranges): Generator<{ page: number; at: number; count: number }> {
  for (const [from, to] of ranges) {
    for (let seq = from; seq <= to; ) {
      const at = seq % PAGE
      const count = Math.min(PAGE - at, to - seq + 1)
      yield { page: Math.floor(seq / PAGE), at, count }
      seq += count
    }
  }
}
