import { buffer } from 'node:stream/consumers'
import { isBlockOf, type Block, type BlobStore } from '@longtake/blob'
import type { FileState } from '@longtake/contracts'
import PQueue from 'p-queue'
import { readFileHeader, readFrameTimes, WebmError, type FrameTime } from '@longtake/webm'
import type { ObservedBlock, ObservedFile } from './content.ts'

/** Up to so many bytes of media a file is read as a whole, by one request: 45 s of a webcam. */
const WHOLE_BYTES = 2 * 1024 * 1024
/**
 * Of a longer file the first block, the last one and others spread between them are read, within these limits. Requests
 * cost as much as bytes when hundreds of recordings end together: reading 8 MB in 30 blocks took 210 of the 240 ms of
 * CPU that a finalization cost in this process and Azurite. Of 10,000 recordings that end together 80 GB are read at
 * most, half a minute at the 25 Gbit/s of one storage account; all of three hours would be 4.9 TB and occupy the
 * account for half an hour.
 */
const MAX_BLOCKS = 6
const MAX_READ_BYTES = 8 * 1024 * 1024
/** Neighbouring blocks, including the header, are read by one request of at most this size. */
const MAX_RUN_BYTES = WHOLE_BYTES + 512 * 1024
/**
 * Files that one process reads at a time, each with one request of up to 2.5 MiB, or a block of up to 10 MiB, in
 * memory.
 */
const READ_AT_ONCE = 8
/** Commits that are remembered as sound; each takes about 200 bytes. */
const MAX_SOUND_COMMITS = 10_000

/** Reads files for all partitions of a process, a few at a time. */
export class ContentReader {
  readonly #store: BlobStore
  readonly #queue = new PQueue({ concurrency: READ_AT_ONCE })
  readonly #sound = new Set<string>()

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

  /**
   * Whether this commit was remembered as sound: the content of a commit never changes, so it need not be read again.
   */
  isSound(file: FileCommit): boolean {
    return this.#sound.has(keyOf(file))
  }

  rememberSound(file: FileCommit): void {
    this.#sound.add(keyOf(file))
    const [oldest] = this.#sound
    if (this.#sound.size > MAX_SOUND_COMMITS && oldest !== undefined) this.#sound.delete(oldest)
  }
}

type FileCommit = Pick<FileState, 'blob' | 'commit'>
const keyOf = ({ blob, commit }: FileCommit): string => `${blob} ${commit.id}`

/** A block with its place in the file. */
interface Placed extends Block {
  readonly offset: number
}

async function readContent(store: BlobStore, blob: string, blocks: readonly Block[], etag: string, signal: AbortSignal): Promise<ObservedFile | null> {
  const [header, ...media] = placed(blocks)
  if (header === undefined) return { bytes: 0, header: null, isHeaderIntact: true, blocks: [], isComplete: true }
  const chosen = chooseBlocks(media.map(({ bytes }) => bytes)).map((i) => media[i]!)
  const observed: ObservedBlock[] = []
  let first: Uint8Array | undefined
  for (const run of runsOf([header, ...chosen])) {
    const from = run[0]!.offset
    const found = await store.readRange(blob, { offset: from, count: endOf(run.at(-1)!) - from, ifMatch: etag, signal })
    if (found.outcome !== 'read') return null
    const content = await buffer(found.body)
    for (const block of run) {
      const bytes = content.subarray(block.offset - from, endOf(block) - from)
      if (block === header) first = bytes
      else observed.push({ offset: block.offset - header.bytes, bytes: block.bytes, isIntact: isBlockOf(block.id, bytes), frames: framesIn(bytes) })
    }
  }
  return {
    bytes: endOf(media.at(-1) ?? header),
    header: readFileHeader(first!),
    isHeaderIntact: isBlockOf(header.id, first!),
    blocks: observed,
    isComplete: chosen.length === media.length,
  }
}

function placed(blocks: readonly Block[]): Placed[] {
  let offset = 0
  return blocks.map((block) => {
    const at = offset
    offset += block.bytes
    return { ...block, offset: at }
  })
}

const endOf = ({ offset, bytes }: Placed): number => offset + bytes

/** Groups neighbouring blocks into requests of at most `MAX_RUN_BYTES`. */
function runsOf(blocks: readonly Placed[]): Placed[][] {
  const runs: Placed[][] = []
  for (const block of blocks) {
    const run = runs.at(-1)
    const isNext = run !== undefined && endOf(run.at(-1)!) === block.offset && endOf(block) - run[0]!.offset <= MAX_RUN_BYTES
    if (isNext) run.push(block)
    else runs.push([block])
  }
  return runs
}

/**
 * Indexes of the blocks to read, by their lengths in bytes: all of a short file, otherwise the first, the last and
 * others evenly spread, within `MAX_BLOCKS` and `MAX_READ_BYTES`. Deterministic, so that a repeated verification has
 * the same result.
 */
export function chooseBlocks(lengths: readonly number[]): number[] {
  const total = lengths.reduce((sum, bytes) => sum + bytes, 0)
  if (total <= WHOLE_BYTES) return lengths.map((_, i) => i)
  const chosen = new Set([0, lengths.length - 1])
  let bytes = [...chosen].reduce((sum, i) => sum + lengths[i]!, 0)
  const count = Math.min(MAX_BLOCKS, Math.max(2, Math.floor(MAX_READ_BYTES / (total / lengths.length))))
  for (let i = 1; i < count - 1; i++) {
    const at = Math.round((i * (lengths.length - 1)) / (count - 1))
    if (chosen.has(at) || bytes + lengths[at]! > MAX_READ_BYTES) continue
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
