import { unionRanges, type Ranges } from '@longtake/domain'
import type { Decoded, DecoderState } from './decoder.ts'
import type { Piece } from './piece.ts'
import { bytesOf, chunksOf, lastSeq, rawLength, type LoadedBlobs, type RawPiece } from './raw.ts'

/** What a run needs of a decoder; `WebmDecoder` and `VerbatimDecoder` are the two. */
export interface Decoder {
  readonly consumedOffset: number
  readonly tailLength: number
  /** Whether it is looking for the next Cluster. */
  readonly searching: boolean
  push(bytes: Uint8Array): Decoded
  flush(): Piece | null
  state(): { readonly state: DecoderState | null; readonly tail: Uint8Array }
}

/** A decoder as a checkpoint holds it. */
export interface SavedDecoder {
  readonly state: DecoderState | null
  /** The unparsed end of what was fed: here, or in a pending blob. */
  readonly tail: { readonly length: number; readonly bytes: Uint8Array | null; readonly blob: string | null }
}

/** How a run gets its decoder; made by the part once it has a place in a file. */
export interface Decoders {
  atStart(): Decoder
  /** Null where nothing can be decoded behind a hole (MP4). */
  behindHole(): Decoder | null
  resume(saved: SavedDecoder, tail: Uint8Array, whole: boolean): Decoder
}

/**
 * Chunks of a part without a hole between them. Its left edge is the part's start or a hole; behind a hole output is
 * whole only from the next keyframe on, so the raw chunks up to there are kept until the hole is filled, and what could be
 * decoded of them (audio, mostly) stands in `before`, to be replaced then. Its right edge is where the next chunk goes on.
 */
export class Run {
  from: number
  to: number
  /** Chunks up to where output is whole; all chunks of a run that is not decoded. Empty for a decoded run that starts the part. */
  raw: RawPiece[] = []
  /** Bytes from the run's start to the first frame of whole output; null while that is not reached. */
  wholeFrom: number | null = null
  /** The chunk with that frame. */
  wholeSeq: number | null = null
  /** Chunks at the right edge that the decoder has not seen yet. */
  unfed: RawPiece[] = []
  decoder: Decoder | null = null
  /** The decoder as loaded, until it is needed. */
  saved: SavedDecoder | null = null
  before: Piece[] = []
  after: Piece[] = []
  /** Chunks with bytes that are no sound element. */
  damaged: Ranges = []
  /** The first chunk that is not wholly used yet because its last element goes on behind `to`. */
  tailFrom: number

  /** Whether anything was decoded since it was last asked. */
  changed = false

  constructor(from: number, to: number) {
    this.from = from
    this.to = to
    this.tailFrom = from
  }

  get decoded(): boolean {
    return this.decoder !== null || this.saved !== null
  }

  append(piece: RawPiece): void {
    this.to = lastSeq(piece)
    if (this.decoded) this.unfed.push(piece)
    else this.raw.push(piece)
  }

  /** Whether it has work for `decode`. */
  get waiting(): boolean {
    return this.unfed.length > 0
  }

  /** Starts decoding what was raw until now; does nothing where that is impossible. */
  begin(decoders: Decoders): void {
    if (this.decoded) return
    const decoder = this.from === 0 ? decoders.atStart() : decoders.behindHole()
    if (decoder === null) return
    this.decoder = decoder
    this.unfed = this.raw
    this.raw = []
    if (this.from === 0) this.wholeFrom = 0
  }

  /** Makes the saved decoder work again; false while its tail is not loaded. */
  wake(decoders: Decoders, loaded: LoadedBlobs): boolean {
    if (this.decoder !== null) return true
    if (this.saved === null) return false
    const { tail } = this.saved
    const bytes = tail.bytes ?? loaded.get(tail.blob!, 0)
    if (bytes === null) return false
    this.decoder = decoders.resume(this.saved, bytes, this.wholeFrom !== null)
    this.saved = null
    return true
  }

