import { gunzipSync, gzipSync } from 'node:zlib'
import { LongtakeError, type PartState } from '@longtake/contracts'
import type { Ranges } from '@longtake/domain'
import { packCues, packHeader, unpackCues, unpackHeader, type PackedHeader, type PartHeader } from '@longtake/webm'
import { BinaryReader, BinaryWriter } from './binary.ts'
import type { DecoderState } from './decoder.ts'
import { Digests } from './digests.ts'
import type { LeadIn, LeftPlace } from './continuation.ts'
import { Part, type Container, type Place } from './part.ts'
import type { Piece, StoredPiece } from './piece.ts'
import type { RawPiece } from './raw.ts'
import { Run } from './run.ts'

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
}

/** A file with its parts as one commit left them: all that is needed to go on. */
export interface Checkpoint extends CheckpointHead {
  /** Parts with a place in this file, in media order; in file 0 also those that have none yet. */
  readonly parts: readonly Part[]
}

const FORMAT = 1

interface SavedSection {
  lengths: number[]
  starts: number[]
  ends: number[]
  /** Base64 block ids decode to this many bytes. */
  idBytes: number
  cues: number[]
  cueBytes: number
}

interface SavedRun {
  from: number
  to: number
  raw: SavedRaw[]
  unfed: SavedRaw[]
  wholeFrom: number | null
  wholeSeq: number | null
  tailFrom: number
  damaged: Ranges
  leadIn?: LeadIn
  decoder: { state: DecoderState | null; tailLength: number; tailBlob: string | null } | null
  before: SavedSection
  after: SavedSection
}

type SavedRaw = [from: number, lengths: readonly number[], blob: string]

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
  format: typeof FORMAT
  head: Omit<CheckpointHead, 'header'> & { header: PackedHeader | null }
  parts: SavedPart[]
}

/**
 * Packs a checkpoint: gzip over a length, JSON and the bytes that it refers to in order.
 * Everything in it must be durable by then: pieces stored, raw chunks in pending blobs.
 */
export function encodeCheckpoint({ parts, ...facts }: Checkpoint): Uint8Array {
  const binary = new BinaryWriter()
  const head = { ...facts, header: facts.header === null ? null : packHeader(facts.header) }
  const saved: SavedCheckpoint = { format: FORMAT, head, parts: parts.map((part) => savePart(part, binary)) }
  const json = Buffer.from(JSON.stringify(saved))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.length)
  return gzipSync(Buffer.concat([length, json, binary.bytes()]))
}

/** Throws `INVALID_SHAPE` when these bytes are no checkpoint of a format known here. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  try {
    const plain = gunzipSync(bytes)
    const jsonEnd = 4 + plain.readUInt32BE(0)
    const saved = JSON.parse(plain.subarray(4, jsonEnd).toString('utf8')) as SavedCheckpoint
    if (saved.format !== FORMAT) throw new Error(`format ${String(saved.format)}`)
    const binary = new BinaryReader(plain.subarray(jsonEnd))
    const header = saved.head.header === null ? null : unpackHeader(saved.head.header)
    return { ...saved.head, header, parts: saved.parts.map((part) => loadPart(part, binary)) }
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

function loadPart(saved: SavedPart, binary: BinaryReader): Part {
  const { id, header, digestBytes, runs, ...facts } = saved
  const part = new Part(id)
  Object.assign(part, facts)
  part.header = header === null ? null : unpackHeader(header)
  // A copy, so that a part's digests do not keep the whole checkpoint in memory.
  part.digests = Digests.unpack(saved.stored, binary.take(digestBytes))
  part.runs = runs.map((run) => loadRun(run, binary))
  part.committedMedia = part.pieces.length > 0
  part.committedTo = part.capturedTo
  return part
}

function saveRun(run: Run, binary: BinaryWriter): SavedRun {
  const { from, to, wholeFrom, wholeSeq, tailFrom, damaged } = run
  const saved = run.snapshot()
  const decoder = saved === null ? null : { state: saved.state, tailLength: saved.tail.length, tailBlob: saved.tail.blob }
  if (saved?.tail.blob === null) binary.put(saved.tail.bytes!)
  return {
    from, to, wholeFrom, wholeSeq, tailFrom, damaged, ...(run.leadIn === null ? {} : { leadIn: run.leadIn }), decoder,
    raw: run.raw.map(saveRaw),
    unfed: run.unfed.map(saveRaw),
    before: saveSection(run.before, binary),
    after: saveSection(run.after, binary),
  }
}

function loadRun(saved: SavedRun, binary: BinaryReader): Run {
  const run = new Run(saved.from, saved.to)
  run.raw = saved.raw.map(loadRaw)
  run.unfed = saved.unfed.map(loadRaw)
  run.wholeFrom = saved.wholeFrom
  run.wholeSeq = saved.wholeSeq
  run.tailFrom = saved.tailFrom
  run.damaged = saved.damaged
  run.leadIn = saved.leadIn ?? null
  if (saved.decoder !== null) {
    const { state, tailLength, tailBlob } = saved.decoder
    // A copy, so that it does not keep the whole checkpoint in memory (`slice` would not copy a Buffer).
    const bytes = tailBlob === null ? new Uint8Array(binary.take(tailLength)) : null
    run.saved = { state, tail: { length: tailLength, bytes, blob: tailBlob } }
  }
  run.before = loadSection(saved.before, binary)
  run.after = loadSection(saved.after, binary)
  return run
}

function saveRaw({ from, lengths, blob }: RawPiece): SavedRaw {
  if (blob === null) throw new Error('raw chunks are saved before they are stored')
  return [from, lengths, blob]
}

const loadRaw = ([from, lengths, blob]: SavedRaw): RawPiece => ({ from, lengths, blob, bytes: null })

function saveSection(pieces: readonly Piece[], binary: BinaryWriter): SavedSection {
  const stored = pieces.map((piece): StoredPiece => {
    if (piece.kind === 'fresh' || piece.moveMs !== 0) throw new Error('media is saved before it is in blocks')
    return piece
  })
  const ids = stored.map(({ id }) => Buffer.from(id, 'base64'))
  for (const id of ids) binary.put(id)
  return {
    lengths: stored.map(({ length }) => length),
    starts: stored.map(({ startMs }) => startMs),
    ends: stored.map(({ endMs }) => endMs),
    idBytes: ids[0]?.length ?? 0,
    cues: stored.map(({ cues }) => cues.length),
    cueBytes: binary.put(packCues(stored.flatMap(({ cues }) => cues))),
  }
}

function loadSection(saved: SavedSection, binary: BinaryReader): StoredPiece[] {
  const ids = saved.lengths.map(() => Buffer.from(binary.take(saved.idBytes)).toString('base64'))
  const cues = unpackCues(binary.take(saved.cueBytes))
  let at = 0
  return saved.lengths.map((length, i) => {
    const count = saved.cues[i]!
    at += count
    return { kind: 'stored', id: ids[i]!, moveMs: 0, length, startMs: saved.starts[i]!, endMs: saved.ends[i]!, cues: cues.slice(at - count, at) }
  })
}
