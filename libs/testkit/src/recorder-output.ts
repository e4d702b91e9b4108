import { concat } from './bytes.ts'
import { findCluster, readFloat, readHead, readUint } from './ebml.ts'
import { readFrame, readTracks, wholeChildren, type Frame, type TrackInfo } from './frames.ts'
import { ID, ruleOf } from './schema.ts'

/** A frame as recorded, and the chunks that it came in. */
export interface SourceFrame extends Frame {
  chunks: [number, number]
  /** Which recording of the part's stream it is of, from 0; each counts its time from 0. */
  recording: number
}

export interface RecordedPart {
  /** Null when the part's head (up to its Tracks) did not come: nothing of it can be played. */
  tracks: TrackInfo[] | null
  /** What a finished file must hold, in order. */
  frames: SourceFrame[]
  /** Whole frames that came but cannot be played because of a hole before them. */
  dropped: SourceFrame[]
  /** Chunks of which bytes had to be passed over to find the next Cluster. */
  skipped: { from: number; to: number }[]
  /** How many recordings follow one another in its stream: 1, unless the page went on numbering behind another start. */
  recordings: number
}

interface Head {
  tracks: TrackInfo[]
  timestampScale: number
}

/**
 * Reads what is there of a recorder's output, as Chrome and Firefox write it: Segment and Clusters of unknown size, and
 * cut off anywhere. At a hole the broken elements are dropped; it goes on at the next Cluster, with video from its next
 * keyframe.
 */
export function readRecordedPart(chunks: ReadonlyMap<number, Uint8Array>): RecordedPart {
  const part: RecordedPart = { tracks: null, frames: [], dropped: [], skipped: [], recordings: 1 }
  let head: Head | null = null
  for (const run of contiguousRuns(chunks)) {
    const atStart = run.firstSeq === 0
    if (atStart) {
      head = readRecorderHead(run.bytes)
      part.tracks = head?.tracks ?? null
    }
    if (head !== null) readRun(run, head, atStart, part)
    else part.skipped.push({ from: run.firstSeq, to: run.firstSeq + run.ends.length - 1 })
  }
  return part
}

interface Run {
  firstSeq: number
  bytes: Uint8Array
  /** Offset at which each chunk of the run ends. */
  ends: number[]
}

export function contiguousRuns(chunks: ReadonlyMap<number, Uint8Array>): Run[] {
  const seqs = [...chunks.keys()].toSorted((a, b) => a - b)
  const groups: number[][] = []
  for (const seq of seqs) {
    const last = groups.at(-1)
    if (last !== undefined && last.at(-1) === seq - 1) last.push(seq)
    else groups.push([seq])
  }
  return groups.map((group) => {
    const pieces = group.map((seq) => chunks.get(seq) as Uint8Array)
    let end = 0
    return { firstSeq: group[0] as number, bytes: concat(pieces), ends: pieces.map((piece) => (end += piece.length)) }
  })
}

function readRecorderHead(bytes: Uint8Array): Head | null {
  let timestampScale = 1_000_000
  for (let at = 0; at < bytes.length;) {
    const head = readHead(bytes, at, bytes.length)
    if (head === null) return null
    if (head.id === ID.segment) {
      at = head.dataAt
      continue
    }
    if (head.size === null || head.dataAt + head.size > bytes.length) return null
    const end = head.dataAt + head.size
    if (head.id === ID.info) timestampScale = readTimestampScale(bytes, head.dataAt, end)
    if (head.id === ID.tracks) return { timestampScale, tracks: readTracks(bytes, head.dataAt, end) }
    at = end
  }
  return null
}

export function readTimestampScale(bytes: Uint8Array, from: number, end: number): number {
  for (const { id, data } of wholeChildren(bytes, from, end)) if (id === ID.timestampScale) return readUint(data)
  return 1_000_000
}

export function readDuration(bytes: Uint8Array, from: number, end: number): number | null {
  for (const { id, data } of wholeChildren(bytes, from, end)) if (id === ID.duration) return readFloat(data)
  return null
}

