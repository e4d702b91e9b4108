import { framesOf, moved, type FrameCounts, type Piece, type StoredPiece } from './piece.ts'

const FIRST_CAPACITY = 4
/** In place of a count that is not known: no block holds so many frames. */
const NOT_COUNTED = 0xffff_ffff

/** Growable columns that several lists of blocks may share: each sees the first so many rows, which never change. */
interface Columns {
  rows: number
  ids: Uint8Array
  lengths: Uint32Array
  startsMs: Float64Array
  endsMs: Float64Array
  videoFrames: Uint32Array
  audioFrames: Uint32Array
  /** Where the packed cues of each block end. */
  cueEnds: Uint32Array
  cues: Uint8Array
}

/**
 * Committed blocks in their order, immutable. A track of hours has hundreds, with thousands of cues: they are kept in columns
 * (about 70 bytes a block, 7 a cue), not as objects.
 */
export class PackedPieces implements Iterable<StoredPiece> {
  static readonly EMPTY = new PackedPieces(null, 0, 0, Infinity, -Infinity, { video: 0, audio: 0 })
  readonly #columns: Columns | null
  readonly length: number
  /** Of all blocks together. */
  readonly bytes: number
  /** Of the earliest and the latest of them; infinite while there is none. */
  readonly startMs: number
  readonly endMs: number
  /** Null where those of any block were not counted. */
  readonly frames: FrameCounts | null

  private constructor(columns: Columns | null, length: number, bytes: number, startMs: number, endMs: number, frames: FrameCounts | null) {
    this.#columns = columns
    this.length = length
    this.bytes = bytes
    this.startMs = startMs
    this.endMs = endMs
    this.frames = frames
  }

  /** These blocks and one more. All ids of a blob have the same length (Azure, Put Block). */
  with({ id, length, startMs, endMs, frames, cues }: StoredPiece): PackedPieces {
    const idBytes = Buffer.from(id, 'base64')
    const row = this.length
    // What another list has behind this one stays its own.
    const columns = this.#columns?.rows === row ? this.#columns : copyOf(this.#columns, row, idBytes.length)
    reserve(columns, idBytes.length, cues.length)
    const cuesAt = row === 0 ? 0 : columns.cueEnds[row - 1]!
    columns.ids.set(idBytes, row * idBytes.length)
    columns.lengths[row] = length
    columns.startsMs[row] = startMs
    columns.endsMs[row] = endMs
    columns.videoFrames[row] = frames?.video ?? NOT_COUNTED
    columns.audioFrames[row] = frames?.audio ?? NOT_COUNTED
    columns.cues.set(cues, cuesAt)
    columns.cueEnds[row] = cuesAt + cues.length
    columns.rows++
    return new PackedPieces(columns, row + 1, this.bytes + length, Math.min(this.startMs, startMs), Math.max(this.endMs, endMs), framesOf([this, { frames }]))
  }

