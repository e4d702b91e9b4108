import { Readable } from 'node:stream'
import { LongtakeError } from '@longtake/contracts'
import type { ByteRange } from './range.ts'

/** The state of a file: the layout of its media bytes, and the commit that wrote the header in front of them. */
export interface TrackVersion {
  generation: number
  commit: number
}

/** What a response was promised: every byte of it belongs to this version. */
export interface PromisedVersion extends TrackVersion {
  /** Bytes in front of the media, which every commit rewrites. Behind them a commit of the same generation only appends. */
  headerBytes: number
}

/** One range of a blob, with the metadata that the very same response carried. */
export interface Piece {
  bytes: AsyncIterable<Uint8Array>
  version: TrackVersion
}

/** Reads `count` bytes from `offset`; rejects when `signal` aborts. */
export type ReadPiece = (offset: number, count: number, signal: AbortSignal) => Promise<Piece>

/** Text between ranges (multipart boundaries), or a range of the file. */
export type Section = Uint8Array | ByteRange

/** Small enough that a commit between two pieces is seen soon, large enough to be cheap. */
export const PIECE_BYTES = 4 * 1024 * 1024

/** Longest wait for the storage's first answer, ms. Its own retries go on for longer than a player waits. */
const FIRST_PIECE_MS = 20_000

/**
 * The sections one after another, as a stream of bytes, once the first piece has been answered. Growth of the file is no error; when
 * bytes that are still to be sent moved or were rewritten since `promised`, the stream breaks off, so that the client sees a short
 * response and asks again. Destroying the stream aborts the read that is under way.
 * @throws MOVED_WHILE_READING when that is so before the first byte; UNAVAILABLE when storage does not answer in time
 */
export async function openTrack(read: ReadPiece, sections: readonly Section[], promised: PromisedVersion): Promise<Readable> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(new LongtakeError('UNAVAILABLE', 'storage did not answer in time')), FIRST_PIECE_MS)
  const content = readSections(read, sections, promised, abort.signal)
  let first: IteratorResult<Uint8Array>
  try {
    first = await content.next()
  } catch (error) {
    abort.abort()
    throw error
  } finally {
    clearTimeout(timer)
  }
  const stream = Readable.from(startingWith(first, content), { objectMode: false, highWaterMark: 256 * 1024 })
  // `close` comes only once the generator has returned, and that waits for the read under way: so abort it here.
  const destroy = stream._destroy.bind(stream)
  stream._destroy = (error, callback) => {
    abort.abort()
    destroy(error, callback)
  }
  return stream
}

async function* startingWith(first: IteratorResult<Uint8Array>, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.done !== true) yield first.value
  yield* rest
}

async function* readSections(read: ReadPiece, sections: readonly Section[], promised: PromisedVersion, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const section of sections) {
    if (section instanceof Uint8Array) {
      yield section
      continue
    }
    for (let offset = section.start; offset <= section.end; offset += PIECE_BYTES) {
      const { bytes, version } = await read(offset, Math.min(PIECE_BYTES, section.end - offset + 1), signal)
      if (!isOfVersion(offset, version, promised)) {
        const { generation, commit } = version
        throw new LongtakeError('MOVED_WHILE_READING', `the track is at generation ${generation}, commit ${commit}; this response is of generation ${promised.generation}, commit ${promised.commit}`)
      }
      yield* bytes
    }
  }
}

/** Whether a piece of a file may be sent in a response that promised `promised`. */
function isOfVersion(offset: number, version: TrackVersion, promised: PromisedVersion): boolean {
  return version.generation === promised.generation && (offset >= promised.headerBytes || version.commit === promised.commit)
}
