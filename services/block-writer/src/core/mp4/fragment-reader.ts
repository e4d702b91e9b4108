import type { Fault, FaultCause } from '../faults.ts'
import { readBoxHead, readFragment, readMovie, type Mp4Track } from './boxes.ts'

/** A `moov` or `moof` of a real recording has some hundred bytes to some kilobytes; what is larger is not held. */
const MAX_HELD_BOX = 4 * 1024 * 1024
/** How far the times of a track may go back from fragment to fragment: rounding. */
const MAX_BACK_MS = 100
/** Init segments of browsers have one or two kilobytes; each checkpoint holds one. */
export const MAX_INIT_BYTES = 64 * 1024

interface TrackClock extends Mp4Track {
  /** Where its last fragment ended, in ticks. */
  readonly endTicks: number
}

/** A reader's context as JSON. The bytes of the box that is not whole yet go beside it. */
export interface FragmentState {
  /** Stream offset of the box that is not whole yet, and the bytes of it that were passed over and are still to come. */
  readonly offset: number
  /** null: it reaches to the end of the file. */
  readonly skip: number | null
  /** Whether the open box is an `mdat`, and the bytes of its content. */
  readonly mdatBytes: number | null
  /** End of the last fragment (or other box outside of one) that is whole. */
  readonly wholeTo: number
  readonly tracks: readonly TrackClock[] | null
  readonly isFragmented: boolean
  /** Times of a `moof` whose `mdat` is not whole yet, ms, and the bytes that its samples have. */
  readonly open: { readonly startMs: number; readonly endMs: number; readonly bytes: number } | null
  /** Of all whole fragments, ms. */
  readonly startMs: number | null
  readonly endMs: number | null
  /**
   * The recording's init segment, `ftyp` and `moov`, base64, as far as it was read. Absent if it is larger than
   * `MAX_INIT_BYTES`, and in checkpoints of versions that did not keep it.
   */
  readonly init?: string
  /** Why nothing that follows can be played. */
  readonly broken: { readonly cause: FaultCause; readonly startMs: number | null } | null
}

/** Output of a `push`. */
export interface Taken {
  /** Stream offset of `bytes`: whole boxes, and content of boxes that is passed over as it comes. */
  readonly from: number
  readonly bytes: Uint8Array
  /** Boxes that begin in `bytes`. */
  readonly boxes: readonly TakenBox[]
}

export interface TakenBox {
  readonly type: string
  /** Stream offset. */
  readonly at: number
  /**
   * Of a `moof`: its length, when its earliest sample is decoded (ms), and whether all samples can be decoded without
   * earlier ones.
   */
  readonly fragment?: { readonly bytes: number; readonly startMs: number; readonly isSync: boolean }
}

const NOTHING: Taken = { from: 0, bytes: new Uint8Array(0), boxes: [] }

export const AT_START: FragmentState = { offset: 0, skip: 0, mdatBytes: null, wholeTo: 0, tracks: null, isFragmented: false, open: null, startMs: null, endMs: null, broken: null }

/**
 * Reads the boxes of an MP4 as it comes, for its times: what is whole, and from where on nothing can be played. Holds one
 * `moov` or `moof` at most; samples are passed over. It knows no codecs: what is in the samples only a decoder can tell.
 */
export class FragmentReader {
  #state: FragmentState
  /** What came of a box that is not whole yet, and how many bytes it takes to go on. */
  #waiting: Uint8Array[]
  #needed = 0
  #taken = NOTHING
  #boxes: TakenBox[] = []

  constructor(state: FragmentState = AT_START, tail: Uint8Array = new Uint8Array(0)) {
    this.#state = state
    this.#waiting = [tail]
  }

  get state(): FragmentState {
    return this.#state
  }

  /** The bytes of the box that is not whole yet. */
  get tail(): Uint8Array {
    return Buffer.concat(this.#waiting)
  }

  /** Times of all whole fragments, ms; null while there is none. */
  get times(): { readonly startMs: number; readonly endMs: number } | null {
    const { startMs, endMs } = this.#state
    return startMs === null || endMs === null ? null : { startMs, endMs }
  }

  /** Output of the last `push`. */
  get taken(): Taken {
    return this.#taken
  }

  get wholeTo(): number {
    return this.#state.wholeTo
  }

  /** Takes the next bytes; returns what of them cannot be played. */
  push(bytes: Uint8Array): Fault[] {
    this.#waiting.push(bytes)
    this.#taken = NOTHING
    const length = this.#waiting.reduce((sum, piece) => sum + piece.length, 0)
    if (length >= this.#needed || this.#state.broken !== null) this.#read(this.#waiting.length === 1 ? bytes : Buffer.concat(this.#waiting))
    const { broken } = this.#state
    return broken === null ? [] : [{ cause: broken.cause, startMs: broken.startMs, endMs: null }]
  }

  #read(data: Uint8Array): void {
    let at = 0
    this.#needed = 0
    this.#boxes = []
    const from = this.#state.offset
    while (this.#state.broken === null && at < data.length) {
      const used = this.#state.skip === 0 ? this.#take(data, at) : this.#pass(data.length - at)
      if (used === 0) break
      at += used
    }
    if (this.#state.broken !== null) at = data.length
    this.#taken = { from, bytes: data.subarray(0, at), boxes: this.#boxes }
    this.#waiting = at === data.length ? [] : [data.slice(at)]
  }

  #change(change: Partial<FragmentState>): void {
    this.#state = { ...this.#state, ...change }
  }

  #break(cause: FaultCause): number {
    this.#change({ broken: { cause, startMs: this.#state.endMs } })
    return 0
  }

