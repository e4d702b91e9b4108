import { BLOBS, type EventOf } from '@longtake/contracts'
import { buildHeader, DEFAULT_HEADER_SIZE, unpackCues, WebmError, type Cue } from '@longtake/webm'
import { encodeCheckpoint } from './checkpoint.ts'
import { blobsOf, type TrackFile } from './file.ts'
import { partState } from './part-state.ts'
import type { Part } from './part.ts'
import { intoBlocks, withIds, type NewBlock, type PlannedPiece } from './piece.ts'
import type { PackedPieces } from './piece-list.ts'
import { storeRaw, type NewPendingBlob } from './raw.ts'
import type { Run } from './run.ts'
import type { Track } from './track.ts'

export interface CommitLimits {
  readonly maxBlockBytes: number
  readonly headerBytes: number
  /** Of one blob. */
  readonly maxBlocks: number
}

/** A block takes all of a commit that is due for its size, with the chunk that made it so. */
export const COMMIT_LIMITS: CommitLimits = { maxBlockBytes: 10 * 1024 * 1024, headerBytes: DEFAULT_HEADER_SIZE, maxBlocks: 50_000 }

/** Names in a blob's metadata. All values are text. */
export const METADATA = {
  commitId: 'commitid',
  number: 'number',
  /** Grows only when media bytes moved: a reader's offsets are good as long as it stays. */
  generation: 'generation',
  /** Name of the side blob. */
  checkpoint: 'checkpoint',
  /** SHA-256 of its bytes, hex. */
  checkpointDigest: 'checkpointsha256',
  /** Offset in recordings.chunks below which all of the track is in this commit; decimal. */
  nextOffset: 'nextoffset',
  /** Offset from which on nothing is in this commit; higher where a record in between was held at a hole. */
  endOffset: 'endoffset',
  durationMs: 'durationms',
  /** Bytes in front of the media: what every commit rewrites. */
  headerBytes: 'headerbytes',
} as const

/** The commit that wrote a side blob, from its name; null where it says none. */
export function writtenBy(name: string): { readonly file: number; readonly number: number } | null {
  const found = /\/checkpoints\/(\d+)\/(\d+)-/.exec(name) ?? /\.(\d+)\.(\d+)\.[^./]+$/.exec(name)
  return found === null ? null : { file: Number(found[1]), number: Number(found[2]) }
}

/** Pending blobs are read back whole. */
const MAX_PENDING_BLOB = 4 * 1024 * 1024
/** A tail above this goes into a pending blob, so that checkpoints stay small. */
const MAX_INLINE_TAIL = 64 * 1024
/** The same for tails that will not change soon: there may be hundreds, one at each hole. */
const MAX_RESTING_TAIL = 64

/** What a commit must write first. */
export interface CommitPlan {
  readonly blob: string
  readonly blocks: readonly NewBlock[]
  readonly pending: readonly NewPendingBlob[]
  /** Where a committed block stands in the blob as it is. */
  offsetOf(id: string): number
  /** The rest, once the new blocks have their ids. Changes the track's state: call it once, and commit or throw the track away. */
  seal(ids: readonly string[]): SealedCommit
}

export interface SealedCommit {
  /** The first block; null for a file that has none of its own (MP4, or nothing yet). */
  readonly header: Uint8Array | null
  /** The blocks behind it, in order. */
  readonly blockIds: readonly string[]
  readonly checkpoint: { readonly name: string; readonly bytes: Uint8Array }
  readonly contentType: string
  readonly metadata: Record<string, string>
  readonly event: CommitEvent
  /** Side blobs that nothing needs once this is committed. */
  obsolete(): string[]
}

/**
 * Plans one commit of a file as it is now.
 * @param commitId unique among all commits ever; names the checkpoint and pending blobs, too
 * @param nextOffset offset in recordings.chunks below which all of the track is taken
 */
