import type { TrackInfo } from '@longtake/webm'
import { isStored, leadInOf, leadInPieces, type LeadIn, type MediaTimes } from './continuation.ts'
import type { Decoded, DecoderState, SavedRecording } from './decoder.ts'
import { withFault, type ChunkFault } from './faults.ts'
import { continueFragments, needsInit, unknownFragments } from './mp4/continue-fragments.ts'
import { MAX_INIT_BYTES } from './mp4/fragment-reader.ts'
import { joinedPace, joinedSilences, movedPace, NO_PACE, withChunk, type Pace, type Silence } from './pace.ts'
import type { Piece, StoredPiece } from './piece.ts'
import { PieceList } from './piece-list.ts'
import { bytesOf, chunksOf, lastSeq, load, PAUSE, rawLength, type RawPiece, type Work } from './raw.ts'
import { FRAGMENT_CUES, type SavedFragments } from './verbatim.ts'

/** What a run needs of a decoder; `WebmDecoder` and `VerbatimDecoder` are the two. */
export interface Decoder {
  readonly consumedOffset: number
  readonly tailLength: number
  /** Whether its output has all bytes that it was given. */
  readonly isVerbatim: boolean
  /** Whether it is looking for the next Cluster. */
  readonly searching: boolean
  /** What is added to the times that it reads; null while that is not known. */
  readonly shiftMs: number | null
  push(bytes: Uint8Array, capturedAt: number | null): Decoded
  flush(): Piece | null
  state(): { readonly state: DecoderState | null; readonly tail: Uint8Array; readonly fragments?: SavedFragments }
}

/** A decoder as a checkpoint holds it. */
export interface SavedDecoder {
  readonly state: DecoderState | null
  /** Of an MP4. */
  readonly fragments?: SavedFragments
  /** The unparsed end of what was fed: here, or in a pending blob. */
  readonly tail: { readonly length: number; readonly bytes: Uint8Array | null; readonly blob: string | null }
}

