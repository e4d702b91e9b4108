import { gunzipSync, gzipSync } from 'node:zlib'
import { LongtakeError, type PartState } from '@longtake/contracts'
import type { Ranges } from '@longtake/domain'
import { packCues, packHeader, unpackCues, unpackHeader, type PackedHeader, type PartHeader } from '@longtake/webm'
import { BinaryReader, BinaryWriter } from './binary.ts'
import type { DecoderState } from './decoder.ts'
import { Digests } from './digests.ts'
import { faultRanges, type ChunkFault } from './faults.ts'
import type { LeadIn, LeftPlace, MediaTimes } from './continuation.ts'
import { NO_PACE, packPace, unpackPace, type PackedPace, type Silence } from './pace.ts'
import { Part, type Container, type Place } from './part.ts'
import type { FrameCounts } from './piece.ts'
import { PieceList } from './piece-list.ts'
import type { RawPiece } from './raw.ts'
import { Run } from './run.ts'
import type { SavedFragments } from './verbatim.ts'

/** What a commit says of its file, beside the parts in it. */
export interface CheckpointHead {
  readonly number: number
  readonly commitId: string
  readonly generation: number
  /** Offset in recordings.chunks below which all of the track is in this commit; decimal. */
  readonly nextOffset: string
  /** When media time 0 was, RFC 3339; null while the file has no media. */
  readonly startedAt: string | null
  readonly container: Container | null
  /** Of the part that the file began with; null for MP4 and while there is no media. */
  readonly header: PartHeader | null
  readonly headerBytes: number
  /** Files of the track that storage takes no change of any more. */
  readonly closedFiles?: readonly number[]
  /** Pending blobs that only the checkpoint before this one refers to: they stay as long as that one does. */
  readonly retained?: readonly string[]
}

/** A file with its parts as one commit left them: all that is needed to go on. */
export interface Checkpoint extends CheckpointHead {
  /** Parts with a place in this file, in media order; in file 0 also those that have none yet. */
  readonly parts: readonly Part[]
}

const FORMAT = 2
/** Format 1 packed the cues of a run as one list. */
const FIRST_FORMAT = 1

interface SavedSection {
  lengths: number[]
  starts: number[]
  ends: number[]
  /** Base64 block ids decode to this many bytes. */
  idBytes: number
  /** Bytes of each block's packed cues. */
  cueBytes: number[]
  /** Video and audio frames of each block; absent where no block's were counted, as in checkpoints of earlier versions. */
  frames?: ([video: number, audio: number] | null)[]
}

/** Of format 1: how many cues each block has, and the bytes of all of them. */
type FirstSavedSection = Omit<SavedSection, 'cueBytes'> & { cues: number[]; cueBytes: number }

interface SavedRun {
  from: number
  to: number
  raw: SavedRaw[]
  unfed: SavedRaw[]
  wholeFrom: number | null
  wholeSeq: number | null
  tailFrom: number
  damaged: Ranges
  /** Not in checkpoints of earlier versions: they have only the chunks, in `damaged`. */
  faults?: readonly ChunkFault[]
  kept?: SavedRaw[]
  wholeShiftMs?: number
  /** Not in checkpoints of earlier versions. */
  pace?: PackedPace
  silences?: readonly Silence[]
  leadIn?: LeadIn
  /** The same where media that goes behind it is committed already. */
  lateLeadIn?: LeadIn
  repeated?: readonly MediaTimes[]
  decoder: { state: DecoderState | null; fragments?: SavedFragments; tailLength: number; tailBlob: string | null } | null
  before: SavedSection
  after: SavedSection
}

type SavedRaw = [from: number, lengths: readonly number[], blob: string, capturedAt?: readonly (number | null)[]]

interface SavedPart {
  id: string
  client: string | null
  mimeType: string | null
  startedAt: string | null
  closed: PartState['closed']
  lost: PartState['lost']
  rejected: PartState['rejected']
  container: Container | null
  header: PackedHeader | null
  place: Place | null
  continues?: LeftPlace
  stored: Ranges
  digestBytes: number
  bytes: number
  capturedTo: number | null
  runs: SavedRun[]
}

