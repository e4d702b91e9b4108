import type { ChunkRecord } from '@longtake/contracts'
import { compatible, mapTracks, type PartHeader } from '@longtake/webm'
import { blobsOf, startOf, TrackFile } from './file.ts'
import { fromMsOf } from './continuation.ts'
import { isNews, type PartDeclaration } from './declarations.ts'
import { beginEarlier, leave, settle } from './moving-on.ts'
import { Part, type Taken } from './part.ts'
import { pausing, type Work } from './raw.ts'
import { squeezeOverlap } from './squeeze.ts'
import { makeRoom, placeInFile, TIMELINE_LIMITS, type FoundPlace, type Move, type Span } from './timeline.ts'
import { partChanged } from './unchanged-parts.ts'

export type TrackDeclaration = PartDeclaration

export interface TrackLimits {
  /** How long chunks behind a hole wait for it to be filled, ms. */
  readonly holeWaitMs: number
  /** So many bytes behind a hole end the wait. */
  readonly holeWaitBytes: number
  /** A file with so many blocks takes no further part. */
  readonly fullAtBlocks: number
}

/** What a chunk that waits takes beside its payload, bytes: many tiny ones end the wait, too. */
const HELD_OVERHEAD_BYTES = 1024

/**
 * More committed media is not moved for a part that comes late; it gets a file of its own. Every block that moves is read
 * and staged again while the track's commits wait: about a second at Azure's rates, and eight blocks.
 */
const MAX_MOVED_BYTES = 32 * 1024 * 1024
/** A part is not moved further behind the clock than this for late data of the one ahead. */
const MAX_DRIFT_MS = 5_000

/**
 * One track of a session: its parts and the files they are in. Pure: chunks and declarations come in, `work` decodes and
 * places what it can, and commit plans (`commit-plan.ts`) say what is to be written. After a commit that failed it is thrown
 * away, loaded again, and given again whatever no commit covers.
 */
export class Track {
  readonly session: string
  readonly name: string
  readonly files: TrackFile[] = []
  readonly #parts = new Map<string, Part>()
  readonly #limits: TrackLimits
  /** Parts with held chunks, in the order in which that began. */
  readonly #holding = new Set<Part>()
  #heldBytes = 0
  #released: ChunkRecord[] = []
  /** Parts that chunks came of before any commit had media of them, in that order. */
  readonly #unplayable = new Set<Part>()
  #committedMs = 0
  readonly #clients = new Set<string>()

  constructor(session: string, name: string, limits: TrackLimits) {
    this.session = session
    this.name = name
    this.#limits = limits
  }

