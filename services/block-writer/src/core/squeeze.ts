import { readFrameTimes, writeFrameTimes, type FrameTime } from '@longtake/webm'
import type { Part } from './part.ts'
import type { FreshPiece, Piece } from './piece.ts'

/*
 * Where two parts overlap by a little, the frames of the overlap that are in no commit yet are squeezed together, a
 * millisecond apart, so that times keep rising and neither part is moved. All frames stay, and all others keep their times.
 */

/** Squeezes the frames where a part begins before the end of the one ahead. */
export function squeezeOverlap(ahead: Part, behind: Part, startMs: number): void {
  const end = ahead.runs.findLast(({ after }) => after.length > 0)
  const beginning = behind.runs.find(({ after }) => after.length > 0)
  if (end === undefined || beginning === undefined) return
  if (end.after.rest.length > 0) end.after.settle(squeezedBefore(end.after.rest, startMs))
  if (beginning.after.packed.length === 0) beginning.after.settle(squeezedAfter(beginning.after.rest, end.lastMs))
}

/** The end of a part, with every frame before `ceilMs`, when the part behind begins. */
export function squeezedBefore(pieces: readonly Piece[], ceilMs: number): Piece[] {
  // By track: what the next frame towards the beginning must be before. Once a frame keeps its time, so do those before it.
  const limits = new Map<number, number>()
  const squeezed = [...pieces]
  for (let i = squeezed.length - 1; i >= 0; i--) {
    const piece = squeezed[i]!
    if (piece.kind !== 'fresh' || (piece.endMs <= ceilMs && limits.values().every((limitMs) => limitMs === Infinity))) break
    const frames = readFrameTimes(piece.bytes)
    const times = frames.map(({ timeMs }) => timeMs)
    for (let f = frames.length - 1; f >= 0; f--) {
      const { track, timeMs } = frames[f]!
      times[f] = Math.max(0, Math.min(timeMs, (limits.get(track) ?? ceilMs) - 1))
      limits.set(track, times[f] === timeMs ? Infinity : times[f]!)
    }
    squeezed[i] = retimed(piece, frames, times, Math.min(piece.endMs, ceilMs))
  }
  return squeezed
}

/** The beginning of a part, with every frame behind the last one of its track in the part ahead. */
export function squeezedAfter(pieces: readonly Piece[], lastMs: ReadonlyMap<number, number>): Piece[] {
  const floors = new Map(lastMs)
  const squeezed = [...pieces]
  for (const [i, piece] of squeezed.entries()) {
    if (piece.kind !== 'fresh' || ![...floors.values()].some((floorMs) => piece.startMs <= floorMs)) break
    const frames = readFrameTimes(piece.bytes)
    const times = frames.map(({ track, timeMs }) => {
      const floorMs = floors.get(track)
      if (floorMs === undefined) return timeMs
      if (timeMs > floorMs) floors.delete(track)
      else floors.set(track, floorMs + 1)
      return Math.max(timeMs, floorMs + 1)
    })
    squeezed[i] = retimed(piece, frames, times, piece.endMs)
  }
  return squeezed
}

function retimed(piece: FreshPiece, frames: readonly FrameTime[], times: readonly number[], endMs: number): FreshPiece {
  const changed = frames.map((frame, i) => ({ ...frame, timeMs: times[i]! }))
  writeFrameTimes(piece.bytes, changed)
  const timeOf = new Map(changed.map(({ cluster, position, timeMs }) => [`${cluster} ${position}`, timeMs]))
  const cues = piece.cues.map((cue) => ({ ...cue, timeMs: timeOf.get(`${cue.clusterOffset} ${cue.relativePosition}`) ?? cue.timeMs }))
  const startMs = times.reduce((least, timeMs) => Math.min(least, timeMs), Infinity)
  const lastMs = times.reduce((latest, timeMs) => Math.max(latest, timeMs), startMs)
  return { ...piece, cues, startMs, endMs: Math.max(endMs, lastMs + 1) }
}