  /** Passes over content of the open box; behind it whatever it ends is whole. */
  #pass(available: number): number {
    const { skip, offset } = this.#state
    const used = Math.min(skip ?? Infinity, available)
    const left = skip === null ? null : skip - used
    this.#change({ offset: offset + used, skip: left })
    if (left === 0) this.#boxEnded()
    // What reaches to the end of the file has no other end.
    else if (left === null) this.#change({ wholeTo: offset + used })
    return used
  }

  #boxEnded(): void {
    const { open, startMs, endMs, offset, mdatBytes } = this.#state
    if (open === null) return this.#change({ wholeTo: offset })
    // Other boxes may stand between a fragment's two.
    if (mdatBytes === null) return
    const bytes = open.bytes - mdatBytes
    if (bytes > 0) return this.#change({ open: { ...open, bytes } })
    this.#change({ open: null, wholeTo: offset, startMs: Math.min(startMs ?? Infinity, open.startMs), endMs: Math.max(endMs ?? 0, open.endMs) })
  }

  #take(data: Uint8Array, at: number): number {
    const head = readBoxHead(data, at, data.length)
    if (typeof head === 'number') return this.#wait(head)
    if (head === null) return this.#break('broken-content')
    const { type, size, length } = head
    const { tracks, isFragmented, open, offset } = this.#state
    if (type === 'ftyp' && offset > 0) return this.#break('other-recording')
    if (type === 'ftyp' || type === 'moov' || type === 'moof') {
      if (size > MAX_HELD_BOX) return this.#break('broken-content')
      if (data.length - at < size) return this.#wait(size)
      const box = { data: at + length, end: at + size }
      if (type === 'moov' && !this.#takeMovie(data, box)) return 0
      if (type === 'moof' && !this.#takeFragment(data, box, size)) return 0
      if (type !== 'moof') {
        this.#keepInit(data.subarray(at, at + size))
        this.#boxes.push({ type, at: offset })
      }
      this.#change({ offset: offset + size, ...(type === 'moof' ? {} : { wholeTo: offset + size }) })
      return size
    }
    // Samples of a fragmented file that no moof describes.
    if (type === 'mdat' && tracks !== null && isFragmented && open === null) return this.#break('broken-content')
    this.#boxes.push({ type, at: offset })
    this.#change({ offset: offset + length, skip: size === Infinity ? null : size - length, mdatBytes: type === 'mdat' ? size - length : null })
    if (size === length) this.#boxEnded()
    return length
  }

  #wait(needed: number): number {
    this.#needed = needed
    return 0
  }

  /**
   * `moov` is the last box of an init segment (ISO/IEC 23009-1 §6.3.3); where one of the two is too large, there is
   * none.
   */
  #keepInit(box: Uint8Array): void {
    const { init, offset } = this.#state
    if (offset > 0 && init === undefined) return
    const kept = init === undefined ? new Uint8Array(0) : Buffer.from(init, 'base64')
    const { init: _, ...others } = this.#state
    if (kept.length + box.length > MAX_INIT_BYTES) this.#state = others
    else this.#change({ init: Buffer.concat([kept, box]).toString('base64') })
  }

  #takeMovie(data: Uint8Array, box: { data: number; end: number }): boolean {
    if (this.#state.tracks !== null) return this.#break('other-recording') > 0
    const movie = readMovie(data, box)
    if (movie === null) return this.#break('broken-content') > 0
    this.#change({ tracks: movie.tracks.map((track) => ({ ...track, endTicks: 0 })), isFragmented: movie.isFragmented })
    if (!movie.isFragmented) this.#change({ startMs: 0, endMs: movie.durationMs })
    return true
  }

  #takeFragment(data: Uint8Array, box: { data: number; end: number }, size: number): boolean {
    const { tracks, open } = this.#state
    const runs = tracks === null || open !== null ? null : readFragment(data, box, tracks)
    if (tracks === null || runs === null) return this.#break('broken-content') > 0
    const isSync = runs.every((run) => run.isSync) && (!tracks.some(({ isVideo }) => isVideo) || runs.some(({ track, samples }) => samples > 0 && tracks.find(({ id }) => id === track)?.isVideo))
    let [startMs, endMs, bytes] = [Infinity, 0, 0]
    const clocks = tracks.map((track) => {
      const run = runs.find((one) => one.track === track.id)
      if (run === undefined || run.samples === 0) return track
      const startTicks = run.startTicks ?? track.endTicks
      if (((track.endTicks - startTicks) / track.timescale) * 1000 > MAX_BACK_MS) return null
      bytes += run.bytes ?? 0
      startMs = Math.min(startMs, (startTicks / track.timescale) * 1000)
      endMs = Math.max(endMs, ((startTicks + run.ticks) / track.timescale) * 1000)
      return { ...track, endTicks: startTicks + run.ticks }
    })
    if (clocks.some((clock) => clock === null)) return this.#break('time-backwards') > 0
    if (startMs === Infinity) startMs = endMs = this.#state.endMs ?? 0
    this.#boxes.push({ type: 'moof', at: this.#state.offset, fragment: { bytes: size, startMs: Math.floor(startMs), isSync } })
    this.#change({ tracks: clocks as TrackClock[], open: { startMs: Math.round(startMs), endMs: Math.round(endMs), bytes } })
    return true
  }
}