export function planCommit(track: Track, file: TrackFile, commitId: string, nextOffset: bigint, limits: CommitLimits = COMMIT_LIMITS): CommitPlan {
  const parts = partsOf(track, file)
  const blocks: NewBlock[] = []
  const pending: NewPendingBlob[] = []
  const planned = new Map<Run, { before: PlannedPiece[]; after: PlannedPiece[] }>()
  const changed = new Set(parts.filter(({ dirty }) => dirty))
  for (const part of parts) {
    // All of it is stored, and it waits for nothing.
    if (!changed.has(part)) for (const run of part.runs) run.rest()
    if (!changed.has(part)) continue
    const prefix = `${BLOBS.pendingPrefix(track.session, track.name)}${part.id}/`
    for (const run of part.runs) {
      storeRun(run, run === part.runs.at(-1), (chunks) => `${prefix}${chunks}.${file.number}.${file.commitNumber + 1}.${commitId}`, limits, pending)
      planned.set(run, { before: intoBlocks(run.before.rest, limits.maxBlockBytes, blocks), after: intoBlocks(run.after.rest, limits.maxBlockBytes, blocks) })
    }
  }
  const blob = BLOBS.file(track.session, track.name, file.number)
  const there = parts.reduce((sum, { runs }) => sum + runs.reduce((blocksOfRuns, { before, after }) => blocksOfRuns + before.packed.length + after.packed.length, 0), 0)
  const count = 1 + there + planned.values().reduce((sum, { before, after }) => sum + before.length + after.length, 0)
  if (count > limits.maxBlocks) throw new Error(`${blob} would have ${count} blocks, and a blob has at most ${limits.maxBlocks}`)
  return { blob, blocks, pending, offsetOf: (id) => offsetIn(file, id), seal }

  function seal(ids: readonly string[]): SealedCommit {
    for (const [run, { before, after }] of planned) {
      run.before.settle(withIds(before, ids))
      run.after.settle(withIds(after, ids))
    }
    const media = file.blocks
    if (!isBeginningOf(file.committed, media)) file.generation++
    file.committed = media
    const durationMs = durationOf(file)
    const header = headerOf(file, durationMs, limits)
    // A header that had to grow moves all media.
    if (header !== null && file.headerBytes !== 0 && header.length !== file.headerBytes) file.generation++
    file.headerBytes = header?.length ?? 0
    file.commitNumber++
    file.commitId = commitId
    // An owner that was given no record of the track yet knows only that of the commit before.
    if (nextOffset > file.nextOffset) file.nextOffset = nextOffset
    file.dirty = false
    track.planned(parts)
    const { commitNumber: number, generation, startedAt, container, headerBytes } = file
    const name = `${BLOBS.checkpointPrefix(track.session, track.name, file.number)}${number}-${commitId}`
    const retained = noLongerNeeded(track, file, parts)
    const checkpoint = encodeCheckpoint({ ...(retained.length === 0 ? {} : { retained }), number, commitId, generation, nextOffset: String(file.nextOffset), startedAt, container, header: file.header, headerBytes, closedFiles: track.closedFiles, parts }, (part) => changed.has(part))
    const contentType = contentTypeOf(file, parts)
    return {
      header,
      blockIds: media.flatMap((blocks) => blocks.ids()),
      checkpoint: { name, bytes: checkpoint },
      contentType,
      metadata: {
        [METADATA.commitId]: commitId,
        [METADATA.number]: String(number),
        [METADATA.generation]: String(generation),
        [METADATA.checkpoint]: name,
        [METADATA.durationMs]: String(durationMs),
        [METADATA.headerBytes]: String(headerBytes),
      },
      event: commitEvent(track, file, contentType, durationMs),
      obsolete: () => replaceSideBlobs(file, parts, name, retained),
    }
  }
}

export type CommitEvent = Omit<EventOf<'blocks-committed'>, 'blocks' | 'at'>

/** The event that reports a file's last commit, with all its parts. */
export function commitEvent(track: Track, file: TrackFile, contentType: string, durationMs = durationOf(file)): CommitEvent {
  return {
    type: 'blocks-committed',
    session: track.session,
    track: track.name,
    file: file.number,
    blob: BLOBS.file(track.session, track.name, file.number),
    mimeType: contentType,
    bytes: file.headerBytes + file.mediaBytes,
    durationMs,
    startedAt: file.startedAt,
    commit: { number: file.commitNumber, id: file.commitId ?? '' },
    generation: file.generation,
    codecs: file.header?.tracks.map(({ codecId }) => codecId) ?? [],
    parts: partsOf(track, file).map(partState),
    nextOffset: String(file.nextOffset),
  }
}

/** The first file that can be written also keeps the parts that have no place yet. */
function partsOf(track: Track, file: TrackFile): readonly Part[] {
  if (file.closed) return [...file.parts, ...file.unplaced]
  return file === track.home ? [...file.parts, ...track.unplaced] : file.parts
}
const durationOf = (file: TrackFile): number => file.spans.reduce((latest, { endMs }) => Math.max(latest, endMs), 0)

