import {
  ClusterWriter,
  KeyframeGate,
  StreamReader,
  unpackHeader,
  type ClusterWriterState,
  type FinishedCluster,
  type Frame,
  type KeyframeGateState,
  type PackedHeader,
  type PartHeader,
  type ReaderState,
  type ReadItem,
  type TrackInfo,
} from '@longtake/webm'
import type { Fault, FaultCause } from './faults.ts'
import type { Reach } from './pace.ts'
import { freshPiece, type FreshPiece } from './piece.ts'
import { knownState } from './reader-state.ts'

/** Where a part's frames go. */
export interface Placement {
  /** The file's tracks. */
  readonly tracks: readonly TrackInfo[]
  /** The file's track number for each of a recording's; null where that recording cannot be joined to the file. */
  mapOf(header: PartHeader): ReadonlyMap<number, number> | null
  /** Added to every time of the part. */
  readonly offsetMs: number
  /** File time of the end of the part's media before this run, and of a track's last frame there: nothing is laid over them. */
  readonly floorMs: number
  floorOf(track: number): number
  /** When the part began, ms since the epoch; NaN where that is not known. */
  readonly startedAtMs: number
}

/** A decoder's context as JSON; the unparsed tail goes beside it. The part's header is kept once, by the part. */
export interface DecoderState {
  readonly reader: Omit<ReaderState, 'header' | 'earlyTracks' | 'version'>
  readonly gate: KeyframeGateState
  readonly writer: ClusterWriterState
  /** The recording that is read, when it is not the part's first. */
  readonly recording?: SavedRecording
  readonly fault?: OpenFault
  /** The file has nothing of what the next pictures refer to. */
  readonly awaitsKeyframe?: true
}

/** A later recording within a part: its header (null until it was read), and what is added to its times (null before its first frame). */
export interface SavedRecording {
  readonly header: PackedHeader | null
  readonly earlyTracks: PackedHeader | null
  readonly shiftMs: number | null
}

interface Recording {
  readonly trackMap: ReadonlyMap<number, number> | null
  shiftMs: number | null
}

/** Since when something cannot be shown, and of which of the file's tracks (null: of all), in the part's own time. */
interface OpenFault {
  readonly cause: FaultCause
  readonly track: number | null
  readonly startMs: number
}

/** What one push made. */
export interface Decoded {
  /** Media before the point from which on output is whole; all of it while that is not reached. */
  readonly before: readonly FreshPiece[]
  readonly after: readonly FreshPiece[]
  /** Set once: stream offset of the first frame from which on every track's output is whole. */
  readonly wholeFrom: number | null
  /** What of this push is not in the output although its bytes came; `endMs` is null while that goes on. */
  readonly faults: readonly Fault[]
  /** How far the frames of this push reach; null where there is none in it. */
  readonly reached: Reach | null
  /** Times without sound, in a recording that has sound, although nothing of it is missing; ms of the part's own time. */
  readonly silences: readonly { readonly startMs: number; readonly endMs: number }[]
}

/**
 * Frames of sound follow one another without a pause, to 9 ms in what Chrome and Firefox record. An encoder that leaves out silence
 * (Opus DTX) still sends a frame every 400 ms.
 */
const MIN_SILENCE_MS = 1_000
/** How far the times of a track may go back: pictures that refer to later ones are stored after them. */
const MAX_REORDER_MS = 1_000
/** A longer pause between two recordings of one part is no pause but a wrong clock. */
const MAX_PAUSE_MS = 4 * 3_600_000

/** Turns a contiguous run of a WebM part's bytes into clusters of its file. */
export class WebmDecoder {
  readonly isVerbatim = false
  readonly #reader: StreamReader
  readonly #writer: ClusterWriter
  readonly #place: Placement
  readonly #sound: ReadonlySet<number>
  #gate: KeyframeGate
  #recording: Recording
  #fault: OpenFault | null
  #whole: boolean

  private constructor(reader: StreamReader, header: PartHeader | null, place: Placement, whole: boolean, state?: DecoderState) {
    this.#reader = reader
    this.#place = place
    this.#sound = new Set(place.tracks.filter(({ type }) => type === 'audio').map(({ number }) => number))
    this.#whole = whole
    this.#gate = new KeyframeGate(header ?? NO_TRACKS, state?.gate)
    this.#writer = new ClusterWriter(place.tracks, {}, state?.writer)
    this.#recording = { trackMap: header === null ? null : place.mapOf(header), shiftMs: state?.recording === undefined ? 0 : state.recording.shiftMs }
    this.#fault = state?.fault ?? null
    if (state?.awaitsKeyframe) this.#gate.close()
  }

