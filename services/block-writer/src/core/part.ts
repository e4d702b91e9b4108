import type { ChunkRecord, DeclarationOf, PartState, SeqRange } from '@longtake/contracts'
import { endOf, hasSeq, insertRange } from '@longtake/domain'
import { compatible, mapTracks, sniff, StreamReader, type PartHeader, type TrackInfo } from '@longtake/webm'
import { fromMsOf, type LeftPlace } from './continuation.ts'
import { DeclaredLost } from './declared-lost.ts'
import { WebmDecoder, type Placement } from './decoder.ts'
import { Digests } from './digests.ts'
import { floorOf } from './floor.ts'
import { HeldChunks } from './held-chunks.ts'
import { freshLength } from './piece.ts'
import { unknownReason } from './unknown-content.ts'
import type { PieceList } from './piece-list.ts'
import { bytesOf, pausing, rawLength, type RawPiece, type Work } from './raw.ts'
import { Run, type Decoders } from './run.ts'
import { VerbatimDecoder } from './verbatim.ts'

export type Container = 'webm' | 'mp4'

/**
 * What became of a chunk: `taken` into a run; `held` while it is worth waiting for what is before it; `duplicate` of one that
 * is here; `other-content` under a known identity; `refused` because the part is no recording.
 */
export type Taken = 'taken' | 'held' | 'duplicate' | 'other-content' | 'refused'

/** Where a part stands: the file of its track and its time in it. */
export interface Place {
  readonly file: number
  /** File time of the part's own time 0, frozen with the first commit. */
  readonly offsetMs: number
  /** The part's own time from which on it stands in this file; not set where it began there. */
  readonly fromMs?: number
}

/** A header of this length is none: real ones have a few hundred bytes. */
const MAX_HEADER_BYTES = 4 * 1024 * 1024

/** What comes so soon after its capture is recorded now; what comes later was kept by its recorder. */
const LIVE_MS = 60_000

/** One run of one `MediaRecorder`: which of its chunks are here, and what has become of their bytes. */
export class Part {
  readonly id: string
  client: string | null = null
  mimeType: string | null = null
  startedAt: string | null = null
  closed: PartState['closed'] = null
  rejected: PartState['rejected'] = null
  container: Container | null = null
  header: PartHeader | null = null
  place: Place | null = null
  /** Set once it goes on in another file than it began in; that one keeps the media that it has. */
  continues: LeftPlace | null = null
  /** Changed in place. */
  stored: SeqRange[] = []
  digests = new Digests()
  bytes = 0
  /** The latest capture time of any chunk here, ms since the epoch. */
  capturedTo: number | null = null
  runs: Run[] = []
  /** Whether a commit has something new to say about it. */
  dirty = false
  /** Whether the last commit had media of it. */
  committedMedia = false
  /** `capturedTo` as of the last commit. */
  committedTo: number | null = null
  /** When its first chunk was taken here, ms; null before, and where an earlier owner took it. */
  firstTakenAt: number | null = null
  /** How long after its capture the newest chunk came, ms; null before the first one came here. */
  latencyMs: number | null = null
  #lost = new DeclaredLost()
  readonly #held = new HeldChunks()

  constructor(id: string) {
    this.id = id
  }

  get held(): boolean {
    return this.#held.size > 0
  }

  /** When what is held was first held; null while nothing is. */
  get heldSince(): number | null {
    return this.#held.since
  }

  /** Chunks that are not held any more since the last call. */
  takeReleased(): readonly ChunkRecord[] {
    return this.#held.takeReleased()
  }

  get lost(): PartState['lost'] {
    return this.#lost.list()
  }

  set lost(list: PartState['lost']) {
    this.#lost = new DeclaredLost(list)
  }

  take(chunk: ChunkRecord, now: number): Taken {
    const { seq, sha256 } = chunk
    if (hasSeq(this.stored, seq)) return this.digests.matches(seq, sha256) ? 'duplicate' : 'other-content'
    const held = this.#held.get(seq)
    if (held !== undefined) return held.sha256 === sha256 ? 'duplicate' : 'other-content'
    if (this.rejected !== null) return 'refused'
    this.client ??= chunk.client
    if (this.stored.length === 0) this.firstTakenAt ??= now
    this.latencyMs = now - chunk.capturedAt
    const end = endOf(this.stored)
    if (seq > end && this.#lost.firstAwaited(end) < seq) {
      this.#held.hold(chunk, now)
      return 'held'
    }
    this.#put(chunk)
    this.#takeHeldInOrder()
    return 'taken'
  }

  /** Whether a chunk of this number is here. */
  has(seq: number): boolean {
    return hasSeq(this.stored, seq) || this.#held.get(seq) !== undefined
  }

