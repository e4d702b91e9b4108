import type { LeadIn } from './continuation.ts'

/** Consecutive chunks of a part as they came, kept beside the file until what surrounds them is whole. */
export interface RawPiece {
  readonly from: number
  /** Bytes of each chunk from `from` on. */
  readonly lengths: readonly number[]
  /** The pending blob that holds exactly these bytes; null while they are only in memory. */
  readonly blob: string | null
  /** Null when they must be read from the blob. */
  readonly bytes: Uint8Array | null
  /** When each chunk was captured, ms since the epoch; not known of chunks that an earlier version put into a blob. */
  readonly capturedAt?: readonly (number | null)[]
}

/**
 * What work asks of its caller. `load`: the bytes of this pending blob, which the step that asks uses at once; nothing where
 * they are not there any more as they were written. `read`: media
 * of a file, or nothing where that cannot be read. `pause`: everything is consistent, so what was made until now may be
 * committed before more is loaded.
 */
export type WorkStep = { readonly kind: 'load'; readonly blob: string; readonly length: number } | { readonly kind: 'read'; readonly media: LeadIn } | { readonly kind: 'pause' }

/**
 * Work that stops wherever it needs a blob and goes on there with its bytes. Bytes are never kept for later, so memory is
 * bounded by one blob whatever its size; and every load is used up by the step behind it, so work ends.
 */
export type Work<T = void> = Generator<WorkStep, T, Uint8Array | undefined>

export const PAUSE: WorkStep = { kind: 'pause' }

/**
 * The bytes of a pending blob of this length. Bytes that are lost are zeros, which no container contains so: what they were
 * part of is dropped and reported as damaged, and decoding goes on behind them.
 */
export function* load(blob: string, length: number): Work<Uint8Array> {
  const bytes = yield { kind: 'load', blob, length }
  return bytes ?? new Uint8Array(length)
}

/** Calls `beforePause` whenever `work` pauses. */
export function* pausing(work: Work, beforePause: () => void): Work {
  for (let step = work.next(); step.done !== true; ) {
    if (step.value.kind === 'pause') beforePause()
    step = work.next(yield step.value)
  }
}

export const rawLength = (piece: RawPiece): number => piece.lengths.reduce((sum, length) => sum + length, 0)
export const lastSeq = (piece: RawPiece): number => piece.from + piece.lengths.length - 1

/** A piece's bytes, from its blob where they are not here. A piece has its bytes or a blob that holds them: see its makers. */
export function* bytesOf(piece: RawPiece): Work<Uint8Array> {
  return piece.bytes ?? (yield* load(piece.blob!, rawLength(piece)))
}

/** The chunks of a piece, each with its bytes. */
export function* chunksOf(piece: RawPiece, bytes: Uint8Array): Generator<{ seq: number; bytes: Uint8Array; capturedAt: number | null }> {
  let at = 0
  for (const [i, length] of piece.lengths.entries()) {
    yield { seq: piece.from + i, bytes: bytes.subarray(at, at + length), capturedAt: piece.capturedAt?.[i] ?? null }
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
    const capturedAt = open.flatMap((piece) => piece.capturedAt ?? piece.lengths.map(() => null))
    stored.push({ from, lengths, blob, bytes: null, capturedAt })
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
