import type { FileState, GapState, SessionState } from '@longtake/contracts'
import { endOf } from './ranges.ts'
import { knownChunks, partsOf, type KnownPart } from './parts.ts'
import { explainsGap } from './reports.ts'
import { epochMs } from './time.ts'

/** A gap before it is known since when it is one. */
export type Gap = Omit<GapState, 'since'>

/** Shorter pauses are what starting another MediaRecorder takes. */
const WORTH_TELLING_MS = 1000
const REPORT_TOLERANCE_MS = 2000

/**
 * Time between two parts of a track in which nothing was recorded: told, but never a reason not to be complete. The
 * gap stands before the later part, as `from` = `to` = 0 of it, in the media time of that part's file: below 0 where
 * the part before is in another file. Its cause is kept once known, since reports are forgotten.
 */
export function unrecordedGaps(state: Pick<SessionState, 'tracks' | 'parked' | 'reports' | 'gaps'>): Gap[] {
  const tracks = Map.groupBy(partsOf(state), ({ track }) => track)
  return [...tracks].flatMap(([track, parts]) => {
    const placed = parts.flatMap(({ file, part }) => placeOf(file, part)).sort((a, b) => a.startedAt - b.startedAt)
    return placed.flatMap((next, i) => {
      const before = placed[i - 1]
      return before === undefined ? [] : between(state, track, before, next)
    })
  })
}

interface Placed {
  part: KnownPart
  startMs: number
  /** By the clock, in milliseconds since the epoch. */
  startedAt: number
  endedAt: number
}

function placeOf(file: FileState, part: KnownPart): Placed[] {
  if (file.startedAt === null || part.startMs === null || part.endMs === null) return []
  const zero = epochMs(file.startedAt)
  return [{ part, startMs: part.startMs, startedAt: zero + part.startMs, endedAt: zero + part.endMs }]
}

function between(state: Pick<SessionState, 'reports' | 'gaps'>, track: string, before: Placed, next: Placed): Gap[] {
  const lengthMs = next.startedAt - before.endedAt
  // Where chunks are missing at either side the time was recorded and lost, and their gap tells it.
  const isLost = endOf(before.part.stored) < knownChunks(before.part) || next.part.stored[0]?.[0] !== 0
  if (lengthMs < WORTH_TELLING_MS || isLost) return []
  const { part } = next.part
  const known = state.gaps.find((gap) => gap.kind === 'not-recorded' && gap.track === track && gap.part === part)
  const cause = known?.cause ?? causeOf(state, track, before, next)
  return [{ track, part, from: 0, to: 0, startMs: next.startMs - lengthMs, endMs: next.startMs, kind: 'not-recorded', state: 'confirmed', cause }]
}

function causeOf(state: Pick<SessionState, 'reports'>, track: string, before: Placed, next: Placed): string {
  const report = state.reports.find(
    (one) =>
      explainsGap(one) &&
      (one.track === null || one.track === track) &&
      epochMs(one.at) >= before.endedAt - REPORT_TOLERANCE_MS &&
      epochMs(one.at) <= next.startedAt + REPORT_TOLERANCE_MS,
  )
  if (report !== undefined) return report.event
  return before.part.closed?.clean === false ? 'crash' : 'between-parts'
}