  /** Takes what is held whatever is missing before it. */
  releaseHeld(): void {
    for (const seq of this.#held.seqs()) this.#put(this.#held.release(seq)!)
  }

  declareOpened(declared: DeclarationOf<'part-opened'>): void {
    this.client = declared.client
    this.mimeType = declared.mimeType
    // A client that opens its part again after a reconnect says the same; should it not, the first counts: places hang on it.
    this.startedAt ??= declared.startedAt
    this.dirty = true
  }

  /** A page that came back after a crash may know of fewer chunks than the one before had declared: those would be missing unseen. */
  declareClosed({ chunks, clean }: DeclarationOf<'part-closed'>): void {
    if (this.closed === null || chunks > this.closed.chunks) this.closed = { chunks, clean }
    else if (chunks === this.closed.chunks && clean) this.closed = { chunks, clean }
    this.dirty = true
  }

  declareLost({ from, to, cause }: DeclarationOf<'chunks-lost'>): void {
    this.dirty = true
    this.#lost.add({ from, to, cause })
    // What is held is here: until it is taken, it would be told of as lost.
    if (this.#held.hasAnyOf(from, to)) this.releaseHeld()
    else this.#takeHeldInOrder()
  }

  /** Finds out what the part is, from its first bytes. Needs chunk 0; does nothing once it is known. */
  *recognise(): Work {
    const first = this.runs[0]
    if (first === undefined || first.from !== 0 || this.place !== null) return
    const start: Uint8Array[] = []
    let length = 0
    for (const piece of first.raw) {
      if (length > MAX_HEADER_BYTES) break
      // No more is loaded than is needed.
      if (piece.bytes === null && length > 0) this.#recogniseFrom(start, length)
      if (this.#isRecognised) return
      start.push(yield* bytesOf(piece))
      length += rawLength(piece)
    }
    this.#recogniseFrom(start, length)
  }

  get #isRecognised(): boolean {
    return this.rejected !== null || this.container === 'mp4' || this.header !== null
  }

  #recogniseFrom(start: readonly Uint8Array[], length: number): void {
    if (this.#isRecognised) return
    const bytes = Buffer.concat(start)
    const kind = sniff(bytes)
    if (kind === 'need-more') return
    if (kind === 'unknown') return this.#reject(unknownReason(bytes))
    this.container = kind
    if (kind === 'mp4') return
    const reader = new StreamReader()
    // What is there already may hold more than one recording.
    this.header = reader.push(bytes).find((item) => item.kind === 'header')?.header ?? null
    if (this.header !== null) return
    if (reader.failed !== null) return this.#reject(reader.failed.message)
    if (length > MAX_HEADER_BYTES) this.#reject(`no header within ${length} bytes`)
  }

  /** How long it is as far as is known, ms: one that is being recorded now may become of any length. */
  get lengthMs(): number {
    if (this.closed === null && this.latencyMs !== null && this.latencyMs < LIVE_MS) return Infinity
    return Math.max(0, (this.capturedTo ?? 0) - Date.parse(this.startedAt ?? '') - this.fromMs)
  }

  /** Whether it is known what it is and when it was, and, of one that goes on in another file, whether it has media for that. */
  get placeable(): boolean {
    if (this.place !== null || this.rejected !== null || this.startedAt === null) return false
    return this.continues === null ? this.#isRecognised : this.#hasWork || this.hasMedia
  }

  /** The part's own time from which on it stands in its file, or will. */
  get fromMs(): number {
    if (this.place !== null) return this.place.fromMs ?? 0
    if (this.continues === null) return 0
    return fromMsOf(this)
  }

  /** Makes one run of those that touch; for a part that has no place yet. */
  joinRaw(): void {
    this.runs = this.runs.reduce<Run[]>((runs, run) => {
      const last = runs.at(-1)
      if (last === undefined || last.to + 1 !== run.from) return [...runs, run]
      for (const piece of run.raw) last.append(piece)
      return runs
    }, [])
  }

  /** Decodes and joins all that can be; `fileHeader` is that of the file's first part. */
  *work(fileHeader: PartHeader | null): Work {
    if (this.place === null) return
    yield* pausing(this.#workRuns(this.#decoders(fileHeader), fileHeader?.tracks ?? []), () => this.#flush())
    this.#flush()
  }

  *#workRuns(decoders: Decoders, tracks: readonly TrackInfo[]): Work {
    for (let i = 0; i < this.runs.length; i++) {
      const run = this.runs[i]!
      run.begin(decoders)
      for (;;) {
        yield* this.#decode(i, decoders, tracks)
        const next = this.runs[i + 1]
        if (next === undefined || next.from !== run.to + 1) break
        if (next.decoded) yield* this.#decode(i + 1, decoders, tracks)
        if (run.decoded) yield* run.join(next, decoders)
        else for (const piece of next.raw) run.raw.push(piece)
        run.to = next.to
        this.runs.splice(i + 1, 1)
      }
    }
  }

  *#decode(i: number, decoders: Decoders, tracks: readonly TrackInfo[]): Work {
    const run = this.runs[i]!
    if (this.hasWorkAt(i) || run.leftFresh) yield* run.repeatLeadIn(tracks, this.place!)
    yield* run.decode(decoders)
  }

  #flush(): void {
    for (const run of this.runs) {
      run.flush()
      if (run.changed) this.dirty = true
      run.changed = false
    }
  }