  /** For the part's first bytes. */
  static atStart(header: PartHeader, place: Placement): WebmDecoder {
    return new WebmDecoder(new StreamReader(), header, place, true)
  }

  /** For bytes behind a hole, offsets counting from the first of them. */
  static behindHole(header: PartHeader, place: Placement): WebmDecoder {
    return new WebmDecoder(StreamReader.resync({ ...knownState(header), segmentEnd: null }, 0), header, place, false)
  }

  static resume(state: DecoderState, tail: Uint8Array, partHeader: PartHeader, place: Placement, whole: boolean): WebmDecoder {
    const { recording } = state
    const known = recording === undefined ? knownState(partHeader) : { ...knownState(partHeader), header: recording.header, earlyTracks: recording.earlyTracks }
    const header = recording === undefined ? partHeader : recording.header === null ? null : unpackHeader(recording.header)
    return new WebmDecoder(StreamReader.resume({ ...known, ...state.reader }, tail), header, place, whole, state)
  }

  /** Offset up to which all bytes were used; what lies behind it is the tail. */
  get consumedOffset(): number {
    return this.#reader.consumedOffset
  }

  get tailLength(): number {
    return this.#reader.tailLength
  }

  get searching(): boolean {
    return this.#reader.searching
  }

  /** What is added to the times of the recording that is read; null while it has no place. */
  get shiftMs(): number | null {
    return this.#recording.shiftMs
  }

