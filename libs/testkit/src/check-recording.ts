import { align, placesByIdentity, shiftOf, type Alignment } from './alignment.ts'
import { concat, equalBytes, firstDifference } from './bytes.ts'
import { acceptSqueezed, checkFrames, checkOffsets, type ExpectedFrame } from './check-frames.ts'
import { checkGaps, checkUndecodable, type ReportedGap } from './check-gaps.ts'
import { checkIndex } from './check-index.ts'
import { Findings, type Finding } from './findings.ts'
import { readFinishedFile, type FileFrame, type FinishedFile } from './finished-file.ts'
import type { TrackInfo } from './frames.ts'
import { lengthOf } from './ledger.ts'
import { laterMp4 } from './mp4-shares.ts'
import { readRecordedPart, type RecordedPart } from './recorder-output.ts'

export interface CheckedPart {
  part: string
  /** ISO 8601. */
  startedAt: string
  /** The chunks that were acknowledged. */
  chunks: ReadonlyMap<number, Uint8Array> | readonly Uint8Array[]
  /** How many chunks it has, as its `close` declares; by default up to the last one acknowledged. */
  length?: number
  /**
   * Chunks that were made and not acknowledged. They may be in the file or not (an ack can be lost on its way): what
   * the gaps do not name must be there.
   */
  unacknowledged?: ReadonlyMap<number, Uint8Array>
  /** The gaps that status or manifest tell of this part. */
  gaps?: readonly ReportedGap[]
  /** Of a part that continues in a later file: the share of it that is expected in this file. */
  share?: PartShare
}

export interface PartShare {
  /** The frames, by their order in the recording. */
  frames: ReadonlySet<number>
  /**
   * By frame, how much its repetition is shifted from its recorded time, ms: as in the earlier file, if parts overlap
   * there.
   */
  squeezedMs?: ReadonlyMap<number, number>
  /** For MP4, which bytes: earlier files have `from` bytes. */
  bytes: { from: number; to?: number }
  isFirst: boolean
}

export interface RecordingToCheck {
  file: Uint8Array
  /** The parts that are in this file. */
  parts: readonly CheckedPart[]
  /** The recording still goes on: the file may lack what came last. */
  growing?: boolean
  /**
   * When media time 0 of the file was, ISO 8601, by the status: a file in which a part continues may begin with a gap.
   */
  startedAt?: string
}

export interface RecordingSummary {
  frames: number
  acknowledgedChunks: number
  /** Chunks with a frame that is not in the file, though it should be. */
  lostChunks: number
  /** Chunks with a frame that is in the file twice. */
  duplicatedChunks: number
  /** Missing chunks that no gap tells of. */
  undeclaredHoles: number
}

export interface RecordingVerdict {
  findings: Finding[]
  summary: RecordingSummary
}

interface ReadPart extends CheckedPart {
  acknowledged: ReadonlyMap<number, Uint8Array>
  /** Acknowledged, or made and not told of as lost. */
  present: ReadonlyMap<number, Uint8Array>
  recorded: RecordedPart
}

/**
 * Compares a finished file, frame by frame, with the chunks that were acknowledged. No findings: every frame that they
 * hold is in the file once, unchanged, in order, at its time, and a player can seek to it; what is not there is told
 * by a gap.
 */
export function checkRecording({ file, parts, growing = false, startedAt }: RecordingToCheck): RecordingVerdict {
  const findings = new Findings()
  const readParts = parts.map(readPart).toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt))
  const summary = emptySummary()
  for (const part of readParts) {
    // Counted where it begins.
    if (part.share?.isFirst === false) continue
    summary.acknowledgedChunks += part.acknowledged.size
    // A hole is told of only after it was waited for.
    summary.undeclaredHoles += growing ? 0 : checkGaps(part, findings)
  }
  if (readParts.some(({ present }) => isMp4(present.get(0)))) checkVerbatim(file, readParts, growing, findings)
  else checkContent(file, readParts, { growing, startedAt }, findings, summary)
  return { findings: findings.all, summary }
}