/** How a run gets its decoder; made by the part once it has a place in a file. */
export interface Decoders {
  atStart(): Decoder
  /** Null where nothing can be decoded behind a hole (MP4). */
  behindHole(run: Run): Decoder | null
  /** When the part began, ms since the epoch; NaN where that is not known. */
  readonly startedAtMs: number
  resume(saved: SavedDecoder, tail: Uint8Array, run: Run): Decoder
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
  /** What a later file must repeat in front of what goes on there; set while the run has nothing in that file. */
  leadIn: LeadIn | null = null
  /** Whether it had media that was in no commit when its part left a file: that goes behind the lead-in. */
  leftFresh = false
  before = new PieceList()
  after = new PieceList()
  /** File times of lead-ins: an earlier file has the same media. */
  repeated: readonly MediaTimes[] = []
  /** What of its chunks is not in its output for good, and their bytes. */
  faults: readonly ChunkFault[] = []
  kept: RawPiece[] = []
  /** How far its media is behind the clock. */
  pace: Pace = NO_PACE
  /** Where sound pauses that should not, ms of the part's own time. */
  silences: readonly Silence[] = []
  /** What was added to the times at `wholeFrom`. */
  wholeShiftMs = 0
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
    const decoder = this.from === 0 ? decoders.atStart() : decoders.behindHole(this)
    if (decoder === null) return
    this.decoder = decoder
    this.unfed = this.raw
    this.raw = []
    if (this.from === 0) this.wholeFrom = 0
  }

  /** Feeds what waits. Does nothing while nothing waits, so also where nothing can be decoded. */
  *decode(decoders: Decoders): Work {
    while (this.waiting) {
      // A pause may store what waits, and the tail.
      if (this.#mustLoad(this.unfed[0]!)) yield PAUSE
      yield* this.#wake(decoders)
      const piece = this.unfed[0]!
      const bytes = yield* bytesOf(piece)
      this.unfed.shift()
      this.#feed(piece, bytes, Infinity, decoders.startedAtMs)
    }
  }

  /**
   * Goes on into the run right behind this one, which then is no more. Both must have nothing waiting. `next` shrinks from
   * its left with every piece that is used up, so that a commit in between finds two neighbours that are still to be joined.
   */
  *join(next: Run, decoders: Decoders): Work {
    this.changed = true
    if (next.wholeFrom === null) {
      // Nothing of it is final: all of its bytes are here as they came.
      for (const piece of [...next.raw, ...next.unfed]) this.append(piece)
      return
    }
    // What could be decoded without what is before it is decoded anew.
    next.before = new PieceList()
    for (let [piece] = next.raw; piece !== undefined && next.wholeFrom > 0; [piece] = next.raw) {
      if (this.#mustLoad(piece)) yield PAUSE
      yield* this.#wake(decoders)
      piece = next.raw[0]!
      const bytes = yield* bytesOf(piece)
      const used = Math.min(next.wholeFrom, bytes.length)
      this.#feed(piece, bytes.subarray(0, used), used, decoders.startedAtMs)
      next.raw.shift()
      next.wholeFrom -= used
      if (used < bytes.length) break
      this.to = lastSeq(piece)
      next.from = this.to + 1
    }
    yield* this.#wake(decoders)
    const here = this.decoder!
    // A search holds a Cluster's head until the first frame proves it: that keyframe. Any other element that has not ended
    // here reaches into what the next run took for a Cluster.
    if (here.tailLength > 0 && !here.searching) {
      const from = Math.min(this.tailFrom, next.wholeSeq!)
      this.faults = withFault(this.faults, { cause: 'broken-content', startMs: null, endMs: null }, from, next.wholeSeq!)
    }
    if (here.shiftMs !== null) next.#moveTo(here.shiftMs, here)
    this.flush()
    if (this.wholeFrom === null) {
      this.wholeFrom = here.consumedOffset + here.tailLength
      this.wholeSeq = next.wholeSeq
      this.wholeShiftMs = next.wholeShiftMs
    }
    for (const piece of next.after) this.after.push(piece)
    this.faults = [...this.faults, ...next.faults]
    this.kept = [...this.kept, ...next.kept]
    this.pace = joinedPace(this.pace, next.pace)
    this.silences = joinedSilences([...this.silences, ...next.silences])
    this.repeated = [...this.repeated, ...next.repeated]
    this.decoder = next.decoder
    this.saved = next.saved
    this.unfed = next.unfed
    this.leadIn = next.leadIn
    this.tailFrom = next.tailFrom
  }

  /** File time of the last frame of the track that ended first; null where nothing was decoded. */
  get playedTo(): number | null {
    const times = [...this.lastMs.values()]
    return times.length === 0 ? null : Math.min(...times)
  }

  /** File time of the last frame of each of the file's tracks. */
  get lastMs(): ReadonlyMap<number, number> {
    return new Map(this.snapshot()?.state?.writer.tracks.map(({ track, lastMs }) => [track, lastMs]))
  }

  /** Leaves its committed media where it is and goes on without it; returns what stays. */
  leave(tracks: readonly TrackInfo[], { file, offsetMs }: { readonly file: number; readonly offsetMs: number }): Run {
    const stays = new Run(this.from, this.to)
    const { wholeFrom, wholeSeq, wholeShiftMs, tailFrom, faults, pace, silences } = this
    Object.assign(stays, { wholeFrom, wholeSeq, wholeShiftMs, tailFrom, faults, pace, silences, saved: this.snapshot() })
    stays.before = this.before.filter(isStored)
    stays.after = this.after.filter(isStored)
    stays.repeated = this.repeated
    this.repeated = []
    if (stays.saved?.state === null) this.#leaveFragments(stays.saved, [...stays.after].filter(isStored), file, offsetMs)
    else if (stays.after.length > 0) this.leadIn = leadInOf([...stays.after], tracks.find(({ type }) => type === 'video')?.number, file, offsetMs)
    this.leftFresh = this.after.rest.some(({ kind }) => kind === 'fresh')
    this.before = this.before.filter(({ kind }) => kind === 'fresh')
    this.after = this.after.filter(({ kind }) => kind === 'fresh')
    if (stays.after.length > 0 && this.leadIn === null) this.#awaitKeyframe()
    return stays
  }

  /** The same for an MP4, which leaves a file only when it is loaded: all its pieces are committed. */
  #leaveFragments(saved: SavedDecoder, stored: readonly StoredPiece[], file: number, offsetMs: number): void {
    const [first] = stored
    if (first === undefined) return
    const length = stored.reduce((sum, piece) => sum + piece.length, 0)
    const fragments = saved.fragments ?? unknownFragments(length)
    const { state } = fragments
    this.leadIn = needsInit(state)
      ? { file, block: first.id, skip: 0, length: Math.min(length, MAX_INIT_BYTES), fromMs: state.endMs ?? 0, offsetMs }
      : leadInOf(stored, FRAGMENT_CUES, file, offsetMs)
    this.saved = { ...saved, fragments: { ...fragments, left: true } }
    this.decoder = null
  }

  /**
   * Puts the lead-in, if there is one, in front of what it goes on with. Where storage does not give it, pictures up to the
   * next keyframe are left out and reported.
   */
  *repeatLeadIn(tracks: readonly TrackInfo[], { offsetMs }: { readonly offsetMs: number }): Work {
    const { leadIn, leftFresh } = this
    this.leftFresh = false
    const fragments = this.saved?.fragments
    if (fragments?.left === true) return yield* this.#repeatFragments(fragments, leadIn, offsetMs)
    if (leadIn === null) return
    const bytes = yield { kind: 'read', media: leadIn }
    // Also where nothing else changes any more: a pause has perhaps committed the file without it.
    this.changed = true
    this.leadIn = null
    if (bytes === undefined) this.#awaitKeyframe()
    const pieces = bytes === undefined ? [] : leadInPieces(bytes, tracks, leadIn, offsetMs)
    const [first] = pieces
    if (first !== undefined) this.repeated = [...this.repeated, { startMs: first.startMs, endMs: Math.max(...pieces.map(({ endMs }) => endMs)) }]
    this.after = new PieceList(leftFresh ? [...pieces, ...this.after] : [...this.after, ...pieces])
  }

  *#repeatFragments(left: SavedFragments, leadIn: LeadIn | null, offsetMs: number): Work {
    const bytes = leadIn === null ? undefined : yield { kind: 'read', media: leadIn }
    const { fragments, pieces, repeated } = continueFragments(left, leadIn, bytes, offsetMs)
    this.leadIn = null
    this.saved = { ...this.saved!, fragments }
    this.after.push(...pieces)
    if (repeated !== null) this.repeated = [...this.repeated, repeated]
  }

  /** Frees the decoder until it is needed again. Call it after `flush`. */
  rest(): void {
    this.saved = this.snapshot()
    this.decoder = null
  }

  /** What it refers to is in another file. */
  #awaitKeyframe(): void {
    this.flush()
    this.rest()
    if (this.saved?.state) this.saved = { ...this.saved, state: { ...this.saved.state, awaitsKeyframe: true } }
  }

  /** Ends the open cluster, so that all that was decoded is in pieces. */
  flush(): void {
    const piece = this.decoder?.flush() ?? null
    if (piece !== null) (this.wholeFrom === null ? this.before : this.after).push(piece)
  }

  /** Its decoder as a checkpoint holds it; null while the run is raw. Call it after `flush`. */
  snapshot(): SavedDecoder | null {
    if (this.decoder === null) return this.saved
    const { state, tail, fragments } = this.decoder.state()
    return { state, ...(fragments === undefined ? {} : { fragments }), tail: { length: tail.length, bytes: tail, blob: null } }
  }

  /**
   * Moves its media in time and stops decoding.
   * @param recording that the media is of, where its own is not known
   */
  move(deltaMs: number, recording?: SavedRecording): void {
    this.before.move(deltaMs)
    this.after.move(deltaMs)
    this.repeated = this.repeated.map(({ startMs, endMs }) => ({ startMs: startMs + deltaMs, endMs: endMs + deltaMs }))
    this.saved = this.snapshot()
    this.decoder = null
    if (!this.saved?.state) return
    const { writer, ...rest } = this.saved.state
    const movedWriter = {
      lastCueMs: writer.lastCueMs === null ? null : writer.lastCueMs + deltaMs,
      tracks: writer.tracks.map((track) => ({ ...track, lastMs: track.lastMs + deltaMs })),
    }
    this.saved = { ...this.saved, state: { ...rest, writer: movedWriter, ...(recording === undefined ? {} : { recording }) } }
  }

  /** Its beginning turned out to be of another recording than it was read as, which stands `shiftMs` later in the part. */
  #moveTo(shiftMs: number, here: Decoder): void {
    const deltaMs = shiftMs - this.wholeShiftMs
    if (deltaMs === 0) return
    this.flush()
    const own = this.snapshot()?.state?.recording
    const shifted = own === undefined ? here.state().state?.recording : { ...own, shiftMs: own.shiftMs === null ? null : own.shiftMs + deltaMs }
    this.move(deltaMs, shifted)
    this.pace = movedPace(this.pace, deltaMs)
    this.silences = this.silences.map((silence) => ({ ...silence, startMs: silence.startMs + deltaMs, endMs: silence.endMs + deltaMs }))
    this.wholeShiftMs = shiftMs
  }

  /** Whether anything must be read from storage to feed this piece. */
  #mustLoad(piece: RawPiece): boolean {
    return piece.bytes === null || (this.decoder === null && this.saved !== null && this.saved.tail.bytes === null)
  }

  /** Makes the saved decoder work again. */
  *#wake(decoders: Decoders): Work {
    if (this.decoder !== null) return
    // Only a run that was begun has something to feed.
    const { tail } = this.saved!
    const bytes = tail.bytes ?? (yield* load(tail.blob!, tail.length))
    this.decoder = decoders.resume(this.saved!, bytes, this)
    this.saved = null
  }

  #feed(piece: RawPiece, bytes: Uint8Array, limit: number, startedAtMs: number): void {
    const decoder = this.decoder!
    this.changed = true
    let left = limit
    for (const chunk of chunksOf(piece, bytes)) {
      if (left <= 0) break
      left -= chunk.bytes.length
      const startsAt = decoder.consumedOffset + decoder.tailLength
      const unusedFrom = this.tailFrom
      const made = decoder.push(chunk.bytes, chunk.capturedAt)
      this.before.push(...made.before)
      this.after.push(...made.after)
      for (const { startMs, endMs } of made.silences) this.silences = joinedSilences([...this.silences, { from: chunk.seq, to: chunk.seq, startMs, endMs, missingMs: endMs - startMs }])
      if (made.reached !== null && chunk.capturedAt !== null) {
        const hasSound = made.reached.hasSound && this.silences.length === 0
        this.pace = withChunk(this.pace, { seq: chunk.seq, capturedMs: chunk.capturedAt - startedAtMs }, { ...made.reached, hasSound })
      }
      for (const fault of made.faults) this.faults = withFault(this.faults, fault, Math.min(unusedFrom, chunk.seq), chunk.seq)
      if (made.faults.length > 0 && !decoder.isVerbatim) this.kept.push({ from: chunk.seq, lengths: [chunk.bytes.length], blob: null, bytes: chunk.bytes, capturedAt: [chunk.capturedAt] })
      if (decoder.tailLength === 0) this.tailFrom = chunk.seq + 1
      else if (decoder.consumedOffset >= startsAt) this.tailFrom = chunk.seq
      if (made.wholeFrom !== null) {
        this.wholeFrom = made.wholeFrom
        this.wholeShiftMs = decoder.shiftMs ?? 0
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
