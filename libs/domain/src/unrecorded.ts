import type { FileState, GapState, SessionState } from '@longtake/contracts'
import { keyOf, missingMediaGaps } from './missing-media.ts'
import { endOf } from './ranges.ts'
import { knownChunks, partsByTrack, type KnownPart, type PartFacts, type PlacedPart } from './parts.ts'
import { remembered } from './remembered.ts'
import { filesOf } from './session.ts'
import { explainsGap } from './reports.ts'
import { epochMs } from './time.ts'

/** A gap before it is known since when it is one. */
export type Gap = Omit<GapState, 'since'>

/** Shorter pauses are what starting another MediaRecorder takes. */
const WORTH_TELLING_MS = 1000
const REPORT_TOLERANCE_MS = 2000

/**
 * Time in which nothing was recorded, between two parts of a track or within one: never a reason not to be complete. Between parts the
 * gap stands before the later part, as `from` = `to` = 0 of it, in the media time of that part's file: below 0 where
 * the part before is in another file. Its cause is kept once known, since reports are forgotten.
 */
export function unrecordedGaps(state: PartFacts & Pick<SessionState, 'reports' | 'gaps'>): Gap[] {
  const causes = causesOf(state.gaps)
  const gaps: Gap[] = []
  for (const parts of partsByTrack(state)) {
    const track = parts[0]?.track
    if (track === undefined) continue
    const placed = placesOf(parts, filesOf(state, track))
    let before: Placed | undefined
    for (const next of placed) {
      if (before !== undefined && before.part.part !== next.part.part) gaps.push(...between(state, causes, track, before, next))
      // What a part goes on with in a later file may lie within what was recorded.
      if (before === undefined || next.endedAt > before.endedAt) before = next
    }
    gaps.push(...missingMediaGaps(parts, state.reports, causes))
  }
  return gaps
}

/** Causes that are known. */
const causesOf = remembered((gaps: readonly GapState[]): ReadonlyMap<string, string | null> => {
  return new Map(gaps.filter(({ kind }) => kind === 'not-recorded').map((gap) => [keyOf(gap), gap.cause]))
})

interface Placed {
  part: KnownPart
  startMs: number
  /** By the clock, in milliseconds since the epoch. */
  startedAt: number
  endedAt: number
}

/** The places of a track's parts by the clock. A part that goes on in a later file has a place in both. */
function placesOf(parts: readonly PlacedPart[], files: readonly FileState[]): readonly Placed[] {
  const known = placesOfParts.get(parts)
  if (known !== undefined) return known
  const byId = new Map(parts.map(({ part }) => [part.part, part]))
  const places: Placed[] = []
  for (const file of files) {
    if (file.startedAt === null) continue
    const zero = epochMs(file.startedAt)
    for (const { part: id, startMs, endMs, unrecorded = [] } of file.parts) {
      const part = byId.get(id)
      if (part === undefined || startMs === null || endMs === null) continue
      // What was not recorded within it passed all the same: it is no part of what passed behind it.
      const missingMs = unrecorded.reduce((sum, { evidence, missingMs: ms }) => (evidence === 'clock' ? sum + ms : sum), 0)
      places.push({ part, startMs, startedAt: zero + startMs, endedAt: zero + endMs + missingMs })
    }
  }
  places.sort((a, b) => a.startedAt - b.startedAt)
  placesOfParts.set(parts, places)
  return places
}

/** A track's list of parts is another one whenever one of its files is. */
const placesOfParts = new WeakMap<readonly PlacedPart[], readonly Placed[]>()

function between(state: Pick<SessionState, 'reports'>, causes: ReadonlyMap<string, string | null>, track: string, before: Placed, next: Placed): Gap[] {
  const lengthMs = next.startedAt - before.endedAt
  if (lengthMs < WORTH_TELLING_MS) return []
  // Where chunks are missing at either side the time was recorded and lost, and their gap tells it.
  const isLost = endOf(before.part.stored) < knownChunks(before.part) || next.part.stored[0]?.[0] !== 0
  if (isLost) return []
  const { part } = next.part
  const cause = causes.get(keyOf({ track, part, from: 0 })) ?? causeOf(state, track, before, next)
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
