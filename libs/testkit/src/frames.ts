import { hash } from 'node:crypto'
import { readFloat, readHead, readText, readTrackNumber, readUint, type ElementHead } from './ebml.ts'
import { ID } from './schema.ts'

export type TrackKind = 'video' | 'audio' | 'other'

/** One track as its TrackEntry describes it. */
export interface TrackInfo {
  number: number
  kind: TrackKind
  codec: string
  codecPrivate: Uint8Array
  samplingFrequency: number
  channels: number
  /** Nanoseconds. */
  codecDelay: number
  seekPreRoll: number
  defaultDuration: number
}

export interface Frame {
  kind: TrackKind
  track: number
  /** On the timeline of the stream it is in. */
  timeMs: number
  key: boolean
  data: Uint8Array
  /** BlockAdditions as they are; empty when there are none. */
  additions: Uint8Array
  /** As told by a BlockDuration; 0 when not told. */
  durationMs: number
  /** Same for frames of the same kind, content and flags, whatever their time and whether they are marked as keyframes. */
  identity: string
  /** Where its SimpleBlock or BlockGroup begins and ends in the bytes it was read from. */
  at: number
  end: number
}

/** The whole elements directly in `[from, end)`; stops at the first that is cut off, malformed or of unknown size. */
export function* wholeChildren(bytes: Uint8Array, from: number, end: number): Generator<ElementHead & { data: Uint8Array }> {
  for (let at = from; at < end;) {
    const head = readHead(bytes, at, end)
    if (head === null || head.size === null || head.dataAt + head.size > end) return
    at = head.dataAt + head.size
    yield { ...head, data: bytes.subarray(head.dataAt, at) }
  }
}

export function readTracks(bytes: Uint8Array, from: number, end: number): TrackInfo[] {
  const tracks: TrackInfo[] = []
  for (const entry of wholeChildren(bytes, from, end)) {
    if (entry.id !== ID.trackEntry) continue
    const track: TrackInfo = {
      number: 0, kind: 'other', codec: '', codecPrivate: new Uint8Array(0), samplingFrequency: 0, channels: 0, codecDelay: 0, seekPreRoll: 0, defaultDuration: 0,
    }
    for (const { id, data } of wholeChildren(entry.data, 0, entry.data.length)) {
      if (id === ID.trackNumber) track.number = readUint(data)
      else if (id === ID.trackType) track.kind = data[0] === 1 ? 'video' : data[0] === 2 ? 'audio' : 'other'
      else if (id === ID.codecId) track.codec = readText(data)
      else if (id === ID.codecPrivate) track.codecPrivate = data
      else if (id === ID.codecDelay) track.codecDelay = readUint(data)
      else if (id === ID.seekPreRoll) track.seekPreRoll = readUint(data)
      else if (id === ID.defaultDuration) track.defaultDuration = readUint(data)
      else if (id === ID.audio) readAudio(data, track)
    }
    tracks.push(track)
  }
  return tracks
}

function readAudio(bytes: Uint8Array, track: TrackInfo): void {
  for (const { id, data } of wholeChildren(bytes, 0, bytes.length)) {
    if (id === ID.samplingFrequency) track.samplingFrequency = readFloat(data)
    else if (id === ID.channels) track.channels = readUint(data)
  }
}

export interface BlockContext {
  clusterTime: number
  /** Of the frame before in the same Cluster, relative to its time; null for the first. */
  ticksBefore?: number | null
  /** Nanoseconds per tick. */
  timestampScale: number
  tracks: readonly TrackInfo[]
}

const NO_BYTES: Uint8Array = new Uint8Array(0)

/** The frame of a whole SimpleBlock or BlockGroup, or null when it cannot be read or its track does not exist. */
export function readFrame(bytes: Uint8Array, head: ElementHead, end: number, context: BlockContext): Frame | null {
  if (head.id === ID.simpleBlock) return readBlock(bytes, head, head.dataAt, end, end, context, { simple: true, key: false, additions: NO_BYTES, duration: 0 })
  let block: ElementHead | null = null
  let blockEnd = 0
  const group = { simple: false, key: true, additions: NO_BYTES, duration: 0 }
  for (const child of wholeChildren(bytes, head.dataAt, end)) {
    if (child.id === ID.block) {
      block = child
      blockEnd = child.dataAt + child.data.length
    } else if (child.id === ID.referenceBlock) group.key = false
    else if (child.id === ID.blockAdditions) group.additions = child.data
    else if (child.id === ID.blockDuration) group.duration = readUint(child.data)
  }
  return block === null ? null : readBlock(bytes, head, block.dataAt, blockEnd, end, context, group)
}

interface BlockKind {
  simple: boolean
  key: boolean
  additions: Uint8Array
  duration: number
}

function readBlock(bytes: Uint8Array, element: ElementHead, from: number, to: number, end: number, context: BlockContext, told: BlockKind): Frame | null {
  const number = readTrackNumber(bytes, from, to)
  if (number === null || from + number.width + 3 > to) return null
  const track = context.tracks.find((one) => one.number === number.track)
  if (track === undefined) return null
  const timeAt = from + number.width
  const written = ((bytes[timeAt] as number) << 24 >> 16) | (bytes[timeAt + 1] as number)
  // Sixteen bits wrap around in a Cluster of more than 32.767 s.
  const turns = context.ticksBefore === undefined || context.ticksBefore === null ? 0 : Math.round((context.ticksBefore - written) / 65_536)
  const relative = written + 65_536 * turns
  const flags = bytes[timeAt + 2] as number
  const data = bytes.subarray(timeAt + 3, to)
  const tickMs = context.timestampScale / 1e6
  const otherFlags = flags & 0x7f
  return {
    kind: track.kind,
    track: track.number,
    timeMs: (context.clusterTime + relative) * tickMs,
    key: told.simple ? (flags & 0x80) !== 0 : told.key,
    data,
    additions: told.additions,
    durationMs: told.duration * tickMs,
    identity: `${track.kind}:${otherFlags}:${hash('sha256', data, 'base64url').slice(0, 22)}`,
    at: element.at,
    end,
  }
}
