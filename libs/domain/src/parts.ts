import { LOST_CAUSES, type FileState, type LostCause, type PartState, type SeqRange, type SessionState } from '@longtake/contracts'
import type { Awaited } from './patience.ts'
import { endOf, firstSeqs, intersectRanges, subtractRanges, toRanges } from './ranges.ts'
import { remembered } from './remembered.ts'
import { trackParts, type PartFacts } from './track-parts.ts'

/** Why a chunk is not stored: as its client declared, or because block-writer fails over it and has parked it. */
export type MissingCause = LostCause | 'unwritable'
export const MISSING_CAUSES: readonly MissingCause[] = ['unwritable', ...LOST_CAUSES]
/** Kafka has such a chunk, or its client says so: that is the opposite of lost. */
export const isInKafka = (cause: string | null): boolean => cause === 'unwritable' || cause === 'already-acknowledged'

/** A part with what is known of its chunks beside what block-writer says of it. */
export interface KnownPart extends Omit<PartState, 'lost'> {
  lost: readonly { readonly from: number; readonly to: number; readonly cause: MissingCause }[]
}

export interface PlacedPart {
  track: string
  file: FileState
  part: KnownPart
}

/** All known parts: by track name, then file, then in the order of the file. */
export function partsOf(state: PartFacts): readonly PlacedPart[] {
  const { tracks, parked, decoded } = state
  // Several readers ask for one state.
  const found = partsOfTracks.get(tracks)
  if (found !== undefined && found.parked === parked && found.decoded === decoded) return found.parts
  const parts = trackParts(state).flatMap(({ track, segments }) =>
    segments.flatMap(({ file, parts: known }) => known.map((part) => ({ track, file, part }))),
  )
  partsOfTracks.set(tracks, { parked, decoded, parts })
  return parts
}

interface FoundParts {
  readonly parked: PartFacts['parked'] | undefined
  readonly decoded: PartFacts['decoded'] | undefined
  readonly parts: readonly PlacedPart[]
}
const partsOfTracks = new WeakMap<SessionState['tracks'], FoundParts>()

/** How many chunks the part is known to have: by its close, by what is stored, declared lost or parked. */
export function knownChunks({ closed, stored, lost }: KnownPart): number {
  return lost.reduce((end, { to }) => Math.max(end, to + 1), Math.max(closed?.chunks ?? 0, endOf(stored)))
}

/** Chunks that are known to have been and are not stored. Worked out here, not believed. */
export const holesOf: (part: KnownPart) => readonly SeqRange[] = remembered((part) => subtractRanges(firstSeqs(knownChunks(part)), part.stored))

/** What is missing for such a cause. */
export function missingFor({ lost }: KnownPart, isMeant: (cause: MissingCause) => boolean): SeqRange[] {
  return toRanges(lost.filter(({ cause }) => isMeant(cause)).map(({ from, to }) => [from, to]))
}

/** Whether nothing of it is waited for: its length is declared and every hole declared lost for good, or what is open is not awaited. */
export function isSettled(part: KnownPart, awaited: Awaited): boolean {
  if (part.rejected !== null || awaited === 'nothing') return true
  return awaited === 'all' ? isSettledForAll(part) : isSettledForAcknowledged(part)
}

const isSettledForAll = remembered((part: KnownPart) => settles(part, 'all'))
const isSettledForAcknowledged = remembered((part: KnownPart) => settles(part, 'acknowledged'))

function settles(part: KnownPart, awaited: Exclude<Awaited, 'nothing'>): boolean {
  const holes = holesOf(part)
  const parked = missingFor(part, (cause) => cause === 'unwritable')
  const forGood = subtractRanges(missingFor(part, (cause) => !isInKafka(cause)), parked)
  const open = subtractRanges(holes, forGood)
  if (awaited === 'acknowledged') return intersectRanges(open, missingFor(part, isInKafka)).length === 0
  return part.closed !== null && open.length === 0
}

