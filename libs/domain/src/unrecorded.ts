import type { FileState, GapState, SessionState } from '@longtake/contracts'
import { endOf } from './ranges.ts'
import { knownChunks, partsOf, type KnownPart } from './parts.ts'
import { filesOf } from './session.ts'
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
    const known = new Map(parts.map(({ part }) => [part.part, part]))
    const placed = filesOf(state, track).flatMap((file) => placesIn(file, known)).sort((a, b) => a.startedAt - b.startedAt)
    let before: Placed | undefined
    return placed.flatMap((next) => {
      const last = before
      // What a part goes on with in a later file may lie within what was recorded.
      if (last === undefined || next.endedAt > last.endedAt) before = next
      return last === undefined || last.part.part === next.part.part ? [] : between(state, track, last, next)
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

/** A part that goes on in a later file has a place in both. */
function placesIn(file: FileState, known: ReadonlyMap<string, KnownPart>): Placed[] {
  if (file.startedAt === null) return []
  const zero = epochMs(file.startedAt)
  return file.parts.flatMap(({ part: id, startMs, endMs }) => {
    const part = known.get(id)
    return part === undefined || startMs === null || endMs === null ? [] : [{ part, startMs, startedAt: zero + startMs, endedAt: zero + endMs }]
  })
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