interface SavedCheckpoint {
  format: typeof FORMAT | typeof FIRST_FORMAT
  head: Omit<CheckpointHead, 'header'> & { header: PackedHeader | null }
  parts: SavedPart[]
}

/**
 * Packs a checkpoint: gzip over a length, JSON and the bytes that it refers to in order, in several members (RFC 1952 §2.2): groups of
 * parts, most of which are as they were, and the bytes. Those are digests, ids and packed cues, which hardly shrink: no compression.
 * Everything in it must be durable by then: pieces stored, raw chunks in pending blobs.
 * @param isChanged whether a part may be other than when it was last encoded
 */
export function encodeCheckpoint({ parts, ...facts }: Checkpoint, isChanged: (part: Part) => boolean = () => true): Uint8Array {
  const head = { ...facts, header: facts.header === null ? null : packHeader(facts.header) }
  const start: Omit<SavedCheckpoint, 'parts'> = { format: FORMAT, head }
  const encoded = parts.map((part) => encodePart(part, isChanged(part)))
  const opening = Buffer.from(`${JSON.stringify(start).slice(0, -1)},"parts":[`)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(opening.length + encoded.reduce((sum, { json }) => sum + json.length + COMMA.length, 0) - (encoded.length > 0 ? COMMA.length : 0) + CLOSING.length)
  const groups = Array.from({ length: Math.ceil(encoded.length / GROUP) }, (_, i) => compressed(encoded.slice(i * GROUP, (i + 1) * GROUP), i === 0))
  const rest = Buffer.concat(encoded.map(({ binary }) => binary))
  // In one piece: zlib allocates 16 KiB at a time otherwise.
  const stored = gzipSync(Buffer.concat([CLOSING, rest]), { level: 0, chunkSize: CLOSING.length + rest.length + 1024 })
  return Buffer.concat([gzipSync(Buffer.concat([length, opening]), { level: 1 }), ...groups, stored])
}

const COMMA = Buffer.from(',')
const CLOSING = Buffer.from(']}')
/** So many parts are compressed together, and not again while none of them changes. */
const GROUP = 16
/** By the first part of a group: all of it, whether it stands first in its checkpoint, and what came of it. */
const cachedGroups = new WeakMap<EncodedPart, { readonly parts: readonly EncodedPart[]; readonly isFirst: boolean; readonly gzip: Uint8Array }>()

function compressed(parts: readonly EncodedPart[], isFirst: boolean): Uint8Array {
  const known = cachedGroups.get(parts[0]!)
  if (known !== undefined && known.isFirst === isFirst && known.parts.length === parts.length && known.parts.every((part, i) => part === parts[i])) return known.gzip
  const gzip = gzipSync(Buffer.concat(parts.flatMap(({ json }, i) => (isFirst && i === 0 ? [json] : [COMMA, json]))), { level: 1 })
  if (parts.length === GROUP) cachedGroups.set(parts[0]!, { parts, isFirst, gzip })
  return gzip
}

/** What a checkpoint has of a part: JSON, and the bytes that it refers to, in order. */
interface EncodedPart {
  readonly json: Uint8Array
  readonly binary: Uint8Array
}

/** Of parts that have not changed since a commit: most parts of a track with many ended long ago. */
const cachedParts = new WeakMap<Part, EncodedPart>()
/** Larger ones are encoded anew: they are few, and memory for all of their chunks is not to double. */
const MAX_CACHED_BYTES = 16 * 1024

function encodePart(part: Part, isChanged: boolean): EncodedPart {
  const known = cachedParts.get(part)
  if (known !== undefined && !isChanged) return known
  const writer = new BinaryWriter()
  const json = Buffer.from(JSON.stringify(savePart(part, writer)))
  const encoded = { json, binary: writer.bytes() }
  if (isChanged || json.length + encoded.binary.length > MAX_CACHED_BYTES) cachedParts.delete(part)
  else cachedParts.set(part, encoded)
  return encoded
}

