import {
  ClusterWriter,
  KeyframeGate,
  StreamReader,
  type ClusterWriterState,
  type FinishedCluster,
  type KeyframeGateState,
  type PartHeader,
  type ReaderState,
  type TrackInfo,
} from '@longtake/webm'
import type { FreshPiece } from './piece.ts'

/** Where a part's frames go. */
export interface Placement {
  /** The file's tracks, and the file's track number for each of the part's. */
  readonly tracks: readonly TrackInfo[]
  readonly trackMap: ReadonlyMap<number, number>
  /** Added to every time of the part. */
  readonly offsetMs: number
}

/** A decoder's context as JSON; the unparsed tail goes beside it. The part's header is kept once, by the part. */
export interface DecoderState {
  readonly reader: Omit<ReaderState, 'header' | 'earlyTracks' | 'version'>
  readonly gate: KeyframeGateState
  readonly writer: ClusterWriterState
}

/** What one push made. */
export interface Decoded {
  /** Media before the point from which on output is whole; all of it while that is not reached. */
  readonly before: readonly FreshPiece[]
  readonly after: readonly FreshPiece[]
  /** Set once: stream offset of the first frame from which on every track's output is whole. */
  readonly wholeFrom: number | null
  /** Whether bytes that are no sound element were among these. */
  readonly damaged: boolean
}

/** Turns a contiguous run of a WebM part's bytes into clusters of its file. */
export class WebmDecoder {
  readonly #reader: StreamReader
  readonly #gate: KeyframeGate
  readonly #writer: ClusterWriter
  readonly #place: Placement
  #whole: boolean

  private constructor(reader: StreamReader, gate: KeyframeGate, writer: ClusterWriter, place: Placement, whole: boolean) {
    this.#reader = reader
    this.#gate = gate
    this.#writer = writer
    this.#place = place
    this.#whole = whole
  }

  /** For the part's first bytes. */
  static atStart(header: PartHeader, place: Placement): WebmDecoder {
    return new WebmDecoder(new StreamReader(), new KeyframeGate(header), new ClusterWriter(place.tracks), place, true)
  }

  /** For bytes behind a hole, offsets counting from the first of them. */
  static behindHole(header: PartHeader, known: ReaderState, place: Placement): WebmDecoder {
    const reader = StreamReader.resync({ ...known, segmentEnd: null }, 0)
    return new WebmDecoder(reader, new KeyframeGate(header), new ClusterWriter(place.tracks), place, false)
  }

  static resume(state: DecoderState, tail: Uint8Array, header: PartHeader, known: ReaderState, place: Placement, whole: boolean): WebmDecoder {
    const reader = StreamReader.resume({ ...known, ...state.reader }, tail)
    return new WebmDecoder(reader, new KeyframeGate(header, state.gate), new ClusterWriter(place.tracks, {}, state.writer), place, whole)
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

  push(bytes: Uint8Array): Decoded {
    const before: FreshPiece[] = []
    const after: FreshPiece[] = []
    let wholeFrom: number | null = null
    let damaged = false
    const put = (cluster: FinishedCluster | null): void => {
      if (cluster !== null) (this.#whole ? after : before).push(fresh(cluster))
    }
    for (const item of this.#reader.push(bytes)) {
      switch (item.kind) {
        case 'header':
        case 'cluster':
          break
        case 'damage':
          damaged = true
          this.#gate.close()
          break
        case 'resynced':
          this.#gate.close()
          break
        case 'frame': {
          if (!this.#gate.admits(item)) break
          if (!this.#whole && this.#gate.state().waiting.length === 0) {
            put(this.#writer.flush())
            this.#whole = true
            wholeFrom = item.start
          }
          const track = this.#place.trackMap.get(item.track)
          if (track !== undefined) put(this.#writer.add(item, { track, offsetMs: this.#place.offsetMs }))
          break
        }
        default:
          item satisfies never
      }
    }
    return { before, after, wholeFrom, damaged }
  }

  /** Ends the open cluster. */
  flush(): FreshPiece | null {
    const cluster = this.#writer.flush()
    return cluster === null ? null : fresh(cluster)
  }

  /** Call it after `flush`. */
  state(): { readonly state: DecoderState; readonly tail: Uint8Array } {
    const { state, tail } = this.#reader.state()
    const { header: _header, earlyTracks: _earlyTracks, version: _version, ...reader } = state
    return { state: { reader, gate: this.#gate.state(), writer: this.#writer.state() }, tail }
  }
}

function fresh(cluster: FinishedCluster): FreshPiece {
  return { kind: 'fresh', bytes: cluster.bytes, length: cluster.bytes.length, startMs: cluster.startMs, endMs: cluster.endMs, cues: cluster.cues }
}
