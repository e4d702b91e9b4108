import type { PartHeader } from '@longtake/webm'
import type { CheckpointHead } from './checkpoint.ts'
import { timesOf } from './part-state.ts'
import type { Container, Part } from './part.ts'
import type { PackedPieces } from './piece-list.ts'
import { byStart, type Span } from './timeline.ts'
import { whileUnchanged } from './unchanged-parts.ts'

/** One file of a track: a blob with its own commits. */
export class TrackFile {
  readonly number: number
  container: Container | null = null
  /** The header of the part that it began with; null for MP4 and while it has no media. */
  header: PartHeader | null = null
  /** When its media time 0 was, RFC 3339. */
  startedAt: string | null = null
  /** Parts with a place in it, in media order. */
  parts: Part[] = []
  headerBytes = 0
  /** Of the last commit. */
  commitNumber = 0
  commitId: string | null = null
  generation = 0
  /** Offset in recordings.chunks below which all that is for this file is in its last commit. */
  nextOffset = 0n
  /** The committed media blocks, in order. */
  committed: readonly PackedPieces[] = []
  /** Side blobs that the last commit refers to, and its checkpoint and the one before. */
  pendingBlobs: ReadonlySet<string> = new Set()
  checkpoints: readonly string[] = []
  /** Pending blobs that only the checkpoint before the last refers to. */
  retained: readonly string[] = []
  /** As loaded: parts that had no place yet in its last commit. */
  unplaced: readonly Part[] = []
  /** Storage takes no change of it any more: it stays as its last commit left it, and what comes goes into later files. */
  closed = false
  /** Something other than its parts has changed: a part left it. */
  dirty = false

  constructor(number: number) {
    this.number = number
  }

  static restore(number: number, head: CheckpointHead, parts: readonly Part[], checkpoint: string): TrackFile {
    const file = new TrackFile(number)
    file.container = head.container
    file.startedAt = head.startedAt
    file.headerBytes = head.headerBytes
    file.parts = parts.filter((part) => part.place !== null)
    file.unplaced = parts.filter((part) => part.place === null)
    file.header = head.header
    file.commitNumber = head.number
    file.commitId = head.commitId
    file.generation = head.generation
    file.nextOffset = BigInt(head.nextOffset)
    file.committed = file.blocks
    file.pendingBlobs = blobsOf(parts)
    file.checkpoints = [checkpoint]
    file.retained = head.retained ?? []
    return file
  }

  /**
   * Puts a part where its start says; the first one makes the file what it is.
   * @param header of the file that the part was in before: what was made for that one has its track numbers
   */
  insert(part: Part, header: PartHeader | null = part.header): void {
    if (this.parts.length === 0) {
      this.container = part.container
      this.header = header
      this.startedAt = part.continues === null ? part.startedAt : new Date(startOf(part).startedAtMs).toISOString()
    }
    this.parts = [...this.parts, part].toSorted((a, b) => byStart(startOf(a), startOf(b)))
  }

  /** The blocks that its parts have now, in order. */
  get blocks(): PackedPieces[] {
    return this.parts.flatMap(blocksOf)
  }

  /** How many media blocks are committed. */
  get blockCount(): number {
    return this.committed.reduce((sum, { length }) => sum + length, 0)
  }

  /** Bytes of media that are committed. */
  get mediaBytes(): number {
    return this.committed.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Its parts that have media. */
  get spans(): Span[] {
    return this.parts.flatMap((part) => spanOf(part) ?? [])
  }
}

const blocksOf = whileUnchanged((part) =>
  part.media.map(({ packed }) => packed).filter(({ length }) => length > 0),
)

const spanOf = whileUnchanged((part): Span | null => {
  const times = timesOf(part)
  return times === null ? null : { ...startOf(part), ...times }
})

/** When what it has in its file began; of a part that has no place yet, what it has to put into one. */
export const startOf = (part: Part): Pick<Span, 'part' | 'startedAtMs'> => ({ part: part.id, startedAtMs: recorderStartMs(part) + part.fromMs })

/** Parsed once, since parts are sorted by it. The first declared start stays. */
function recorderStartMs(part: Part): number {
  const known = recorderStarts.get(part)
  if (known !== undefined && known.startedAt === part.startedAt) return known.ms
  const ms = Date.parse(part.startedAt ?? '')
  recorderStarts.set(part, { startedAt: part.startedAt, ms })
  return ms
}
const recorderStarts = new WeakMap<Part, { readonly startedAt: string | null; readonly ms: number }>()

/** All pending blobs that these parts need. */
export const blobsOf = (parts: readonly Part[]): Set<string> =>
  new Set(parts.flatMap((part) => (isAtRest(part) ? blobsAtRest(part) : blobsOfPart(part))))

/** A part with an active decoder is not at rest: the decoder holds its tail in memory, whichever blob had it before. */
const isAtRest = ({ dirty, runs }: Part): boolean => !dirty && runs.every(({ decoder }) => decoder === null)
const blobsAtRest = whileUnchanged(blobsOfPart)

function blobsOfPart({ runs }: Part): string[] {
  const names: string[] = []
  for (const { raw, unfed, kept, saved } of runs) {
    for (const { blob } of [...raw, ...unfed, ...kept]) if (blob !== null) names.push(blob)
    if (saved !== null && saved.tail.blob !== null) names.push(saved.tail.blob)
  }
  return names
}