function checkContent(bytes: Uint8Array, parts: readonly ReadPart[], { growing, startedAt }: { growing: boolean; startedAt: string | undefined }, findings: Findings, summary: RecordingSummary): void {
  const file = readFinishedFile(bytes, findings)
  checkIndex(file, findings)
  checkTracks(file, parts, findings)
  const places = placesByIdentity(file.frames)
  const [earliest] = parts
  const zeroMs = startedAt !== undefined && earliest?.share?.isFirst === false ? Date.parse(startedAt) : null
  const beginning = zeroMs ?? Date.parse(earliest?.startedAt ?? '')
  const placed = parts.map((given) => {
    const part = { ...given, recorded: recordingsInARow(given, file, places, findings) }
    return { ...part, shift: shiftOf(part.recorded.frames, file.frames, places, Date.parse(part.startedAt) - beginning) }
  })
  const ordered = inFileOrder(placed, places, findings)
  const expected = ordered.flatMap(({ part, recorded, shift }) =>
    recorded.frames.map((source): ExpectedFrame => ({ identity: source.identity, timeMs: source.timeMs + (shift ?? Number.NaN), source, part })),
  )
  const aligned = align(expected, file.frames)
  const lastAcknowledged = new Map(parts.map(({ part, acknowledged }) => [part, lengthOf(acknowledged) - 1]))
  const mayMiss = ({ part, source }: ExpectedFrame): boolean => source.chunks[1] > (lastAcknowledged.get(part) ?? -1)
  const lastThere = growing ? aligned.matched.reduce((last, [e]) => Math.max(last, e), -1) : expected.length
  aligned.missing = aligned.missing.filter((e) => e < lastThere && !mayMiss(expected[e] as ExpectedFrame))
  acceptSqueezed(ordered, expected, file.frames, aligned)
  checkFrames(file, expected, aligned, findings)
  if (ordered.every((part, index) => part === placed[index])) checkOffsets(ordered, expected, zeroMs, findings)
  if (!growing) for (const part of placed) if (part.share?.isFirst !== false) checkUndecodable(part, findings)
  summary.frames = aligned.matched.length
  summary.lostChunks = chunksOf(expected, aligned.missing).size
  summary.duplicatedChunks = duplicatedChunks(expected, file.frames, aligned).size
}

/**
 * The frames on one clock: a second recording within a part counts from 0 again, and stands in the file behind the one
 * before, however long after. That it does not overlap is checked; when it was started is not known here.
 */
function recordingsInARow({ part, recorded }: ReadPart, file: FinishedFile, places: Map<string, number[]>, findings: Findings): RecordedPart {
  if (recorded.recordings < 2) return recorded
  const groups = [...Map.groupBy(recorded.frames, ({ recording }) => recording).values()]
  const firstShift = shiftOf(groups[0] ?? [], file.frames, places, 0) ?? 0
  let endMs = Number.NEGATIVE_INFINITY
  const frames = groups.flatMap((group) => {
    const firstMs = Math.min(...group.map(({ timeMs }) => timeMs))
    const shift = (shiftOf(group, file.frames, places, Math.max(0, endMs) + firstShift) ?? 0) - firstShift
    if (firstMs + shift < endMs) findings.add('part-offset', `a later recording within part ${part} begins before the end of the one before it`, { part })
    endMs = Math.max(...group.map(({ timeMs }) => timeMs)) + shift
    return group.map((frame) => ({ ...frame, timeMs: frame.timeMs + shift }))
  })
  return { ...recorded, frames }
}

function readPart(part: CheckedPart): ReadPart {
  const acknowledged = chunkMapOf(part.chunks)
  const present = new Map(acknowledged)
  const isLost = (seq: number): boolean => (part.gaps ?? []).some(({ kind, from, to }) => kind === 'lost' && from <= seq && seq <= to)
  for (const [seq, bytes] of part.unacknowledged ?? []) if (!present.has(seq) && !isLost(seq)) present.set(seq, bytes)
  const recorded = readRecordedPart(present)
  return part.share === undefined ? { ...part, acknowledged, present, recorded } : { ...part, acknowledged, present, ...shareOf(part, recorded, part.share) }
}

/** What goes on in a later file stands there as a part that was started with the first of its frames there. */
function shareOf({ startedAt }: CheckedPart, recorded: RecordedPart, { frames: share, squeezedMs }: PartShare): Pick<ReadPart, 'startedAt' | 'recorded'> {
  const frames = recorded.frames.flatMap((frame, i) => (share.has(i) ? [{ ...frame, timeMs: frame.timeMs + (squeezedMs?.get(i) ?? 0) }] : []))
  const firstMs = share.has(0) ? 0 : Math.min(...frames.map(({ timeMs }) => timeMs))
  if (firstMs === 0 || frames.length === 0) return { startedAt, recorded: { ...recorded, frames } }
  const moved = frames.map((frame) => ({ ...frame, timeMs: frame.timeMs - firstMs }))
  return { startedAt: new Date(Date.parse(startedAt) + firstMs).toISOString(), recorded: { ...recorded, frames: moved } }
}

export function chunkMapOf(chunks: CheckedPart['chunks']): ReadonlyMap<number, Uint8Array> {
  return chunks instanceof Map ? chunks : new Map((chunks as readonly Uint8Array[]).entries())
}

export function isMp4(firstChunk: Uint8Array | undefined): boolean {
  return firstChunk !== undefined && Buffer.from(firstChunk.subarray(4, 8)).toString('latin1') === 'ftyp'
}

function checkVerbatim(file: Uint8Array, parts: readonly ReadPart[], growing: boolean, findings: Findings): void {
  const came = concat(parts.map((part) => verbatimShare(file, part)))
  const at = firstDifference(file, growing ? came.subarray(0, file.length) : came)
  if (at >= 0) findings.add('verbatim-bytes', `${file.length} bytes instead of ${came.length}, the first difference at ${at}`, { at })
}

