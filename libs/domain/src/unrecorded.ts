import type { SessionState } from '@longtake/contracts'
import { keyOf, type Causes, type Gap, type GapGroup } from './dated-gaps.ts'
import { missingMediaGaps } from './missing-media.ts'
import type { PartSegment } from './part-lists.ts'
import { knownChunks, type KnownPart } from './parts.ts'
import { endOf } from './ranges.ts'
import { explainsGap } from './reports.ts'
import { epochMs } from './time.ts'
import type { TrackParts, TrackSegment } from './track-parts.ts'

/** Shorter pauses are what starting another MediaRecorder takes. */
const WORTH_TELLING_MS = 1000
const REPORT_TOLERANCE_MS = 2000

/**
 * Time in which nothing was recorded, between two parts of a track or within one: never a reason not to be complete.
 * Between parts the gap stands before the later part, as `from` = `to` = 0 of it, in the media time of that part's
 * file: below 0 where the part before is in another file.
 */
export function unrecordedGaps({ track, segments, altered }: TrackParts, reports: Reports): GapGroup[] {
  const groups: GapGroup[] = []
  let before: Placed | undefined
  for (const places of inOrder(segments.map((segment) => placesOf(segment, altered)))) {
    const found = pausesIn(places, before)
    groups.push({
      key: found.pauses,
      find: (causes) => found.pauses.map((pause) => gapOf(pause, track, reports, causes)),
    })
    before = found.last
  }
  return [...groups, ...segments.map(({ parts }) => missingMediaGaps(track, parts, reports))]
}

type Reports = SessionState['reports']

interface Placed {
  readonly part: KnownPart
  readonly startMs: number
  /** By the clock, in milliseconds since the epoch. */
  readonly startedAtMs: number
  readonly endedAtMs: number
}
type Places = readonly Placed[]
const NOWHERE: Places = []

/** The places of a segment's parts by the clock. A part that goes on in a later file has a place in both. */
function placesOf({ file, stored, parts }: TrackSegment, altered: TrackParts['altered']): Places {
  if (file.startedAt === null) return NOWHERE
  if (stored !== parts) return findPlaces(stored, file.startedAt, altered)
  const known = foundPlaces.get(stored)
  if (known?.fileStartedAt === file.startedAt) return known.places
  const places = findPlaces(stored, file.startedAt, altered)
  foundPlaces.set(stored, { fileStartedAt: file.startedAt, places })
  return places
}

const foundPlaces = new WeakMap<PartSegment, { readonly fileStartedAt: string; readonly places: Places }>()

function findPlaces(parts: PartSegment, startedAt: string, altered: TrackParts['altered']): Places {
  const zeroMs = epochMs(startedAt)
  const places: Placed[] = []
  for (const own of parts) {
    const { startMs, endMs, unrecorded = [] } = own
    if (startMs === null || endMs === null) continue
    // Time that was not recorded within the part has passed as well: it is not part of the pause behind the part.
    const missingMs = unrecorded.reduce(
      (sum, { evidence, missingMs: ms }) => (evidence === 'clock' ? sum + ms : sum),
      0,
    )
    places.push({
      part: altered.get(own.part) ?? own,
      startMs,
      startedAtMs: zeroMs + startMs,
      endedAtMs: zeroMs + endMs + missingMs,
    })
  }
  return places.sort(byStart)
}

const byStart = (a: Placed, b: Placed): number => a.startedAtMs - b.startedAtMs

/** The lists as they are if their concatenation is in order; otherwise one sorted list. */
function inOrder(lists: readonly Places[]): readonly Places[] {
  const filled = lists.filter(({ length }) => length > 0)
  const areInOrder = filled.every((places, i) => i === 0 || filled[i - 1]!.at(-1)!.startedAtMs <= places[0]!.startedAtMs)
  return areInOrder ? filled : [filled.flat().sort(byStart)]
}

/** Time between two parts. */
interface Pause {
  readonly before: Placed
  readonly next: Placed
  readonly lengthMs: number
}
interface FoundPauses {
  readonly before: Placed | undefined
  readonly pauses: readonly Pause[]
  /** The place that ends last, of all up to here. */
  readonly last: Placed | undefined
}
const foundPauses = new WeakMap<Places, FoundPauses>()

/** @param first the place that ends last, of all before */
function pausesIn(places: Places, first: Placed | undefined): FoundPauses {
  const known = foundPauses.get(places)
  if (known !== undefined && known.before === first) return known
  const pauses: Pause[] = []
  let before = first
  for (const next of places) {
    if (before !== undefined && before.part.part !== next.part.part && isPause(before, next))
      pauses.push({ before, next, lengthMs: next.startedAtMs - before.endedAtMs })
    // The continuation of a part in a later file may lie within time that is recorded already.
    if (before === undefined || next.endedAtMs > before.endedAtMs) before = next
  }
  const found = { before: first, pauses, last: before }
  foundPauses.set(places, found)
  return found
}

function isPause(before: Placed, next: Placed): boolean {
  if (next.startedAtMs - before.endedAtMs < WORTH_TELLING_MS) return false
  // Where chunks are missing at either side the time was recorded and lost, and their gap tells it.
  const isLost = endOf(before.part.stored) < knownChunks(before.part) || next.part.stored[0]?.[0] !== 0
  return !isLost
}

function gapOf({ before, next, lengthMs }: Pause, track: string, reports: Reports, causes: Causes): Gap {
  const { part } = next.part
  const cause = causes.get(keyOf({ track, part, from: 0 })) ?? causeOf(reports, track, before, next)
  return {
    track,
    part,
    from: 0,
    to: 0,
    startMs: next.startMs - lengthMs,
    endMs: next.startMs,
    kind: 'not-recorded',
    state: 'confirmed',
    cause,
  }
}

function causeOf(reports: Reports, track: string, before: Placed, next: Placed): string {
  const report = reports.find(
    (one) =>
      explainsGap(one) &&
      (one.track === null || one.track === track) &&
      epochMs(one.at) >= before.endedAtMs - REPORT_TOLERANCE_MS &&
      epochMs(one.at) <= next.startedAtMs + REPORT_TOLERANCE_MS,
  )
  if (report !== undefined) return report.event
  return before.part.closed?.clean === false ? 'crash' : 'between-parts'
}
