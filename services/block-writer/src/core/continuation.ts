import { ClusterWriter, KeyframeGate, StreamReader, unpackCues, type TrackInfo } from '@longtake/webm'
import type { Container } from './part.ts'
import { freshPiece, type FreshPiece, type Piece, type StoredPiece } from './piece.ts'

/**
 * A part whose file takes no change any more, or none at a reasonable price, goes on in a later file of its track: what is
 * committed stays, and what comes is put into the next one.
 */
export interface LeftPlace {
  readonly file: number
  readonly offsetMs: number
  /** The part's own time at the end of the media that stays there. */
  readonly toMs: number
}

/**
 * Committed media from a run's last video keyframe on, which the later file repeats in front of what goes on there: without
 * it, its first frames could not be decoded, and Chrome would not play the file at all.
 */
export interface LeadIn {
  readonly file: number
  /** Block in which it begins, how many of its bytes are before that, and how many bytes it has from there on. */
  readonly block: string
  readonly skip: number
  readonly length: number
  /** The part's own time of that keyframe, and file time of the part's own time 0. */
  readonly fromMs: number
  readonly offsetMs: number
}

/** In a file, ms. */
export interface MediaTimes {
  readonly startMs: number
  readonly endMs: number
}

/** More is not repeated: recorders make keyframes every few seconds, and all of it is read at once. */
const MAX_LEAD_IN_BYTES = 8 * 1024 * 1024

/**
 * The lead-in at the end of these neighbouring pieces; null if there is no keyframe near it, or no video.
 * @param video number of the video track, whose cues are keyframes; undefined if there is none
 */
export function leadInOf(pieces: readonly Piece[], video: number | undefined, file: number, offsetMs: number): LeadIn | null {
  if (video === undefined) return null
  let length = 0
  for (const piece of pieces.toReversed()) {
    if (piece.kind !== 'stored' || piece.moveMs !== 0) return null
    const cue = unpackCues(piece.cues).findLast(({ track }) => track === video)
    if (cue !== undefined) {
      length += piece.length - cue.clusterOffset
      return length > MAX_LEAD_IN_BYTES ? null : { file, block: piece.id, skip: cue.clusterOffset, length, fromMs: cue.timeMs - offsetMs, offsetMs }
    }
    length += piece.length
    if (length > MAX_LEAD_IN_BYTES) return null
  }
  return null
}

/** The clusters of a lead-in, from the keyframe on, moved to where the part stands now. */
export function leadInPieces(bytes: Uint8Array, tracks: readonly TrackInfo[], { fromMs, offsetMs }: LeadIn, nowOffsetMs: number): FreshPiece[] {
  const header = { docType: 'matroska', timestampScale: 1_000_000, tracks } as const
  const gate = new KeyframeGate(header)
  const writer = new ClusterWriter(tracks)
  const pieces: FreshPiece[] = []
  const put = (cluster: ReturnType<ClusterWriter['flush']>): void => {
    if (cluster !== null) pieces.push(freshPiece(cluster))
  }
  for (const item of StreamReader.resync(header, 0).push(bytes)) {
    if (item.kind !== 'frame' || item.timeMs < fromMs + offsetMs || !gate.admits(item)) continue
    put(writer.add(item, { track: item.track, offsetMs: nowOffsetMs - offsetMs }))
  }
  put(writer.flush())
  return pieces
}

/** Media of a run; what is in no block yet is in its rest. */
interface Media {
  readonly rest: readonly Piece[]
}

/** A part as far as `fromMsOf` looks at it. */
interface Continuing {
  readonly continues: LeftPlace | null
  readonly place: { readonly offsetMs: number; readonly fromMs?: number } | null
  readonly container: Container | null
  readonly runs: readonly { readonly leadIn: LeadIn | null; readonly playedTo: number | null; readonly before: Media; readonly after: Media }[]
  hasWorkAt(run: number): boolean
}

/** The own time from which on a part has something to put into the file that it goes on in. */
export function fromMsOf(part: Continuing): number {
  const { continues, place, container, runs } = part
  // An MP4 has a file of its own and a single run.
  if (container === 'mp4') return place?.fromMs ?? runs[0]?.leadIn?.fromMs ?? continues?.toMs ?? 0
  const { offsetMs } = place ?? continues!
  let fromMs = Infinity
  let playedMs: number | null = null
  for (const [i, run] of runs.entries()) {
    playedMs = run.playedTo ?? playedMs
    const pieces = [...run.before.rest, ...run.after.rest].filter(({ kind }) => kind === 'fresh')
    for (const { startMs } of pieces) fromMs = Math.min(fromMs, startMs - offsetMs)
    if (!part.hasWorkAt(i) && pieces.length === 0) continue
    if (playedMs !== null) fromMs = Math.min(fromMs, playedMs - offsetMs)
    if (run.leadIn !== null) fromMs = Math.min(fromMs, run.leadIn.fromMs)
  }
  return Math.max(0, fromMs === Infinity ? (continues?.toMs ?? 0) : fromMs)
}

export const isStored = (piece: Piece): piece is StoredPiece => piece.kind === 'stored'
