import { LOST_CAUSES, type FileState, type LostCause, type PartState, type SeqRange, type SessionState, type TimedRange } from '@longtake/contracts'
import { spansOfParts } from './decoded.ts'
import { faultsByPart, withFaults } from './file-faults.ts'
import type { Awaited } from './patience.ts'
import { filesOf } from './session.ts'
import { endOf, firstSeqs, intersectRanges, subtractRanges, toRanges } from './ranges.ts'
import { remembered } from './remembered.ts'

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

/**
 * All known parts: by track name, then file, then in the order of the file. A part that found its place in another file
 * may still stand in the state of the one before; it counts once, as the state that knows most of it says.
 */
export function partsOf({ tracks, parked = NOTHING, decoded = NOTHING }: PartFacts): readonly PlacedPart[] {
  // Several rules ask for one state.
  const known = partsOfTracks.get(tracks)
  if (known !== undefined && known.parked === parked && known.decoded === decoded) return known.parts
  const parts = partsByTrack({ tracks, parked, decoded }).flat()
  partsOfTracks.set(tracks, { parked, decoded, parts })
  return parts
}

/** The same, track by track; the list of a track that nothing changed is the very same one. */
export function partsByTrack({ tracks, parked = NOTHING, decoded = NOTHING }: PartFacts): (readonly PlacedPart[])[] {
  return Object.keys(tracks)
    .sort()
    .map((track) => partsOfTrack(track, filesOf({ tracks }, track), parked, decoded))
}

/** All that is known of parts. */
export type PartFacts = Pick<SessionState, 'tracks' | 'parked' | 'decoded'>
type Parked = NonNullable<SessionState['parked']>
type Decoded = NonNullable<SessionState['decoded']>
const NOTHING: [] = []

interface FoundParts {
  readonly parked: Parked
  readonly decoded: Decoded
  readonly parts: readonly PlacedPart[]
}
const partsOfTracks = new WeakMap<SessionState['tracks'], FoundParts>()
/** The same of one track: its list of files is another one with each commit. */
const partsOfFiles = new WeakMap<readonly FileState[], FoundParts>()

function partsOfTrack(track: string, files: readonly FileState[], parked: Parked, decoded: Decoded): readonly PlacedPart[] {
  const known = partsOfFiles.get(files)
  if (known !== undefined && known.parked === parked && known.decoded === decoded) return known.parts
  const placed = files.flatMap((file) => file.parts.map((part) => ({ track, file, part })))
  const best = new Map<string, (typeof placed)[number]>()
  for (const one of placed) {
    const other = best.get(one.part.part)
    if (other === undefined || knowsMore(one.part, other.part)) best.set(one.part.part, one)
  }
  const once = best.size === placed.length ? placed : placed.filter((one) => best.get(one.part.part) === one)
  const own = Map.groupBy(parked.filter((one) => one.track === track), ({ part }) => part)
  const spans = spansOfParts(files, decoded.filter((one) => one.track === track))
  const found = own.size === 0 && spans.size === 0 ? once : once.map((one) => withFound(one, own.get(one.part.part) ?? [], spans.get(one.part.part) ?? []))
  const faults = faultsByPart(files)
  const parts = faults.size === 0 ? found : found.map((one) => ({ ...one, part: withFaults(one.part, faults.get(one.part.part) ?? []) }))
  partsOfFiles.set(files, { parked, decoded, parts })
  return parts
}

/** With what block-writer does not say of it: chunks that it has parked, and media that a decoder does not show. */
function withFound(placed: Omit<PlacedPart, 'part'> & { part: PartState }, own: Parked, spans: readonly TimedRange[]): PlacedPart {
  const { part } = placed
  if (own.length === 0 && spans.length === 0) return placed
  const lost = [...part.lost, ...own.map(({ from, to }) => ({ from, to, cause: 'unwritable' as const }))]
  return { ...placed, part: { ...part, lost, undecodable: [...part.undecodable, ...spans] } }
}

/** Of two states of one part. All of these only ever grow; on a tie the later file has it. */
function knowsMore(a: PartState, b: PartState): boolean {
  const ranks = (part: PartState): number[] => [part.chunks, part.closed === null ? 0 : 1, part.lost.length, part.startMs === null ? 0 : 1]
  const [of, than] = [ranks(a), ranks(b)]
  const differing = of.findIndex((rank, i) => rank !== than[i])
  return differing < 0 || of[differing]! > than[differing]!
}

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

/** Parts that `finish` names and of which nothing else is known. */
export function unseenParts(state: PartFacts & Pick<SessionState, 'finish'>): { track: string; part: string }[] {
  if (state.finish === null) return []
  const seen = new Set(partsOf(state).map(({ track, part }) => `${track} ${part.part}`))
  return Object.entries(state.finish?.parts ?? {}).flatMap(([track, parts]) =>
    [...new Set(parts)].filter((part) => !seen.has(`${track} ${part}`)).map((part) => ({ track, part })),
  )
}