  /** Whether there is something left for `work`: an owner before this one ended in the middle of it. */
  get unfinished(): boolean {
    return this.place === null ? this.continues !== null && this.placeable : this.#hasWork
  }

  get #hasWork(): boolean {
    return this.runs.some((_run, i) => this.hasWorkAt(i))
  }

  /** Whether there is something left for `work` in this run, or to join it with the next. */
  hasWorkAt(i: number): boolean {
    const run = this.runs[i]!
    return run.waiting || run.leftFresh || (!run.decoded && this.container === 'webm') || (run.decoded && this.runs[i + 1]?.from === run.to + 1)
  }

  /** Moves all of its media in time; `work` must have been done before. */
  move(deltaMs: number): void {
    if (this.place === null) return
    this.place = { ...this.place, offsetMs: this.place.offsetMs + deltaMs }
    this.dirty = true
    for (const run of this.runs) run.move(deltaMs)
  }

  /** Its media in order. */
  get media(): PieceList[] {
    return this.runs.flatMap(({ before, after }) => [before, after])
  }

  /** Decoded media that no commit has yet. */
  get freshBytes(): number {
    return this.media.reduce((sum, { rest }) => sum + freshLength(rest), 0)
  }

  get hasMedia(): boolean {
    return this.runs.some(({ before, after }) => before.length > 0 || after.length > 0)
  }

  #decoders(fileHeader: PartHeader | null): Decoders {
    if (this.container === 'mp4') {
      const { offsetMs } = this.place!
      return { startedAtMs: Date.parse(this.startedAt ?? ''), atStart: () => VerbatimDecoder.atStart(offsetMs), behindHole: () => null, resume: ({ fragments }, tail) => VerbatimDecoder.resume(fragments, tail, offsetMs) }
    }
    const header = this.header!
    const reference = fileHeader ?? header
    // The part may be moved while work pauses.
    const place = (run?: Run): Placement => ({
      tracks: reference.tracks,
      mapOf: (of) => (of === header || compatible(reference, of).compatible ? mapTracks(reference, of) : null),
      offsetMs: this.place!.offsetMs,
      ...floorOf(run === undefined ? [] : this.#lastRunsBefore(run)),
      startedAtMs: Date.parse(this.startedAt ?? ''),
    })
    return {
      startedAtMs: Date.parse(this.startedAt ?? ''),
      atStart: () => WebmDecoder.atStart(header, place()),
      behindHole: (run) => WebmDecoder.behindHole(header, place(run)),
      resume: (saved, tail, run) => WebmDecoder.resume(saved.state!, tail, header, place(run), run.wholeFrom !== null),
    }
  }

  /** A few are enough to find where the media before a run ends, and a part may have thousands. */
  #lastRunsBefore(run: Run): Run[] {
    const index = this.runs.lastIndexOf(run)
    return this.runs.slice(Math.max(0, index - 4), Math.max(0, index))
  }

  #put({ seq, sha256, payload, capturedAt }: ChunkRecord): void {
    insertRange(this.stored, seq, seq)
    this.digests.set(seq, sha256)
    this.bytes += payload.length
    this.capturedTo = Math.max(this.capturedTo ?? 0, capturedAt)
    this.dirty = true
    const piece: RawPiece = { from: seq, lengths: [payload.length], blob: null, bytes: payload, capturedAt: [capturedAt] }
    const at = this.#firstRunBehind(seq)
    const left = this.runs[at - 1]
    if (left !== undefined && left.to + 1 === seq) {
      left.append(piece)
    } else {
      const run = new Run(seq, seq)
      run.raw = [piece]
      this.runs.splice(at, 0, run)
    }
  }

  #firstRunBehind(seq: number): number {
    let low = 0
    let high = this.runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.runs[middle]!.from > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  #takeHeldInOrder(): void {
    while (this.held) {
      const end = endOf(this.stored)
      const next = this.#held.release(end) ?? this.#held.release(this.#lost.firstAwaited(end))
      if (next === undefined) return
      this.#put(next)
    }
  }

  #reject(message: string): void {
    this.rejected = { code: 'REC_NOT_A_RECORDING', message }
    this.dirty = true
  }
}
