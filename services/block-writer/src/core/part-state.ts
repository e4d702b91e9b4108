import type { PartState, SeqRange, TimedRange } from '@longtake/contracts'
import { countOf, endOf, subtractRanges, toRanges, type Ranges } from '@longtake/domain'
import { faultRanges, mergedFaults, type ChunkFault, type FaultCause } from './faults.ts'
import { joinedPace, joinedSilences, missingBefore, NO_PACE, shortfalls } from './pace.ts'
import type { Part } from './part.ts'
import { framesOf } from './piece.ts'
import { whileUnchanged } from './unchanged-parts.ts'
import type { SavedFragments } from './verbatim.ts'

/** A part as events report it. Cached, since an event lists all parts of a file. */
export const partState = whileUnchanged(stateOf)

function stateOf(part: Part): PartState {
  const times = timesOf(part)
  const length = Math.max(endOf(part.stored), part.closed?.chunks ?? 0)
  const missing = length === 0 ? [] : subtractRanges([[0, length - 1]], part.stored)
  return {
    part: part.id,
    client: part.client,
    mimeType: part.mimeType,
    startedAt: part.startedAt,
    startMs: times?.startMs ?? null,
    endMs: times?.endMs ?? null,
    stored: ranges(part.stored),
    chunks: countOf(part.stored),
    bytes: part.bytes,
    ...mediaOf(part, times),
    ...unrecorded(part),
    ...repeated(part),
    undecodable: undecodable(part),
    missing: timed(part, missing),
    closed: part.closed,
    lost: part.lost,
    rejected: part.rejected,
  }
}

/** Media that its file repeats of an earlier one, so that a player can decode what follows. */
function repeated({ runs }: Part): Pick<PartState, 'repeated'> {
  const times = runs.flatMap((run) => run.repeated)
  return times.length === 0 ? {} : { repeated: times.map(({ startMs, endMs }) => ({ startMs, endMs })) }
}

/** How many frames of each kind its file has of it, and when the last of them is. */
function mediaOf({ container, header, place, runs, media }: Part, times: { readonly endMs: number } | null): Pick<PartState, 'media'> {
  if (container !== 'webm' || header === null || place === null) return {}
  const frames = framesOf(media)
  const ends = runs.flatMap((run) => run.snapshot()?.state?.writer.tracks ?? [])
  const kinds = (['video', 'audio'] as const).filter((kind) => header.tracks.some(({ type }) => type === kind))
  const lastMs = kinds.map((kind) => ends.reduce((latest, end) => (end.type === kind ? Math.max(latest, end.lastMs) : latest), -Infinity))
  // What was decoded last stands in a later file where the part has gone on in one.
  const isHere = times !== null && lastMs.every((ms) => ms < times.endMs)
  return { media: Object.fromEntries(kinds.map((kind, i) => [kind, { frames: frames?.[kind] ?? null, lastMs: isHere && lastMs[i] !== -Infinity ? lastMs[i] : null }])) }
}

/** Times in which less was recorded than passed, and in which sound pauses; not set where there are none. */
function unrecorded({ place, startedAt, closed, runs }: Part): Pick<PartState, 'unrecorded'> {
  if (place === null || startedAt === null) return {}
  const pace = runs.reduce((all, run) => joinedPace(all, run.pace), NO_PACE)
  const silences = joinedSilences(runs.flatMap((run) => run.silences))
  const zeroMs = Date.parse(startedAt)
  const inFile = (ms: number): number => Math.max(0, ms + place.offsetMs)
  const clock = (fromMs: number, toMs: number): { startedAt: string; endedAt: string } => ({ startedAt: instantOf(zeroMs + fromMs), endedAt: instantOf(zeroMs + toMs) })
  const late = shortfalls(pace, closed !== null).map(({ before, behind, missingMs }) => ({
    evidence: 'clock' as const, from: Math.min(before.seq + 1, behind.seq), to: behind.seq,
    startMs: inFile(before.mediaMs), endMs: inFile(Math.max(before.mediaMs, behind.mediaMs)), missingMs, ...clock(before.capturedMs, behind.capturedMs),
  }))
  const silent = silences.map(({ from, to, startMs, endMs, missingMs }) => {
    const lateMs = missingBefore(pace, from)
    return { evidence: 'sound' as const, from, to, startMs: inFile(startMs), endMs: inFile(endMs), missingMs, ...clock(startMs + lateMs, endMs + lateMs) }
  })
  const all = [...late, ...silent].sort((a, b) => a.from - b.from || a.startMs - b.startMs)
  return all.length === 0 ? {} : { unrecorded: all }
}

/** The last instant that RFC 3339 can write. */
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')
const instantOf = (ms: number): string => new Date(Math.min(LAST_MS, Math.max(0, ms))).toISOString()