  /** @param capturedAt when these bytes were captured, ms since the epoch; null where that is not known */
  push(bytes: Uint8Array, capturedAt: number | null): Decoded {
    const before: FreshPiece[] = []
    const after: FreshPiece[] = []
    const faults: Fault[] = []
    const silences: { startMs: number; endMs: number }[] = []
    let reached: Reach | null = null
    let wholeFrom: number | null = null
    const put = (cluster: FinishedCluster | null): void => {
      if (cluster !== null) (this.#whole ? after : before).push(freshPiece(cluster))
    }
    const items = this.#reader.push(bytes)
    for (const [i, item] of items.entries()) {
      switch (item.kind) {
        case 'cluster':
          break
        case 'recording':
          this.#recording = { trackMap: null, shiftMs: null }
          break
        case 'header':
          // The part's own was there from the beginning.
          if (this.#recording.shiftMs === null) this.#begin(item.header)
          break
        case 'damage':
          this.#gate.close()
          this.#miss('broken-content', null)
          break
        case 'resynced':
          this.#gate.close()
          break
        case 'frame': {
          const track = this.#admit(item, items, i, capturedAt)
          if (track === null) break
          if (!this.#whole && this.#gate.state().waiting.length === 0) {
            put(this.#writer.flush())
            this.#whole = true
            wholeFrom = item.start
          }
          const silence = this.#silenceBefore(track, item.timeMs + this.#recording.shiftMs!)
          if (silence !== null) silences.push(silence)
          const closed = this.#playsAgain(track, item.timeMs + this.#recording.shiftMs!)
          if (closed !== null) faults.push(closed)
          put(this.#writer.add(item, { track, offsetMs: this.#place.offsetMs + this.#recording.shiftMs! }))
          reached = this.#furthest(reached, track, item.timeMs + this.#recording.shiftMs!)
          break
        }
        default:
          item satisfies never
      }
    }
    if (this.#fault !== null) faults.push({ cause: this.#fault.cause, startMs: this.#fault.startMs, endMs: null })
    return { before, after, wholeFrom, faults, reached, silences }
  }

  /** Ends the open cluster. */
  flush(): FreshPiece | null {
    const cluster = this.#writer.flush()
    return cluster === null ? null : freshPiece(cluster)
  }

  /** Call it after `flush`. */
  state(): { readonly state: DecoderState; readonly tail: Uint8Array } {
    const { state, tail } = this.#reader.state()
    const { header, earlyTracks, version: _version, ...reader } = state
    const { trackMap, shiftMs } = this.#recording
    const isUnknown = trackMap === null && state.isRepeated !== true
    const isFirst = trackMap !== null && state.isRepeated !== true
    const recording = isFirst ? {} : { recording: isUnknown ? { header: null, earlyTracks: null, shiftMs } : { header, earlyTracks, shiftMs } }
    const fault = this.#fault === null ? {} : { fault: this.#fault }
    return { state: { reader, gate: this.#gate.state(), writer: this.#writer.state(), ...recording, ...fault }, tail }
  }

  #begin(header: PartHeader): void {
    this.#recording = { trackMap: this.#place.mapOf(header), shiftMs: null }
    this.#gate = new KeyframeGate(header)
  }

  /** The file's track that a frame goes to; null where it can not be shown. */
  #admit(frame: Frame, items: readonly ReadItem[], at: number, capturedAt: number | null): number | null {
    const { trackMap } = this.#recording
    if (trackMap === null) return this.#miss('other-recording', null)
    const track = trackMap.get(frame.track)
    if (track === undefined) return null
    if (!this.#gate.admits(frame)) return this.#miss('no-keyframe', track)
    this.#recording.shiftMs ??= this.#shiftOf(items, at, capturedAt)
    const lastMs = this.#writer.timesOf(track)?.lastMs
    const earliestMs = lastMs === undefined ? this.#place.floorOf(track) : lastMs - MAX_REORDER_MS
    if (frame.timeMs + this.#recording.shiftMs + this.#place.offsetMs >= earliestMs) return track
    this.#gate.close(frame.track)
    // Behind a hole this is another recording, whose head was in the hole: until that comes nobody knows its tracks.
    if (!this.#whole) this.#recording = { trackMap: null, shiftMs: null }
    return this.#miss('time-backwards', track)
  }

  /**
   * What moves a later recording behind all media before it: to when it was captured, where that is later. A chunk is
   * captured when its last frame is.
   */
  #shiftOf(items: readonly ReadItem[], at: number, capturedAt: number | null): number {
    let [firstMs, lastMs] = [Infinity, -Infinity]
    for (const item of items.slice(at)) {
      if (item.kind === 'recording') break
      if (item.kind !== 'frame') continue
      firstMs = Math.min(firstMs, item.timeMs)
      lastMs = Math.max(lastMs, item.timeMs)
    }
    const behindMs = Math.max(0, Math.max(this.#writer.durationMs, this.#place.floorMs) - this.#place.offsetMs) - firstMs
    const capturedMs = (capturedAt ?? Number.NaN) - this.#place.startedAtMs - lastMs
    return capturedMs > behindMs && capturedMs - behindMs <= MAX_PAUSE_MS ? capturedMs : behindMs
  }

  /** Notes that something is not in the output. Before that is whole its bytes are kept, and it is made anew. */
  #miss(cause: FaultCause, track: number | null): null {
    if (!this.#whole) return null
    if (this.#fault === null) this.#fault = { cause, track, startMs: this.#endOf(track) }
    else if (this.#fault.track !== track) this.#fault = { ...this.#fault, track: null }
    return null
  }

  /** The fault that ends with this frame, if any: all that was missing is there again. */
  #playsAgain(track: number, timeMs: number): Fault | null {
    const fault = this.#fault
    if (fault === null) return null
    if (fault.track === null ? this.#gate.state().waiting.length > 0 : fault.track !== track) return null
    this.#fault = null
    return { cause: fault.cause, startMs: fault.startMs, endMs: timeMs }
  }

  /** The time without sound that ends with this frame; null where what is missing is a fault already. */
  #silenceBefore(track: number, timeMs: number): { startMs: number; endMs: number } | null {
    if (!this.#sound.has(track) || !this.#whole || this.#fault !== null) return null
    const startMs = (this.#writer.timesOf(track)?.endMs ?? Infinity) - this.#place.offsetMs
    return timeMs - startMs >= MIN_SILENCE_MS ? { startMs, endMs: timeMs } : null
  }

  #furthest(reached: Reach | null, track: number, timeMs: number): Reach {
    const endMs = this.#writer.timesOf(track)!.endMs - this.#place.offsetMs
    const hasSound = this.#sound.has(track)
    if (reached === null) return { firstMs: timeMs, endMs, hasSound }
    return { firstMs: Math.min(reached.firstMs, timeMs), endMs: Math.max(reached.endMs, endMs), hasSound: reached.hasSound || hasSound }
  }

  /** The part's own time at the end of a track's output; with null, of the track that ended first. */
  #endOf(track: number | null): number {
    const ends = (track === null ? this.#place.tracks.map(({ number }) => number) : [track]).flatMap((number) => this.#writer.timesOf(number)?.endMs ?? [])
    return ends.length === 0 ? 0 : Math.max(0, Math.min(...ends) - this.#place.offsetMs)
  }
}

const NO_TRACKS: PartHeader = { docType: 'matroska', timestampScale: 1_000_000, tracks: [] }