function verbatimShare(file: Uint8Array, { present, share }: ReadPart): Uint8Array {
  const came = concat([...present.keys()].toSorted((a, b) => a - b).map((seq) => present.get(seq) as Uint8Array))
  if (share === undefined || share.isFirst) return came.subarray(0, share?.bytes.to)
  const { expected } = laterMp4(came, file, share.bytes.from)
  return share.bytes.to === undefined ? expected : expected.subarray(0, file.length)
}

/** That every kind of track in the file is described as the recorder described it. */
function checkTracks(file: FinishedFile, parts: readonly ReadPart[], findings: Findings): void {
  // One that has no frame may be in no file.
  const head = parts.find(({ recorded }) => recorded.tracks !== null && recorded.frames.length > 0)?.recorded.tracks ?? []
  if (file.docType === 'webm' && file.tracks.some(({ codec }) => !webmCodecs.has(codec))) {
    findings.add('ebml-header', `DocType is webm, the codecs are ${file.tracks.map(({ codec }) => codec).join(', ')}`)
  }
  for (const recorded of head) {
    if (recorded.kind === 'other') continue
    const written = file.tracks.filter(({ kind }) => kind === recorded.kind)
    const [one] = written
    if (one === undefined || written.length > 1) findings.add('track-header', `${written.length} ${recorded.kind} tracks in the file, 1 was recorded`)
    else {
      const different = trackFacts.filter((fact) => one[fact] !== recorded[fact])
      if (!equalBytes(one.codecPrivate, recorded.codecPrivate)) findings.add('track-header', `CodecPrivate of the ${recorded.kind} track`)
      for (const fact of different) findings.add('track-header', `${fact} of the ${recorded.kind} track is ${one[fact]}, recorded was ${recorded[fact]}`)
    }
  }
}

const webmCodecs = new Set(['V_VP8', 'V_VP9', 'V_AV1', 'A_OPUS', 'A_VORBIS'])
const trackFacts = ['codec', 'samplingFrequency', 'channels', 'codecDelay', 'seekPreRoll'] as const satisfies readonly (keyof TrackInfo)[]

/** The parts in the order in which the file has them; another one than their starts is a finding. */
function inFileOrder<P extends ReadPart>(parts: readonly P[], places: Map<string, number[]>, findings: Findings): P[] {
  if (parts.length < 2) return [...parts]
  let before = -1
  const withPlace = parts.map((part) => {
    const found = part.recorded.frames.map(({ identity }) => places.get(identity) ?? []).filter(({ length }) => length === 1).map(([place]) => place as number)
    // A part without a frame that is one of a kind stays where it was.
    before = found.toSorted((a, b) => a - b)[found.length >> 1] ?? before
    return { part, place: before }
  })
  const ordered = withPlace.toSorted((a, b) => a.place - b.place).map(({ part }) => part)
  const wrong = ordered.findIndex((part, index) => part !== parts[index])
  if (wrong >= 0) {
    const { part } = ordered[wrong] as P
    findings.add('part-order', `part ${part} comes before part ${(parts[wrong] as P).part}, which was started earlier`, { part })
  }
  return ordered
}

function chunksOf(expected: readonly ExpectedFrame[], indexes: readonly number[]): Set<string> {
  const chunks = new Set<string>()
  for (const index of indexes) {
    const { part, source } = expected[index] as ExpectedFrame
    for (let seq = source.chunks[0]; seq <= source.chunks[1]; seq += 1) chunks.add(`${part}/${seq}`)
  }
  return chunks
}

function duplicatedChunks(expected: readonly ExpectedFrame[], frames: readonly FileFrame[], aligned: Alignment): Set<string> {
  if (aligned.repeated.length === 0) return new Set()
  const places = placesByIdentity(expected)
  const origins = aligned.repeated.map((a) => places.get((frames[a] as FileFrame).identity)?.[0])
  return chunksOf(expected, origins.filter((origin) => origin !== undefined))
}

/** One line for logs: acknowledged chunks, lost, duplicated, undeclared holes. */
export function describeSummary(summary: RecordingSummary): string {
  return `${summary.acknowledgedChunks} chunks acknowledged (${summary.frames} frames in place), ${summary.lostChunks} lost, ${summary.duplicatedChunks} duplicated, ${summary.undeclaredHoles} undeclared holes`
}

/** The sum of several verdicts' summaries. */
export function addSummaries(summaries: readonly RecordingSummary[]): RecordingSummary {
  const total = emptySummary()
  for (const summary of summaries) for (const key of Object.keys(total) as (keyof RecordingSummary)[]) total[key] += summary[key]
  return total
}

function emptySummary(): RecordingSummary {
  return { frames: 0, acknowledgedChunks: 0, lostChunks: 0, duplicatedChunks: 0, undeclaredHoles: 0 }
}