/** Where its media stands in its file; null while it has none. */
export const timesOf = whileUnchanged(computeTimes)

function computeTimes(part: Part): { startMs: number; endMs: number } | null {
  const { place } = part
  if (place === null) return null
  const saved = part.container === 'mp4' ? fragmentsOf(part) : null
  // In a later file than its first, its times are those of its pieces.
  if (part.container === 'mp4' && saved?.moved === undefined) {
    if (!part.hasMedia) return null
    const fragments = saved?.state ?? null
    if (fragments !== null) return fragments.endMs === null ? null : { startMs: place.offsetMs + (fragments.startMs ?? 0), endMs: place.offsetMs + fragments.endMs }
    // Where its boxes were not read it lasts from its start to its last chunk, by the recorder's clock.
    const startMs = place.offsetMs + (place.fromMs ?? 0)
    return { startMs, endMs: Math.max(startMs, place.offsetMs + (part.capturedTo ?? 0) - Date.parse(part.startedAt ?? '')) }
  }
  let [startMs, endMs] = [Infinity, -Infinity]
  for (const { span } of part.media) {
    startMs = Math.min(startMs, span.startMs)
    endMs = Math.max(endMs, span.endMs)
  }
  return startMs === Infinity ? null : { startMs, endMs }
}

/** What the boxes of an MP4 state of its times; null where they were not read, or not from its beginning. */
function fragmentsOf({ place, runs }: Part): SavedFragments | null {
  const fragments = runs[0]?.snapshot()?.fragments ?? null
  return place?.fromMs === undefined || fragments?.moved !== undefined ? fragments : null
}

/** Chunks at holes and at the end, with the times of their neighbours; and those with faults of their own. */
function undecodable(part: Part): TimedRange[] {
  const base = part.runs.flatMap((run, i): Ranges => {
    if (!run.decoded) return [[run.from, run.to]]
    const beginning: Ranges = run.wholeFrom === 0 ? [] : [[run.from, run.wholeSeq ?? run.to]]
    const end: Ranges = (i < part.runs.length - 1 || isEnd(part, run.to)) && run.tailFrom <= run.to ? [[run.tailFrom, run.to]] : []
    return [...beginning, ...end]
  })
  const offsetMs = part.place?.offsetMs ?? 0
  const inFile = (ms: number | null): number | null => (ms === null ? null : Math.max(0, ms + offsetMs))
  const faults = mergedFaults([...part.runs.flatMap((run) => run.faults), ...truncated(part)]).map(({ from, to, startMs, endMs, cause }) => ({ from, to, startMs: inFile(startMs), endMs: inFile(endMs), cause }))
  const others = timed(part, subtractRanges(toRanges(base), faultRanges(faults)))
  return [...others, ...faults, ...noMedia(part)].sort((a, b) => a.from - b.from)
}

/** An MP4 that ended within a fragment. */
function truncated(part: Part): ChunkFault[] {
  const fragments = part.container === 'mp4' ? (fragmentsOf(part)?.state ?? null) : null
  const run = part.runs[0]
  if (fragments === null || fragments.broken !== null || run === undefined || !isEnd(part, run.to) || run.tailFrom > run.to) return []
  return [{ from: run.tailFrom, to: run.to, cause: 'truncated', startMs: fragments.endMs, endMs: null }]
}

/** What has ended and came without a single frame is no recording. */
function noMedia(part: Part): (TimedRange & { cause: FaultCause })[] {
  if (part.closed === null || part.place === null || part.continues !== null || timesOf(part) !== null) return []
  if (part.runs.some((run) => !run.decoded || run.faults.length > 0 || run.tailFrom <= run.to || run.wholeFrom !== 0)) return []
  return part.stored.map(([from, to]) => ({ from, to, startMs: null, endMs: null, cause: 'no-media' }))
}

/** The last run's tail may yet go on, unless the recorder ended there. Of one that crashed nobody expects a whole last frame. */
const isEnd = ({ closed }: Part, to: number): boolean => closed !== null && closed.clean && to + 1 >= closed.chunks

/** Each range with the time between the last whole frame before it and the first behind it; a range inside a run has neither. */
function timed(part: Part, of: Ranges): TimedRange[] {
  return of.map(([from, to]) => {
    const before = part.runs.findLast((run) => run.after.length > 0 && (run.to < from || (run.to === to && run.from < from)))
    const behind = part.runs.find((run) => run.after.length > 0 && (run.from > from || (run.from === from && run.to > to)))
    return { from, to, startMs: before?.after.last?.endMs ?? null, endMs: behind?.after.first?.startMs ?? null }
  })
}

const ranges = (of: Ranges): SeqRange[] => of.map(([from, to]) => [from, to])