/** Whether every chunk of the part, up to a declared and credible last one, is stored and playable. */
export const isWhole: (part: KnownPart) => boolean = remembered((part) => {
  const { rejected, closed, undecodable, stored, startMs } = part
  if (rejected !== null || closed === null || !closed.clean) return false
  // Chunks without a single frame are no recording.
  if (stored.length > 0 && startMs === null) return false
  return closed.chunks === knownChunks(part) && holesOf(part).length === 0 && undecodable.length === 0
})

/** What a segment's parts have in common, for the status of its session. */
const verdicts = remembered((parts: readonly KnownPart[]) => ({
  isSettledForAll: parts.every((part) => isSettled(part, 'all')),
  isSettledForAcknowledged: parts.every((part) => isSettled(part, 'acknowledged')),
  areWhole: parts.every(isWhole),
}))

/** Whether no chunk of any part is still expected. */
export function areSettled(state: PartFacts, awaited: Exclude<Awaited, 'nothing'>): boolean {
  const isSettledFor = awaited === 'all' ? 'isSettledForAll' : 'isSettledForAcknowledged'
  return trackParts(state).every(({ segments }) => segments.every(({ parts }) => verdicts(parts)[isSettledFor]))
}

export const areWhole = (state: PartFacts): boolean =>
  trackParts(state).every(({ segments }) => segments.every(({ parts }) => verdicts(parts).areWhole))

/** Whether any part is known. */
export const hasParts = (state: PartFacts): boolean =>
  trackParts(state).some(({ segments }) => segments.some(({ parts }) => parts.length > 0))

type Finish = Pick<SessionState, 'finish'>

/** Parts that `finish` names, or whose chunks block-writer has parked, and of which nothing is in a file. */
export function unseenParts(state: PartFacts & Finish): { track: string; part: string }[] {
  const named = Object.entries(state.finish?.parts ?? {}).flatMap(([track, parts]) =>
    parts.map((part) => ({ track, part })),
  )
  const parked = (state.parked ?? []).map(({ track, part }) => ({ track, part }))
  const unseen = new Map([...named, ...parked].map((one) => [`${one.track} ${one.part}`, one]))
  for (const { track, part } of partsOf(state)) unseen.delete(`${track} ${part.part}`)
  return [...unseen.values()]
}

/** Whether there are such parts. Counted by segments: a finished session of many parts waits for each of them. */
export function hasUnseenParts(state: PartFacts & Finish): boolean {
  const { finish, parked = [] } = state
  // Hardly ever is anything parked; none of such a part was counted below.
  if (parked.length > 0) return unseenParts(state).length > 0
  if (finish === null || finish.parts === null) return false
  const named = namedParts(finish)
  let seen = 0
  for (const { track, segments } of trackParts(state)) {
    const ids = named.byTrack.get(track)
    if (ids !== undefined) for (const { parts } of segments) seen += namedIn(parts, ids)
  }
  return seen < named.count
}

const namedParts = remembered(({ parts }: NonNullable<SessionState['finish']>) => {
  const byTrack = new Map(Object.entries(parts ?? {}).map(([track, ids]) => [track, new Set(ids)]))
  return { byTrack, count: byTrack.values().reduce((sum, { size }) => sum + size, 0) }
})

/** How many parts of the segment are named. Each part that counts stands in one segment, once. */
function namedIn(parts: readonly KnownPart[], ids: ReadonlySet<string>): number {
  const known = namedInSegments.get(parts)
  if (known?.ids === ids) return known.count
  const count = parts.reduce((sum, { part }) => sum + (ids.has(part) ? 1 : 0), 0)
  namedInSegments.set(parts, { ids, count })
  return count
}

interface NamedParts {
  readonly ids: ReadonlySet<string>
  readonly count: number
}
const namedInSegments = new WeakMap<readonly KnownPart[], NamedParts>()