  at(index: number): StoredPiece | undefined {
    const row = index < 0 ? this.length + index : index
    if (this.#columns === null || row < 0 || row >= this.length) return undefined
    const { lengths, startsMs, endsMs } = this.#columns
    return { kind: 'stored', id: this.idAt(row), moveMs: 0, length: lengths[row]!, startMs: startsMs[row]!, endMs: endsMs[row]!, frames: this.framesAt(row), cues: this.cuesAt(row) }
  }

  *[Symbol.iterator](): Generator<StoredPiece> {
    for (let row = 0; row < this.length; row++) yield this.at(row)!
  }

  idAt(row: number): string {
    const { buffer, byteOffset, byteLength } = this.#idBytes(row)
    return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
  }

  /** Of all blocks, in order. */
  ids(): string[] {
    return Array.from({ length: this.length }, (_, row) => this.idAt(row))
  }

  /** The row of the block of this id; -1 when there is none. */
  rowOf(id: string): number {
    const bytes = Buffer.from(id, 'base64')
    for (let row = 0; row < this.length; row++) if (Buffer.compare(this.#idBytes(row), bytes) === 0) return row
    return -1
  }

  lengthAt(row: number): number {
    return this.#columns!.lengths[row]!
  }

  framesAt(row: number): FrameCounts | null {
    const { videoFrames, audioFrames } = this.#columns!
    return videoFrames[row] === NOT_COUNTED ? null : { video: videoFrames[row]!, audio: audioFrames[row]! }
  }

  /** Packed, offsets from the block's first byte. A view. */
  cuesAt(row: number): Uint8Array {
    const { cues, cueEnds } = this.#columns!
    return cues.subarray(row === 0 ? 0 : cueEnds[row - 1], cueEnds[row])
  }

  /** Whether the block in this row is the one in that row of the other list. */
  isSame(row: number, other: PackedPieces, otherRow: number): boolean {
    if (this.#columns === other.#columns && row === otherRow) return true
    return Buffer.compare(this.#idBytes(row), other.#idBytes(otherRow)) === 0
  }

  #idBytes(row: number): Uint8Array {
    const { ids, lengths } = this.#columns!
    const idBytes = ids.length / lengths.length
    return ids.subarray(row * idBytes, (row + 1) * idBytes)
  }
}

/** The media of a run in order: blocks that are committed, and behind them what is in no block yet or must move. */
export class PieceList implements Iterable<Piece> {
  #packed = PackedPieces.EMPTY
  #rest: Piece[] = []

  constructor(pieces: Iterable<Piece> = []) {
    for (const piece of pieces) this.push(piece)
  }

  get length(): number {
    return this.#packed.length + this.#rest.length
  }

  get packed(): PackedPieces {
    return this.#packed
  }

  /** What the next commit changes. Also committed blocks, where they stand behind others that it changes. */
  get rest(): readonly Piece[] {
    return this.#rest
  }

  get first(): Piece | undefined {
    return this.#packed.at(0) ?? this.#rest[0]
  }

  get last(): Piece | undefined {
    return this.#rest.at(-1) ?? this.#packed.at(-1)
  }

  /** From the earliest to the latest of its media; infinite while there is none. */
  get span(): { startMs: number; endMs: number } {
    let { startMs, endMs } = this.#packed
    for (const piece of this.#rest) {
      startMs = Math.min(startMs, piece.startMs)
      endMs = Math.max(endMs, piece.endMs)
    }
    return { startMs, endMs }
  }

  /** Null where those of any piece are not known. */
  get frames(): FrameCounts | null {
    const packed = this.#packed.frames
    const rest = framesOf(this.#rest)
    return packed === null || rest === null ? null : { video: packed.video + rest.video, audio: packed.audio + rest.audio }
  }

  *[Symbol.iterator](): Generator<Piece> {
    yield* this.#packed
    yield* this.#rest
  }

  filter(isMeant: (piece: Piece) => boolean): PieceList {
    return new PieceList([...this].filter(isMeant))
  }

  push(...pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      if (piece.kind === 'stored' && piece.moveMs === 0 && this.#rest.length === 0) this.#packed = this.#packed.with(piece)
      else this.#rest.push(piece)
    }
  }

  /** These stand in place of the rest now: the blocks that it has become, or the same media at other times. */
  settle(pieces: readonly Piece[]): void {
    this.#rest = []
    this.push(...pieces)
  }

  /** Moves all of it in time. */
  move(deltaMs: number): void {
    this.#rest = Array.from(this, (piece) => moved(piece, deltaMs))
    this.#packed = PackedPieces.EMPTY
  }
}

function copyOf(columns: Columns | null, rows: number, idBytes: number): Columns {
  if (columns === null) {
    const none = new Uint32Array(0)
    return { rows: 0, ids: new Uint8Array(0), lengths: none, startsMs: new Float64Array(0), endsMs: new Float64Array(0), videoFrames: none, audioFrames: none, cueEnds: none, cues: new Uint8Array(0) }
  }
  return {
    rows,
    ids: columns.ids.slice(0, rows * idBytes),
    lengths: columns.lengths.slice(0, rows),
    startsMs: columns.startsMs.slice(0, rows),
    endsMs: columns.endsMs.slice(0, rows),
    videoFrames: columns.videoFrames.slice(0, rows),
    audioFrames: columns.audioFrames.slice(0, rows),
    cueEnds: columns.cueEnds.slice(0, rows),
    cues: columns.cues.slice(0, rows === 0 ? 0 : columns.cueEnds[rows - 1]),
  }
}

/** Makes room for one more row. */
function reserve(columns: Columns, idBytes: number, cueBytes: number): void {
  const { rows } = columns
  if (rows === columns.lengths.length) {
    const capacity = grown(rows, rows + 1, FIRST_CAPACITY)
    columns.ids = enlarged(columns.ids, new Uint8Array(capacity * idBytes))
    columns.lengths = enlarged(columns.lengths, new Uint32Array(capacity))
    columns.startsMs = enlarged(columns.startsMs, new Float64Array(capacity))
    columns.endsMs = enlarged(columns.endsMs, new Float64Array(capacity))
    columns.videoFrames = enlarged(columns.videoFrames, new Uint32Array(capacity))
    columns.audioFrames = enlarged(columns.audioFrames, new Uint32Array(capacity))
    columns.cueEnds = enlarged(columns.cueEnds, new Uint32Array(capacity))
  }
  const cuesEnd = (rows === 0 ? 0 : columns.cueEnds[rows - 1]!) + cueBytes
  if (cuesEnd > columns.cues.length) columns.cues = enlarged(columns.cues, new Uint8Array(grown(columns.cues.length, cuesEnd, 64)))
}

/** An eighth more than before: little is unused, and each byte is copied eight times at most on average. */
const grown = (before: number, needed: number, atLeast: number): number => Math.max(needed, atLeast, before + (before >> 3))

function enlarged<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