/** Where a committed block stands in a file's blob. */
export function offsetIn(file: TrackFile, id: string): number {
  let offset = file.headerBytes
  for (const blocks of file.committed) {
    const found = blocks.rowOf(id)
    for (let row = 0; row < (found < 0 ? blocks.length : found); row++) offset += blocks.lengthAt(row)
    if (found >= 0) return offset
  }
  throw new Error(`no committed block ${id}`)
}

/** Whether these are the first of those blocks. */
function isBeginningOf(first: readonly PackedPieces[], all: readonly PackedPieces[]): boolean {
  let [list, row] = [0, 0]
  for (const blocks of first) {
    for (let i = 0; i < blocks.length; i++, row++) {
      if (row === all[list]?.length) [list, row] = [list + 1, 0]
      const other = all[list]
      if (other === undefined || !blocks.isSame(i, other, row)) return false
    }
  }
  return true
}

/** Puts what must outlive this process, and is not media, into pending blobs. */
function storeRun(run: Run, isLast: boolean, nameOf: (chunks: string) => string, limits: CommitLimits, pending: NewPendingBlob[]): void {
  const name = (from: number, to: number): string => nameOf(`${from}-${to}`)
  const maxBytes = Math.min(limits.maxBlockBytes, MAX_PENDING_BLOB)
  run.raw = storeRaw(run.raw, maxBytes, name, pending)
  run.unfed = storeRaw(run.unfed, maxBytes, name, pending)
  run.kept = storeRaw(run.kept, maxBytes, (from, to) => nameOf(`kept-${from}-${to}`), pending)
  const saved = run.snapshot()
  if (saved === null || saved.tail.bytes === null) return
  const isLarge = saved.tail.length > (isLast ? MAX_INLINE_TAIL : MAX_RESTING_TAIL)
  if (isLarge) {
    const blob = nameOf(`tail-${run.to}`)
    pending.push({ name: blob, parts: [saved.tail.bytes] })
    run.saved = { ...saved, tail: { length: saved.tail.length, bytes: null, blob } }
    run.decoder = null
  } else if (!isLast) {
    run.saved = saved
    run.decoder = null
  }
}

function headerOf(file: TrackFile, durationMs: number, limits: CommitLimits): Uint8Array | null {
  if (file.header === null || file.committed.length === 0) return null
  const cues: Cue[] = []
  let offset = 0
  for (const blocks of file.committed) {
    for (let row = 0; row < blocks.length; row++) {
      for (const cue of unpackCues(blocks.cuesAt(row), offset)) cues.push(cue)
      offset += blocks.lengthAt(row)
    }
  }
  const input = { tracks: file.header.tracks, durationMs, cues, mediaBytes: offset }
  for (let size = Math.max(limits.headerBytes, file.headerBytes); ; size *= 2) {
    try {
      return buildHeader({ ...input, size })
    } catch (error) {
      // Tracks with huge CodecPrivate: rare, and the file is new then.
      if (!(error instanceof WebmError && error.code === 'header-too-small' && size < 2 ** 24)) throw error
    }
  }
}

/** What a recorder declares goes into a header of storage, so one that does not fit there must stop nobody. */
const PRINTABLE = /^[!-~][ -~]*$/

function contentTypeOf(file: TrackFile, parts: readonly Part[]): string {
  const declared = parts.map(({ mimeType }) => mimeType?.trim() ?? '').find((type) => PRINTABLE.test(type))
  if (declared !== undefined) return declared
  return file.container === 'mp4' ? 'video/mp4' : file.container === 'webm' ? 'video/webm' : 'application/octet-stream'
}

/** Pending blobs that the file's last commit refers to and this one does not. A part that has just left the file took its blobs along. */
function noLongerNeeded(track: Track, file: TrackFile, parts: readonly Part[]): string[] {
  const needed = blobsOf(parts)
  const isNeeded = (name: string): boolean => needed.has(name) || track.files.some((other) => other !== file && other.pendingBlobs.has(name))
  return [...file.pendingBlobs].filter((name) => !isNeeded(name))
}

/**
 * Returns the side blobs that neither the new checkpoint nor the one before it refers to. That one stays until the next commit:
 * for readers that have just learned its name, and should the new one be damaged.
 */
function replaceSideBlobs(file: TrackFile, parts: readonly Part[], checkpoint: string, retained: readonly string[]): string[] {
  const obsolete = [...file.retained, ...file.checkpoints.slice(0, -1)]
  file.pendingBlobs = blobsOf(parts)
  file.retained = retained
  file.checkpoints = [...file.checkpoints.slice(-1), checkpoint]
  return obsolete
}
