/** Consecutive chunks of a part as they came, kept beside the file until what surrounds them is whole. */
export interface RawPiece {
  readonly from: number
  /** Bytes of each chunk from `from` on. */
  readonly lengths: readonly number[]
  /** The pending blob that holds exactly these bytes; null while they are only in memory. */
  readonly blob: string | null
  /** Null when they must be read from the blob. */
  readonly bytes: Uint8Array | null
}

/** Bytes that must be read from storage before work can go on, by blob name. */
export class LoadedBlobs {
  readonly #bytes = new Map<string, Uint8Array>()
  readonly #wanted = new Map<string, number>()

  /** The bytes, or null, and then they are wanted; a length of 0 means, whatever else is. */
  get(blob: string, length: number): Uint8Array | null {
    const bytes = this.#bytes.get(blob)
    if (bytes === undefined) this.#wanted.set(blob, length)
    return bytes ?? null
  }

  provide(blob: string, bytes: Uint8Array): void {
    this.#wanted.delete(blob)
    this.#bytes.set(blob, bytes)
  }

  /** Names wanted since the last call, the first always and more up to `maxBytes`; then nothing is wanted any more. */
  takeWanted(maxBytes: number): string[] {
    const names: string[] = []
    let sum = 0
    for (const [name, length] of this.#wanted) {
      if (names.length > 0 && sum + length > maxBytes) break
      names.push(name)
      sum += length
    }
    this.#wanted.clear()
    return names
  }

  /** Forgets what was provided: who needs it in several pieces wants them all at once. */
  clear(): void {
    this.#bytes.clear()
    this.#wanted.clear()
  }
}

export const rawLength = (piece: RawPiece): number => piece.lengths.reduce((sum, length) => sum + length, 0)
export const lastSeq = (piece: RawPiece): number => piece.from + piece.lengths.length - 1

/** A piece's bytes, or null, and then they are wanted: soon, or `at once` with all others that are. */
export function bytesOf(piece: RawPiece, loaded: LoadedBlobs, when: 'soon' | 'at once' = 'soon'): Uint8Array | null {
  if (piece.bytes !== null) return piece.bytes
  // A piece has its bytes or a blob that holds them: see its makers.
  return loaded.get(piece.blob!, when === 'soon' ? rawLength(piece) : 0)
}

/** The chunks of a piece, each with its bytes. */
export function* chunksOf(piece: RawPiece, bytes: Uint8Array): Generator<{ seq: number; bytes: Uint8Array }> {
  let at = 0
  for (const [i, length] of piece.lengths.entries()) {
    yield { seq: piece.from + i, bytes: bytes.subarray(at, at + length) }
    at += length
  }
}

/** A pending blob to be written before a commit names it. */
export interface NewPendingBlob {
  readonly name: string
  readonly parts: readonly Uint8Array[]
}

/**
 * Gives every piece that is only in memory a blob, neighbours sharing one of at most `maxBytes`.
 * @param name blob name for the chunks `from` to `to`; unique to the commit, so that no late delete of another writer hits it
 */
export function storeRaw(
  pieces: readonly RawPiece[],
  maxBytes: number,
  name: (from: number, to: number) => string,
  out: NewPendingBlob[],
): RawPiece[] {
  const stored: RawPiece[] = []
  let open: RawPiece[] = []
  let openBytes = 0
  const close = (): void => {
    if (open.length === 0) return
    const from = open[0]!.from
    const lengths = open.flatMap((piece) => piece.lengths)
    const blob = name(from, from + lengths.length - 1)
    out.push({ name: blob, parts: open.map((piece) => piece.bytes!) })
    stored.push({ from, lengths, blob, bytes: null })
    open = []
    openBytes = 0
  }
  for (const piece of pieces) {
    const length = rawLength(piece)
    const last = open.at(-1)
    if (piece.blob !== null || openBytes + length > maxBytes || (last !== undefined && lastSeq(last) + 1 !== piece.from)) close()
    if (piece.blob !== null) {
      stored.push({ ...piece, bytes: null })
    } else {
      open.push(piece)
      openBytes += length
    }
  }
  close()
  return stored
}