/** Throws `INVALID_SHAPE` when these bytes are no checkpoint of a format known here. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  try {
    const plain = gunzipSync(bytes)
    const jsonEnd = 4 + plain.readUInt32BE(0)
    const saved = JSON.parse(plain.subarray(4, jsonEnd).toString('utf8')) as SavedCheckpoint
    if (saved.format !== FORMAT && saved.format !== FIRST_FORMAT) throw new Error(`format ${String(saved.format)}`)
    const binary = new BinaryReader(plain.subarray(jsonEnd))
    const header = saved.head.header === null ? null : unpackHeader(saved.head.header)
    return { ...saved.head, header, parts: saved.parts.map((part) => loadPart(part, binary, saved.format)) }
  } catch (cause) {
    throw new LongtakeError('INVALID_SHAPE', 'a checkpoint that cannot be read', { cause })
  }
}

function savePart(part: Part, binary: BinaryWriter): SavedPart {
  const { id, client, mimeType, startedAt, closed, lost, rejected, container, place, stored, bytes, capturedTo } = part
  const digestBytes = binary.put(part.digests.pack(stored))
  const header = part.header === null ? null : packHeader(part.header)
  const runs = part.runs.map((run) => saveRun(run, binary))
  const continues = part.continues === null ? {} : { continues: part.continues }
  return { id, client, mimeType, startedAt, closed, lost, rejected, container, header, place, ...continues, stored, digestBytes, bytes, capturedTo, runs }
}

function loadPart(saved: SavedPart, binary: BinaryReader, format: SavedCheckpoint['format']): Part {
  const { id, header, digestBytes, runs, ...facts } = saved
  const part = new Part(id)
  Object.assign(part, facts)
  part.header = header === null ? null : unpackHeader(header)
  // A copy, so that a part's digests do not keep the whole checkpoint in memory.
  part.digests = Digests.unpack(saved.stored, binary.take(digestBytes))
  part.runs = runs.map((run) => loadRun(run, binary, format))
  part.committedMedia = part.hasMedia
  part.committedTo = part.capturedTo
  return part
}

function saveRun(run: Run, binary: BinaryWriter): SavedRun {
  const { from, to, wholeFrom, wholeSeq, wholeShiftMs, tailFrom, faults, pace, silences } = run
  const saved = run.snapshot()
  const decoder = saved === null ? null : { state: saved.state, ...(saved.fragments === undefined ? {} : { fragments: saved.fragments }), tailLength: saved.tail.length, tailBlob: saved.tail.blob }
  if (saved?.tail.blob === null) binary.put(saved.tail.bytes!)
  return {
    from, to, wholeFrom, wholeSeq, tailFrom, damaged: faultRanges(faults), ...(faults.length === 0 ? {} : { faults, kept: run.kept.map(saveRaw) }), ...(wholeShiftMs === 0 ? {} : { wholeShiftMs }), ...(pace.last === null ? {} : { pace: packPace(pace) }), ...(silences.length === 0 ? {} : { silences }), ...savedLeadIn(run), ...(run.repeated.length === 0 ? {} : { repeated: run.repeated }), decoder,
    raw: run.raw.map(saveRaw),
    unfed: run.unfed.map(saveRaw),
    before: saveSection(run.before, binary),
    after: saveSection(run.after, binary),
  }
}

function savedLeadIn({ leadIn, leftFresh, after }: Run): Pick<SavedRun, 'leadIn' | 'lateLeadIn'> {
  if (leadIn === null) return {}
  if (leftFresh) return { lateLeadIn: leadIn }
  return after.length > 0 ? {} : { leadIn }
}

function loadRun(saved: SavedRun, binary: BinaryReader, format: SavedCheckpoint['format']): Run {
  const load = format === FIRST_FORMAT ? loadFirstSection : loadSection
  const run = new Run(saved.from, saved.to)
  run.raw = saved.raw.map(loadRaw)
  run.unfed = saved.unfed.map(loadRaw)
  run.wholeFrom = saved.wholeFrom
  run.wholeSeq = saved.wholeSeq
  run.tailFrom = saved.tailFrom
  run.faults = saved.faults ?? saved.damaged.map(([from, to]) => ({ from, to, cause: 'broken-content', startMs: null, endMs: null }))
  run.kept = (saved.kept ?? []).map(loadRaw)
  run.wholeShiftMs = saved.wholeShiftMs ?? 0
  run.pace = saved.pace === undefined ? NO_PACE : unpackPace(saved.pace)
  run.silences = saved.silences ?? []
  run.leadIn = saved.leadIn ?? saved.lateLeadIn ?? null
  run.leftFresh = saved.lateLeadIn !== undefined
  run.repeated = saved.repeated ?? []
  if (saved.decoder !== null) {
    const { state, fragments, tailLength, tailBlob } = saved.decoder
    // A copy, so that it does not keep the whole checkpoint in memory (`slice` would not copy a Buffer).
    const bytes = tailBlob === null ? new Uint8Array(binary.take(tailLength)) : null
    run.saved = { state, ...(fragments === undefined ? {} : { fragments }), tail: { length: tailLength, bytes, blob: tailBlob } }
  }
  run.before = load(saved.before, binary)
  run.after = load(saved.after, binary)
  return run
}

function saveRaw({ from, lengths, blob, capturedAt }: RawPiece): SavedRaw {
  if (blob === null) throw new Error('raw chunks are saved before they are stored')
  return capturedAt === undefined ? [from, lengths, blob] : [from, lengths, blob, capturedAt]
}

const loadRaw = ([from, lengths, blob, capturedAt]: SavedRaw): RawPiece => ({ from, lengths, blob, bytes: null, ...(capturedAt === undefined ? {} : { capturedAt }) })

function saveSection({ packed, rest }: PieceList, binary: BinaryWriter): SavedSection {
  if (rest.length > 0) throw new Error('media is saved before it is in blocks')
  const saved: SavedSection = { lengths: [], starts: [], ends: [], idBytes: 0, cueBytes: [] }
  const frames: NonNullable<SavedSection['frames']> = []
  for (const { id, length, startMs, endMs, frames: counts } of packed) {
    saved.idBytes = binary.put(Buffer.from(id, 'base64'))
    saved.lengths.push(length)
    saved.starts.push(startMs)
    saved.ends.push(endMs)
    frames.push(counts === null ? null : [counts.video, counts.audio])
  }
  for (let row = 0; row < packed.length; row++) saved.cueBytes.push(binary.put(packed.cuesAt(row)))
  if (frames.some((counts) => counts !== null)) saved.frames = frames
  return saved
}

function loadSection(saved: SavedSection | FirstSavedSection, binary: BinaryReader): PieceList {
  const { lengths, cueBytes } = saved as SavedSection
  const ids = takeIds(saved, binary)
  return listOf(saved, ids, lengths.map((_, i) => binary.take(cueBytes[i]!)))
}

function loadFirstSection(saved: SavedSection | FirstSavedSection, binary: BinaryReader): PieceList {
  const { cues: counts, cueBytes } = saved as FirstSavedSection
  const ids = takeIds(saved, binary)
  const cues = unpackCues(binary.take(cueBytes))
  let at = 0
  return listOf(saved, ids, counts.map((count) => packCues(cues.slice(at, (at += count)))))
}

function takeIds({ lengths, idBytes }: Pick<SavedSection, 'lengths' | 'idBytes'>, binary: BinaryReader): string[] {
  return lengths.map(() => Buffer.from(binary.take(idBytes)).toString('base64'))
}

/** The list copies what it is given, so that it does not keep the whole checkpoint in memory. */
function listOf({ lengths, starts, ends, frames }: Pick<SavedSection, 'lengths' | 'starts' | 'ends' | 'frames'>, ids: readonly string[], cues: readonly Uint8Array[]): PieceList {
  const framesAt = (i: number): FrameCounts | null => {
    const counts = frames?.[i] ?? null
    return counts === null ? null : { video: counts[0], audio: counts[1] }
  }
  return new PieceList(lengths.map((length, i) => ({ kind: 'stored', id: ids[i]!, moveMs: 0, length, startMs: starts[i]!, endMs: ends[i]!, frames: framesAt(i), cues: cues[i]! })))
}
