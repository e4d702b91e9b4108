import { Readable } from 'node:stream'
import { LongtakeError } from '@longtake/contracts'
import type { TrackVersion } from './range.ts'

/** One range of a blob, with the metadata that the very same response carried. */
export interface Piece {
  bytes: AsyncIterable<Uint8Array>
  version: TrackVersion
}

/** Reads `count` bytes from `offset`; rejects when `signal` aborts. */
export type ReadPiece = (offset: number, count: number, signal: AbortSignal) => Promise<Piece>

/** Small enough that a commit between two pieces is seen soon, large enough to be cheap. */
export const PIECE_BYTES = 4 * 1024 * 1024

/**
 * The bytes `start` … `end` (inclusive) of a track that may grow meanwhile. Growth is no error; when media bytes moved
 * (the generation changed) the stream breaks off, so that the client sees a short response and asks again.
 * Destroying the stream aborts the read that is under way.
 */
export function streamTrack(read: ReadPiece, { start, end, generation }: { start: number; end: number; generation: number }): Readable {
  const abort = new AbortController()
  const stream = Readable.from(pieces(read, start, end, generation, abort.signal), { objectMode: false, highWaterMark: 256 * 1024 })
  // `close` comes only once the generator has returned, and that waits for the read under way: so abort it here.
  const destroy = stream._destroy.bind(stream)
  stream._destroy = (error, callback) => {
    abort.abort()
    destroy(error, callback)
  }
  return stream
}

async function* pieces(read: ReadPiece, start: number, end: number, generation: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let offset = start; offset <= end; offset += PIECE_BYTES) {
    const piece = await read(offset, Math.min(PIECE_BYTES, end - offset + 1), signal)
    if (piece.version.generation !== generation) {
      throw new LongtakeError('MOVED_WHILE_READING', `the track's layout changed from generation ${generation} to ${piece.version.generation}`)
    }
    yield* piece.bytes
  }
}
