import { buffer } from 'node:stream/consumers'
import { isBlockOf, type Block, type BlobStore } from '@longtake/blob'
import PQueue from 'p-queue'
import { readFileHeader, readFrameTimes, WebmError, type FrameTime } from '@longtake/webm'
import type { ObservedBlock, ObservedFile } from './content.ts'

/**
 * Bytes of media that are read of one file. Six minutes of 45 KB/s are read wholly; of more, the first block, the last one and
 * others spread between them. Of 10,000 recordings that end together that is 160 GB at most, a minute at the 25 Gbit/s of one
 * storage account, and 20 requests each; all of three hours would be 4.9 TB, half an hour of everything that the account has.
 */
const MAX_READ_BYTES = 16 * 1024 * 1024
/** Files that one process reads at a time: of each a block of up to 10 MiB is in memory. */
const READ_AT_ONCE = 4

/** Reads files for all partitions of a process, a few at a time. */
export class ContentReader {
  readonly #store: BlobStore
  readonly #queue = new PQueue({ concurrency: READ_AT_ONCE })

  constructor(store: BlobStore) {
    this.#store = store
  }

  /**
   * Reads as much of a file as is needed to compare its content. Null when the blob is another version by now.
   * @param blocks as they are committed, the header first
   */
  async read(blob: string, blocks: readonly Block[], etag: string, signal: AbortSignal): Promise<ObservedFile | null> {
    return this.#queue.add(() => readContent(this.#store, blob, blocks, etag, signal), { signal })
  }
}

async function readContent(store: BlobStore, blob: string, blocks: readonly Block[], etag: string, signal: AbortSignal): Promise<ObservedFile | null> {
  const [headerBlock, ...media] = blocks
  if (headerBlock === undefined) return { bytes: 0, header: null, isHeaderIntact: true, blocks: [], isComplete: true }
  const read = async (offset: number, count: number): Promise<Uint8Array | null> => {
    const found = await store.readRange(blob, { offset, count, ifMatch: etag, signal })
    return found.outcome === 'read' ? buffer(found.body) : null
  }
  const first = await read(0, headerBlock.bytes)
  if (first === null) return null
  const chosen = new Set(chooseBlocks(media.map(({ bytes }) => bytes)))
  const observed: ObservedBlock[] = []
  let offset = 0
  for (const [i, { id, bytes }] of media.entries()) {
    if (chosen.has(i)) {
      const content = await read(headerBlock.bytes + offset, bytes)
      if (content === null) return null
      observed.push({ offset, bytes, isIntact: isBlockOf(id, content), frames: framesIn(content) })
    }
    offset += bytes
  }
  const isHeaderIntact = isBlockOf(headerBlock.id, first)
  return { bytes: headerBlock.bytes + offset, header: readFileHeader(first), isHeaderIntact, blocks: observed, isComplete: chosen.size === media.length }
}

/**
 * Which blocks of these lengths to read: all, or the first, the last and others evenly spread, as long as they are not too
 * many bytes. The same for the same file, so that two looks at it find the same.
 */
export function chooseBlocks(lengths: readonly number[], maxBytes: number = MAX_READ_BYTES): number[] {
  const total = lengths.reduce((sum, bytes) => sum + bytes, 0)
  if (total <= maxBytes) return lengths.map((_, i) => i)
  const chosen = new Set([0, lengths.length - 1])
  let bytes = [...chosen].reduce((sum, i) => sum + lengths[i]!, 0)
  const count = Math.max(2, Math.floor(maxBytes / (total / lengths.length)))
  for (let i = 1; i < count - 1; i++) {
    const at = Math.round((i * (lengths.length - 1)) / (count - 1))
    if (chosen.has(at) || bytes + lengths[at]! > maxBytes) continue
    chosen.add(at)
    bytes += lengths[at]!
  }
  return [...chosen].sort((a, b) => a - b)
}

function framesIn(bytes: Uint8Array): readonly FrameTime[] | null {
  try {
    return readFrameTimes(bytes)
  } catch (error) {
    if (error instanceof WebmError) return null
    throw error
  }
}