  /**
   * Takes over what was loaded of all files.
   * @param closed numbers of files that storage takes no change of any more
   */
  restore(files: readonly TrackFile[], closed: ReadonlySet<number>): void {
    for (const file of files) {
      // One that is missing before it was planned together with it, and its writer ended in between.
      while (this.files.length < file.number) this.#file(this.files.length)
      this.files[file.number] = file
    }
    for (const number of closed) this.#file(number).closed = true
    for (const part of files.flatMap((file) => [...file.parts, ...file.unplaced])) {
      const known = this.#parts.get(part.id)
      if (known === undefined || isLater(part, known)) this.#parts.set(part.id, part)
      this.#measure(part)
      if (part.client !== null) this.#clients.add(part.client)
    }
    for (const file of files) {
      // What went on in another file needs nothing here any more.
      file.parts = file.parts.map((part) => (this.#isCurrent(part) ? part : leave(part, [])))
      if (file.closed) file.pendingBlobs = blobsOf([...file.parts, ...file.unplaced.filter((part) => this.#isCurrent(part))])
      // A part that got its place in another file still stands unplaced in this one: that commit had not happened yet.
      else if (!file.unplaced.every((part) => this.#isCurrent(part))) file.dirty = true
    }
  }

  /** The first file that can be written. */
  get home(): TrackFile {
    for (let number = 0; ; number++) {
      const file = this.#file(number)
      if (!file.closed) return file
    }
  }

  get closedFiles(): number[] {
    return this.files.filter(({ closed }) => closed).map(({ number }) => number)
  }

  get parts(): Part[] {
    return [...this.#parts.values()]
  }

  /** Undefined while nothing of it has come. */
  part(id: string): Part | undefined {
    return this.#parts.get(id)
  }

  /** Parts that have no place yet. The home file keeps them. */
  get unplaced(): Part[] {
    return this.parts.filter((part) => part.place === null)
  }

  /** Whether a recorder of this client has written here. */
  hasClient(client: string): boolean {
    return this.#clients.has(client)
  }

  takeChunk(chunk: ChunkRecord, now: number): Taken {
    const part = this.#part(chunk.part)
    if (this.#isInClosedFile(part) && !part.has(chunk.seq)) this.#leave(part)
    const taken = part.take(chunk, now)
    this.#clients.add(chunk.client)
    if (part.firstTakenAt !== null && !part.committedMedia) this.#unplayable.add(part)
    if (taken === 'held') this.#heldBytes += chunk.payload.length + HELD_OVERHEAD_BYTES
    this.#heldChanged(part)
    if (this.#heldBytes > this.#limits.holeWaitBytes) this.releaseHeld()
    return taken
  }

  declare(declaration: TrackDeclaration): void {
    const part = this.#part(declaration.part)
    if (this.#isInClosedFile(part)) {
      if (!isNews(part, declaration)) return
      this.#leave(part)
    }
    switch (declaration.type) {
      case 'part-opened':
        part.declareOpened(declaration)
        this.#clients.add(declaration.client)
        return this.#measure(part)
      case 'part-closed':
        return part.declareClosed(declaration)
      case 'chunks-lost':
        part.declareLost(declaration)
        return this.#heldChanged(part)
      default:
        declaration satisfies never
    }
  }

  /** When the wait of what is held ends; null while nothing is held. */
  get holdEndsAt(): number | null {
    const [first] = this.#holding
    return first === undefined ? null : first.heldSince! + this.#limits.holeWaitMs
  }

  /** Goes on behind holes that were waited for long enough; without a time, behind all. */
  releaseHeld(now: number = Infinity): void {
    for (const part of this.#holding) {
      if (part.heldSince! + this.#limits.holeWaitMs > now) return
      part.releaseHeld()
      this.#heldChanged(part)
    }
  }

  /** Chunks that `takeChunk` held and that are not held any more, since the last call. */
  takeReleased(): readonly ChunkRecord[] {
    const released = this.#released
    if (released.length > 0) this.#released = []
    return released
  }

  /** Recognises, decodes, joins and places all that can be. While it pauses, everything is consistent and can be committed. */
  *work(): Work {
    yield* pausing(this.#workParts(), () => this.#makeRoomInAll())
    this.#makeRoomInAll()
    // What had to leave a file for that is repeated from there.
    for (const part of this.parts) if (part.runs.some(({ leftFresh }) => leftFresh)) yield* part.work(this.#fileOf(part)?.header ?? null)
  }

  *#workParts(): Work {
    for (const file of this.files) {
      for (const part of file.parts) {
        if (!this.#isCurrent(part)) continue
        if (file.closed ? part.unfinished : !this.#beginsInTime(file, part)) this.#leave(part)
        else if (!file.closed && (part.dirty || part.unfinished)) yield* part.work(file.header)
      }
    }
    for (const part of this.unplaced) {
      if (part.continues === null) part.joinRaw()
      yield* part.recognise()
      if (part.placeable) this.#place(part)
      yield* part.work(this.#fileOf(part)?.header ?? null)
    }
  }

  /** Files with something to commit; the home file last, since it keeps parts until the file that got them is committed. */
  get dirtyFiles(): TrackFile[] {
    const dirty = new Set(this.files.filter((file) => !file.closed && (file.dirty || file.parts.some((part) => part.dirty))))
    if (this.unplaced.some((part) => part.dirty)) dirty.add(this.home)
    return [...dirty].toSorted((a, b) => b.number - a.number)
  }

  /** Whether a commit is due for what was loaded: its owner ended in the middle of longer work. */
  get unfinished(): boolean {
    return this.files.some(({ dirty, closed }) => dirty && !closed) || this.parts.some(({ unfinished }) => unfinished)
  }

  /** Decoded media that no commit has yet. */
  get freshBytes(): number {
    return this.parts.reduce((sum, { freshBytes }) => sum + freshBytes, 0)
  }

  /** When the first chunk came of a part that no commit has media of; null when there is no such part. */
  get unplayableSince(): number | null {
    const [first] = this.#unplayable
    return first?.firstTakenAt ?? null
  }

  /** How much of its longest part is committed, by the recorder's clock. */
  get committedMs(): number {
    return this.#committedMs
  }

  /** These parts are as the commit has them that is planned now. */
  planned(parts: readonly Part[]): void {
    for (const part of parts) {
      if (!part.dirty) continue
      part.dirty = false
      partChanged(part)
      part.committedMedia = part.hasMedia
      part.committedTo = part.capturedTo
      if (part.committedMedia) this.#unplayable.delete(part)
      this.#measure(part)
    }
  }

  #measure({ committedTo, startedAt }: Part): void {
    if (committedTo !== null && startedAt !== null) this.#committedMs = Math.max(this.#committedMs, committedTo - Date.parse(startedAt))
  }

  #heldChanged(part: Part): void {
    if (part.held) this.#holding.add(part)
    else this.#holding.delete(part)
    if (this.#holding.size === 0) this.#heldBytes = 0
    for (const chunk of part.takeReleased()) this.#released.push(chunk)
  }

  #part(id: string): Part {
    let part = this.#parts.get(id)
    if (part === undefined) this.#parts.set(id, (part = new Part(id)))
    return part
  }

  #file(number: number): TrackFile {
    return (this.files[number] ??= new TrackFile(number))
  }

  #fileOf(part: Part): TrackFile | null {
    return part.place === null ? null : (this.files[part.place.file] ?? null)
  }

  #isCurrent(part: Part): boolean {
    return this.#parts.get(part.id) === part
  }

  #isInClosedFile(part: Part): boolean {
    return this.#fileOf(part)?.closed ?? false
  }

  /** What comes of this part goes into a later file than the one that it is in. */
  #leave(part: Part): void {
    const file = this.#fileOf(part)!
    const stays = leave(part, file.header?.tracks ?? [])
    file.parts = file.parts.map((other) => (other === part ? stays : other))
    if (file.closed) file.pendingBlobs = blobsOf(file.parts)
  }

  /** What a part goes on with in its file may turn out to begin earlier: false where there is no room for that. */
  #beginsInTime(file: TrackFile, part: Part): boolean {
    const earlyMs = part.continues === null ? 0 : part.fromMs - fromMsOf(part)
    if (earlyMs <= 0) return true
    if (file.parts.length > 1 || file.mediaBytes > MAX_MOVED_BYTES) return false
    beginEarlier(part, earlyMs)
    file.startedAt = new Date(startOf(part).startedAtMs).toISOString()
    return true
  }

  /** Puts a part into the first file where it fits, else into one of its own. */
  #place(part: Part): void {
    const leftHeader = part.continues === null ? part.header : this.files[part.continues.file]!.header
    for (let number = part.continues === null ? 0 : part.continues.file + 1; ; number++) {
      const file = this.#file(number)
      if (file.closed) continue
      const found = file.parts.length === 0 ? { offsetMs: 0, shiftMs: 0 } : this.#placeIn(file, part, leftHeader)
      if (found === null) continue
      if (found.shiftMs > 0) {
        for (const other of file.parts) other.move(found.shiftMs)
        file.startedAt = new Date(startOf(part).startedAtMs).toISOString()
      }
      settle(part, number, found.offsetMs)
      file.insert(part, leftHeader)
      // It leaves what the home file keeps of it.
      if (file !== this.home) this.home.dirty = true
      return
    }
  }

  #placeIn(file: TrackFile, part: Part, leftHeader: PartHeader | null): FoundPlace | null {
    if (part.container !== 'webm' || file.header === null || file.blockCount >= this.#limits.fullAtBlocks || !compatible(file.header, part.header!).compatible) return null
    // What it has decoded already has the track numbers of the file that it left.
    if (part.continues !== null && !isSameMap(mapTracks(file.header, part.header!), mapTracks(leftHeader!, part.header!))) return null
    const found = placeInFile(file.spans, Date.parse(file.startedAt!), { ...startOf(part), lengthMs: part.lengthMs })
    return found !== null && found.shiftMs > 0 && file.mediaBytes > MAX_MOVED_BYTES ? null : found
  }

  #makeRoomInAll(): void {
    for (const file of this.files) this.#makeRoom(file)
  }

  /**
   * Late data may be longer than the room that was left for it. A little is squeezed; for more, what stands behind moves on,
   * and where that costs too much, the late data goes into a later file.
   */
  #makeRoom(file: TrackFile): void {
    if (file.container !== 'webm' || file.closed) return
    for (;;) {
      const moves = makeRoom(file.spans, TIMELINE_LIMITS.maxOverlapMs)
      const late = this.#isBounded(file, moves) ? undefined : moves.map(({ ahead }) => partIn(file, ahead)).find((part) => this.#isCurrent(part) && part.freshBytes > 0)
      if (late === undefined) {
        for (const { part, deltaMs } of moves) partIn(file, part).move(deltaMs)
        return squeezeOverlaps(file)
      }
      this.#leave(late)
      this.#place(late)
    }
  }

  #isBounded(file: TrackFile, moves: readonly Move[]): boolean {
    if (moves.length === 0) return true
    const zeroMs = Date.parse(file.startedAt ?? '')
    const spans = new Map(file.spans.map((span) => [span.part, span]))
    const driftMs = moves.map(({ part, deltaMs }) => spans.get(part)!.startMs + deltaMs - (spans.get(part)!.startedAtMs - zeroMs))
    const bytes = moves.flatMap(({ part }) => partIn(file, part).media).reduce((sum, { packed }) => sum + packed.bytes, 0)
    return driftMs.every((ms) => ms <= MAX_DRIFT_MS) && bytes <= MAX_MOVED_BYTES
  }
}

const partIn = (file: TrackFile, id: string): Part => file.parts.find((part) => part.id === id)!

/** Where parts overlap by a little, frames that are in no commit yet make room. */
function squeezeOverlaps(file: TrackFile): void {
  let ahead: Span | null = null
  let parts: Map<string, Part> | undefined
  for (const span of file.spans) {
    if (ahead !== null && ahead.endMs > span.startMs) {
      parts ??= new Map(file.parts.map((part) => [part.id, part]))
      squeezeOverlap(parts.get(ahead.part)!, parts.get(span.part)!, span.startMs)
    }
    if (ahead === null || span.endMs > ahead.endMs) ahead = span
  }
}

/** Of two states of one part that were loaded: it goes on in one file after another, and has no place before it has one. */
function isLater(a: Part, b: Part): boolean {
  const [left, than] = [a.continues?.file ?? -1, b.continues?.file ?? -1]
  return left === than ? b.place === null : left > than
}

function isSameMap(a: ReadonlyMap<number, number> | null, b: ReadonlyMap<number, number> | null): boolean {
  return a !== null && b !== null && a.size === b.size && [...a].every(([from, to]) => b.get(from) === to)
}
