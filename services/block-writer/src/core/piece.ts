import { packCues, patchClusterTimestamps, unpackCues, type Cue, type FinishedCluster } from '@longtake/webm'

/** How many frames of each kind. */
export interface FrameCounts {
  readonly video: number
  readonly audio: number
}

/** What every stretch of media bytes is known by, wherever its bytes are. */
interface Stretch {
  readonly length: number
  /** Media time on the file's timeline. */
  readonly startMs: number
  readonly endMs: number
  /** Null where they were not counted: of MP4, and in blocks of versions that did not. */
  readonly frames: FrameCounts | null
}

/** Media that is decoded but in no block yet. */
export interface FreshPiece extends Stretch {
  readonly kind: 'fresh'
  readonly bytes: Uint8Array
  /** `clusterOffset` counts from the piece's first byte. */
  readonly cues: readonly Cue[]
}

/** A committed block. */
export interface StoredPiece extends Stretch {
  readonly kind: 'stored'
  readonly id: string
  /**
   * Set when the block must move in time: its clusters are read back, moved by so much and staged as a new block.
   * Times and cues here are already those behind the move.
   */
  readonly moveMs: number
  /** By `packCues`; `clusterOffset` counts from the block's first byte. */
  readonly cues: Uint8Array
}

export type Piece = FreshPiece | StoredPiece

export function freshPiece({ bytes, startMs, endMs, frames, audioFrames, cues }: FinishedCluster): FreshPiece {
  return { kind: 'fresh', bytes, length: bytes.length, startMs, endMs, frames: { video: frames - audioFrames, audio: audioFrames }, cues }
}

/** The frames of all these pieces; null where those of any are not known. */
export function framesOf(pieces: readonly Pick<Piece, 'frames'>[]): FrameCounts | null {
  let [video, audio] = [0, 0]
  for (const { frames } of pieces) {
    if (frames === null) return null
    video += frames.video
    audio += frames.audio
  }
  return { video, audio }
}

export const freshLength = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, piece) => (piece.kind === 'fresh' ? sum + piece.length : sum), 0)

/** The same media, `deltaMs` later; the bytes of a fresh one are changed in place. */
export function moved(piece: Piece, deltaMs: number): Piece {
  const times = { startMs: piece.startMs + deltaMs, endMs: piece.endMs + deltaMs }
  const later = (cues: readonly Cue[]): Cue[] => cues.map((cue) => ({ ...cue, timeMs: cue.timeMs + deltaMs }))
  if (piece.kind === 'stored') return { ...piece, ...times, cues: packCues(later(unpackCues(piece.cues))), moveMs: piece.moveMs + deltaMs }
  patchClusterTimestamps(piece.bytes, deltaMs)
  return { ...piece, ...times, cues: later(piece.cues) }
}

/** A block to be staged for a commit: its bytes, or where they stand in the committed blob and how far they move in time. */
export type NewBlock =
  | { readonly kind: 'bytes'; readonly length: number; readonly parts: readonly Uint8Array[] }
  | { readonly kind: 'moved'; readonly length: number; readonly id: string; readonly deltaMs: number }

/** Media of a file as a commit will have it: blocks that are there already, and new ones by their place in the list of new ones. */
export type PlannedPiece = StoredPiece | (Stretch & { readonly kind: 'planned'; readonly block: number; readonly cues: Uint8Array })

/** Puts neighbouring fresh pieces together into blocks of at most `maxBytes` (a larger piece is a block of its own), which are appended to `blocks`. */
export function intoBlocks(pieces: readonly Piece[], maxBytes: number, blocks: NewBlock[]): PlannedPiece[] {
  const planned: PlannedPiece[] = []
  let open: FreshPiece[] = []
  let openBytes = 0
  const close = (): void => {
    if (open.length === 0) return
    planned.push({ kind: 'planned', block: blocks.length, ...joined(open) })
    blocks.push({ kind: 'bytes', length: openBytes, parts: open.map((piece) => piece.bytes) })
    open = []
    openBytes = 0
  }
  for (const piece of pieces) {
    if (piece.kind === 'fresh') {
      if (openBytes + piece.length > maxBytes) close()
      open.push(piece)
      openBytes += piece.length
      continue
    }
    close()
    if (piece.moveMs === 0) {
      planned.push(piece)
      continue
    }
    const { length, startMs, endMs, frames, cues } = piece
    planned.push({ kind: 'planned', block: blocks.length, length, startMs, endMs, frames, cues })
    blocks.push({ kind: 'moved', length, id: piece.id, deltaMs: piece.moveMs })
  }
  close()
  return planned
}

/** The pieces as they stand once the new blocks have got these ids. */
export function withIds(planned: readonly PlannedPiece[], ids: readonly string[]): StoredPiece[] {
  return planned.map((piece) => {
    if (piece.kind === 'stored') return piece
    const { length, startMs, endMs, frames, cues } = piece
    return { kind: 'stored', id: ids[piece.block]!, moveMs: 0, length, startMs, endMs, frames, cues }
  })
}

function joined(pieces: readonly FreshPiece[]): Stretch & { cues: Uint8Array } {
  let length = 0
  const cues: Cue[] = []
  let [startMs, endMs] = [Infinity, -Infinity]
  for (const piece of pieces) {
    for (const cue of piece.cues) cues.push({ ...cue, clusterOffset: cue.clusterOffset + length })
    length += piece.length
    startMs = Math.min(startMs, piece.startMs)
    endMs = Math.max(endMs, piece.endMs)
  }
  return { length, startMs, endMs, frames: framesOf(pieces), cues: packCues(cues) }
}
