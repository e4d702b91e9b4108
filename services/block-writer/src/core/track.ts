import type { ChunkRecord, DeclarationOf } from '@longtake/contracts'
import { compatible } from '@longtake/webm'
import { TrackFile } from './file.ts'
import { Part, type Taken } from './part.ts'
import { freshLength } from './piece.ts'
import { pausing, type Work } from './raw.ts'
import { makeRoom, placeInFile, type FoundPlace } from './timeline.ts'

export type TrackDeclaration = DeclarationOf<'part-opened'> | DeclarationOf<'part-closed'> | DeclarationOf<'chunks-lost'>

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

/** A part that began before a longer file than this gets a file of its own: every block would have to be written again. */
const MAX_SHIFTED_BYTES = 256 * 1024 * 1024

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

  /** A loaded file. Files are added in order of their numbers. */
  addFile(file: TrackFile, parts: readonly Part[]): void {
    // One that is missing before it was planned together with it, and its writer ended in between.
    while (this.files.length < file.number) this.#file(this.files.length)
    this.files[file.number] = file
    for (const part of parts) {
      const known = this.#parts.get(part.id)
      // A part that got its place in another file may still stand unplaced in file 0: that commit had not happened yet.
      if (known === undefined || known.place === null) this.#parts.set(part.id, part)
      if (known !== undefined) this.files[0]!.dirty = true
      this.#measure(part)
      if (part.client !== null) this.#clients.add(part.client)
    }
  }

  get parts(): Part[] {
    return [...this.#parts.values()]
  }

  /** Parts that have no place yet. File 0 keeps them. */
  get unplaced(): Part[] {
    return this.parts.filter((part) => part.place === null)
  }

  /** Whether a recorder of this client has written here. */
  hasClient(client: string): boolean {
    return this.#clients.has(client)
  }

  takeChunk(chunk: ChunkRecord, now: number): Taken {
    const part = this.#part(chunk.part)
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
  }

  *#workParts(): Work {
    for (const file of this.files) for (const part of file.parts) yield* part.work(file.header)
    for (const part of this.unplaced) {
      part.joinRaw()
      yield* part.recognise()
      if (part.placeable) this.#place(part)
      yield* part.work(this.#fileOf(part)?.header ?? null)
    }
  }

  /** Files with something to commit; file 0 last, since it keeps parts until the file that got them is committed. */
  get dirtyFiles(): TrackFile[] {
    const dirty = this.files.filter((file) => file.dirty || file.parts.some((part) => part.dirty))
    const first = this.files[0]
    if (this.unplaced.some((part) => part.dirty) && (first === undefined || !dirty.includes(first))) dirty.unshift(this.#file(0))
    return dirty.toSorted((a, b) => b.number - a.number)
  }

  /** Whether a commit is due for what was loaded: its owner ended in the middle of longer work. */
  get unfinished(): boolean {
    return this.files.some(({ dirty }) => dirty) || this.parts.some(({ unfinished }) => unfinished)
  }

  /** Decoded media that no commit has yet. */
  get freshBytes(): number {
    return this.parts.reduce((sum, part) => sum + freshLength(part.pieces), 0)
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
      part.dirty = false
      part.committedMedia = part.pieces.length > 0
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

  /** Puts a part into the first file where it fits, else into one of its own. */
  #place(part: Part): void {
    const startedAtMs = Date.parse(part.startedAt!)
    const { lengthMs } = part
    for (let number = 0; ; number++) {
      const file = this.#file(number)
      const found = file.parts.length === 0 ? { offsetMs: 0, shiftMs: 0 } : this.#placeIn(file, part, { part: part.id, startedAtMs, lengthMs })
      if (found === null) continue
      if (found.shiftMs > 0) {
        for (const other of file.parts) other.move(found.shiftMs)
        file.startedAt = part.startedAt
      }
      part.place = { file: number, offsetMs: found.offsetMs }
      part.dirty = true
      file.insert(part)
      // It leaves what file 0 keeps of it.
      if (number > 0) this.#file(0).dirty = true
      return
    }
  }

  #placeIn(file: TrackFile, part: Part, span: { part: string; startedAtMs: number; lengthMs: number }): FoundPlace | null {
    if (part.container !== 'webm' || file.header === null || file.committed.length >= this.#limits.fullAtBlocks || !compatible(file.header, part.header!).compatible) return null
    const found = placeInFile(file.spans, Date.parse(file.startedAt!), span)
    const bytes = file.committed.reduce((sum, { length }) => sum + length, 0)
    return found !== null && found.shiftMs > 0 && bytes > MAX_SHIFTED_BYTES ? null : found
  }

  #makeRoomInAll(): void {
    for (const file of this.files) this.#makeRoom(file)
  }

  /** Late data may be longer than the room that was left for it: what stands behind moves on. */
  #makeRoom(file: TrackFile): void {
    if (file.container !== 'webm') return
    for (const { part, deltaMs } of makeRoom(file.spans)) this.#parts.get(part)!.move(deltaMs)
  }
}