function readRun(run: Run, head: Head, atStart: boolean, part: RecordedPart): void {
  const { bytes } = run
  const chunkAt = chunkFinder(run)
  const awaitingKey = new Set<number>()
  let clusterTime: number | null = null
  /** Of the newest frame of the Cluster, in ticks behind its time. */
  let ticksBefore: number | null = null
  let current: Head | null = head
  let at = 0
  const goOnAtCluster = (from: number): void => {
    const next = Math.min(...[findCluster(bytes, from), findRecorderHead(bytes, from, bytes.length)].filter((found) => found >= 0))
    const end = Number.isFinite(next) ? next : bytes.length
    if (end > at) part.skipped.push({ from: chunkAt(at), to: chunkAt(end - 1) })
    for (const { kind, number } of head.tracks) if (kind === 'video') awaitingKey.add(number)
    clusterTime = null
    at = end
  }
  if (!atStart) goOnAtCluster(0)
  while (at < bytes.length) {
    const element = readHead(bytes, at, bytes.length)
    if (element === null) {
      // The head of an element takes up to 12 bytes; fewer at the end are just cut off.
      if (bytes.length - at < 12) return
      goOnAtCluster(at + 1)
      continue
    }
    if (element.id === ID.ebml && at > 0) {
      current = readRecorderHead(bytes.subarray(at))
      part.recordings += 1
      awaitingKey.clear()
      for (const { kind, number } of current?.tracks ?? []) if (kind === 'video') awaitingKey.add(number)
    }
    if (element.id === ID.segment || element.id === ID.cluster) {
      if (element.id === ID.cluster) [clusterTime, ticksBefore] = [null, null]
      at = element.dataAt
      continue
    }
    // An element of unknown size other than these, or one that nobody knows and that ends nowhere, is damage.
    if (element.size === null || (ruleOf(element.id) === undefined && element.dataAt + element.size > bytes.length)) {
      goOnAtCluster(at + 1)
      continue
    }
    const end = element.dataAt + element.size
    const broken = element.id === ID.ebml ? -1 : findRecorderHead(bytes, at, Math.min(end, bytes.length))
    if (broken >= 0) {
      part.skipped.push({ from: chunkAt(at), to: chunkAt(broken - 1) })
      at = broken
      continue
    }
    if (end > bytes.length) return
    at = end
    if (element.id === ID.timestamp) clusterTime = readUint(bytes.subarray(element.dataAt, end))
    if (clusterTime === null || (element.id !== ID.simpleBlock && element.id !== ID.blockGroup)) continue
    if (current === null) {
      part.skipped.push({ from: chunkAt(element.at), to: chunkAt(end - 1) })
      continue
    }
    const frame = readFrame(bytes, element, end, { clusterTime, ticksBefore, timestampScale: current.timestampScale, tracks: current.tracks })
    if (frame === null) continue
    ticksBefore = (frame.timeMs * 1e6) / current.timestampScale - clusterTime
    // Subtitles and the like are no part of a recording.
    if (frame.kind === 'other') continue
    const source: SourceFrame = { ...frame, chunks: [chunkAt(frame.at), chunkAt(frame.end - 1)], recording: part.recordings - 1 }
    if (!isJoinable(head, current)) {
      part.dropped.push(source)
      continue
    }
    if (frame.key) awaitingKey.delete(frame.track)
    if (awaitingKey.has(frame.track)) part.dropped.push(source)
    else part.frames.push(source)
  }
}

/** Offset of an EBML head with a Segment behind it, or -1. */
function findRecorderHead(bytes: Uint8Array, from: number, end: number): number {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, end)
  for (let at = haystack.indexOf(EBML_ID, from); at >= 0; at = haystack.indexOf(EBML_ID, at + 1)) {
    const ebml = readHead(bytes, at, bytes.length)
    if (ebml === null || ebml.size === null || ebml.size > 4096) continue
    if (readHead(bytes, ebml.dataAt + ebml.size, bytes.length)?.id === ID.segment) return at
  }
  return -1
}

const EBML_ID = Buffer.of(0x1a, 0x45, 0xdf, 0xa3)

/** Whether one file can hold both: the same kinds of tracks, decoded by the same settings. */
function isJoinable(first: Head, other: Head): boolean {
  const settings = ({ tracks }: Head): string[] =>
    tracks.filter(({ kind }) => kind !== 'other').map(({ kind, codec, codecPrivate, samplingFrequency, channels }) => JSON.stringify([kind, codec, [...codecPrivate], samplingFrequency, channels])).toSorted()
  return first === other || settings(first).join() === settings(other).join()
}

/** Which chunk an offset of the run is in; asked with mostly rising offsets. */
function chunkFinder({ firstSeq, ends }: Run): (offset: number) => number {
  let index = 0
  return (offset) => {
    while (index > 0 && offset < (ends[index - 1] as number)) index -= 1
    while (index < ends.length - 1 && offset >= (ends[index] as number)) index += 1
    return firstSeq + index
  }
}