  /** Feeds what waits, as far as its bytes are loaded. True when nothing waits any more. */
  decode(decoders: Decoders, loaded: LoadedBlobs): boolean {
    if (!this.waiting) return true
    if (!this.wake(decoders, loaded)) return false
    while (this.unfed.length > 0) {
      const piece = this.unfed[0]!
      const bytes = bytesOf(piece, loaded)
      if (bytes === null) {
        // What comes behind it will be needed, too.
        for (const next of this.unfed.slice(1)) bytesOf(next, loaded)
        return false
      }
      this.unfed.shift()
      this.#feed(piece, bytes, Infinity)
    }
    return true
  }

  /**
   * Goes on into the run right behind this one, which then is no more. False while bytes for that are not loaded.
   * Both must have nothing waiting.
   */
  join(next: Run, decoders: Decoders, loaded: LoadedBlobs): boolean {
    this.changed = true
    if (next.wholeFrom === null) {
      // Nothing of it is final: all of its bytes are here as they came.
      const pieces = [...next.raw, ...next.unfed]
      for (const piece of pieces) this.append(piece)
      return true
    }
    const pieces = next.raw.map((piece) => ({ piece, bytes: bytesOf(piece, loaded, 'at once') }))
    if (!this.wake(decoders, loaded) || pieces.some(({ bytes }) => bytes === null)) return false
    let rest = next.wholeFrom
    for (const { piece, bytes } of pieces) {
      const used = Math.min(rest, bytes!.length)
      if (used > 0) this.#feed(piece, bytes!.subarray(0, used), used)
      rest -= used
    }
    const here = this.decoder!
    // A search holds a Cluster's head until the first frame proves it: that keyframe. Any other element that has not ended
    // here reaches into what the next run took for a Cluster.
    if (here.tailLength > 0 && !here.searching) this.damaged = unionRanges(this.damaged, [[Math.min(this.tailFrom, next.wholeSeq!), next.wholeSeq!]])
    this.flush()
    if (this.wholeFrom === null) {
      this.wholeFrom = here.consumedOffset + here.tailLength
      this.wholeSeq = next.wholeSeq
    }
    this.after.push(...next.after)
    this.damaged = unionRanges(this.damaged, next.damaged)
    this.decoder = next.decoder
    this.saved = next.saved
    this.unfed = next.unfed
    this.tailFrom = next.tailFrom
    this.to = next.to
    return true
  }

  /** Ends the open cluster, so that all that was decoded is in pieces. */
  flush(): void {
    const piece = this.decoder?.flush() ?? null
    if (piece !== null) (this.wholeFrom === null ? this.before : this.after).push(piece)
  }

  /** Its decoder as a checkpoint holds it; null while the run is raw. Call it after `flush`. */
  snapshot(): SavedDecoder | null {
    if (this.decoder === null) return this.saved
    const { state, tail } = this.decoder.state()
    return { state, tail: { length: tail.length, bytes: tail, blob: null } }
  }

  #feed(piece: RawPiece, bytes: Uint8Array, limit: number): void {
    const decoder = this.decoder!
    this.changed = true
    let left = limit
    for (const chunk of chunksOf(piece, bytes)) {
      if (left <= 0) break
      left -= chunk.bytes.length
      const startsAt = decoder.consumedOffset + decoder.tailLength
      const unusedFrom = this.tailFrom
      const made = decoder.push(chunk.bytes)
      this.before.push(...made.before)
      this.after.push(...made.after)
      if (made.damaged) this.damaged = unionRanges(this.damaged, [[Math.min(unusedFrom, chunk.seq), chunk.seq]])
      if (decoder.tailLength === 0) this.tailFrom = chunk.seq + 1
      else if (decoder.consumedOffset >= startsAt) this.tailFrom = chunk.seq
      if (made.wholeFrom !== null) {
        this.wholeFrom = made.wholeFrom
        this.wholeSeq = made.wholeFrom >= startsAt ? chunk.seq : unusedFrom
        this.raw.push(piece)
        this.#dropRawBehindWhole()
      }
    }
    if (this.wholeFrom === null) this.raw.push(piece)
  }

  #dropRawBehindWhole(): void {
    let start = 0
    this.raw = this.raw.filter((piece) => {
      const needed = start < this.wholeFrom!
      start += rawLength(piece)
      return needed
    })
  }
}
