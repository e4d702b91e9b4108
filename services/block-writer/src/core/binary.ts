/** Byte arrays one after another; their lengths are kept by whoever writes them. */
export class BinaryWriter {
  readonly #parts: Uint8Array[] = []

  /** Returns how many bytes these were, to be given to `take`. */
  put(bytes: Uint8Array): number {
    this.#parts.push(bytes)
    return bytes.length
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts)
  }
}

/** Reads what a `BinaryWriter` wrote, in the same order. */
export class BinaryReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The next `length` bytes, as a view. Throws a RangeError when so many are not there. */
  take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new RangeError('the checkpoint ends early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
