import type { FileState, PartState, SessionState, TimedRange } from '@longtake/contracts'
import { spansOfParts } from './decoded.ts'
import { faultsByPart, withFaults } from './file-faults.ts'
import {
  placeOf,
  placesIn,
  SEGMENT_PARTS,
  segmentsOf,
  type PartList,
  type PartPlaces,
  type PartSegment,
} from './part-lists.ts'
import type { KnownPart } from './parts.ts'
import { filesOf } from './session.ts'

/** The parts of a session's state that its rules read. */
export type PartFacts = Pick<SessionState, 'tracks' | 'parked' | 'decoded'>
type Parked = NonNullable<SessionState['parked']>
type Decoded = NonNullable<SessionState['decoded']>
const NOTHING: [] = []

/** Consecutive parts of one file of a track. */
export interface TrackSegment {
  readonly file: FileState
  /** As the file has them. */
  readonly stored: PartSegment
  /**
   * Those that count, with parked chunks, decoder results and file faults; the same array as `stored` if there are
   * none.
   */
  readonly parts: readonly KnownPart[]
}

export interface TrackParts {
  readonly track: string
  readonly segments: readonly TrackSegment[]
  /** Parts by id of which more is known than their file states, or which several files have. */
  readonly altered: ReadonlyMap<string, KnownPart>
  /** Ids of parts that are in several files. */
  readonly shared: ReadonlySet<string>
}

interface FoundTrack extends TrackParts {
  readonly parked: Parked
  readonly decoded: Decoded
}
/** By a track's list of files, which each commit replaces. */
const foundTracks = new WeakMap<readonly FileState[], FoundTrack>()

/** The parts of each track, by its name; those of a track that nothing changed are the very same object. */
export function trackParts({ tracks, parked = NOTHING, decoded = NOTHING }: PartFacts): TrackParts[] {
  return Object.keys(tracks)
    .sort()
    .map((track) => partsOfTrack(track, filesOf({ tracks }, track), parked, decoded))
}

function partsOfTrack(track: string, files: readonly FileState[], parked: Parked, decoded: Decoded): TrackParts {
  const known = foundTracks.get(files)
  if (known !== undefined && known.parked === parked && known.decoded === decoded) return known
  const shared = sharedParts(files)
  const altered = alteredParts(track, files, shared, parked, decoded)
  const segments = altered.size === 0 ? files.flatMap(plainSegments) : alteredSegments(files, shared, altered)
  const found = { track, segments, altered, shared, parked, decoded }
  foundTracks.set(files, found)
  return found
}

const plainSegments = (file: FileState): TrackSegment[] =>
  segmentsOf(file.parts).map((stored) => ({ file, stored, parts: stored }))

interface SharedParts {
  readonly lists: readonly PartPlaces[]
  /** How many parts of each list are in `seen`. */
  readonly lengths: number[]
  readonly seen: Set<string>
  readonly shared: Set<string>
}
/**
 * By the places of the first file: lists that extend one another share that object, so that only added parts are
 * compared.
 */
const sharedOfTracks = new WeakMap<PartPlaces, SharedParts>()

/** The ids of parts that are in more than one file, or twice in one. */
function sharedParts(files: readonly FileState[]): ReadonlySet<string> {
  const [first] = files
  if (first === undefined) return new Set()
  const lists = files.map(({ parts }) => placesIn(parts))
  const areUnique = lists.every((list) => list.areUnique)
  if (files.length === 1 && areUnique) return new Set()
  const before = areUnique ? sharedOfTracks.get(lists[0]!) : undefined
  const goesOn =
    before?.lists.every((list, i) => list === lists[i] && before.lengths[i]! <= files[i]!.parts.length) === true
  const found: SharedParts = goesOn ? { ...before!, lists } : { lists, lengths: [], seen: new Set(), shared: new Set() }
  for (const [i, { parts }] of files.entries()) {
    for (let j = found.lengths[i] ?? 0; j < parts.length; j++) {
      const { part } = parts[j]!
      if (found.seen.has(part)) found.shared.add(part)
      else found.seen.add(part)
    }
    found.lengths[i] = parts.length
  }
  sharedOfTracks.set(lists[0]!, found)
  return new Set(found.shared)
}

/**
 * A part that moved to another file may still be in the state of the earlier file; it counts once, in its most complete
 * state. Added to that: chunks that block-writer has parked, media that a decoder does not show, and faults of files.
 */
function alteredParts(
  track: string,
  files: readonly FileState[],
  shared: ReadonlySet<string>,
  parked: Parked,
  decoded: Decoded,
): ReadonlyMap<string, KnownPart> {
  const own = Map.groupBy(
    parked.filter((one) => one.track === track),
    ({ part }) => part,
  )
  const spans = spansOfParts(
    files,
    decoded.filter((one) => one.track === track),
  )
  const faults = faultsByPart(files)
  const altered = new Map<string, KnownPart>()
  for (const id of new Set([...shared, ...own.keys(), ...spans.keys(), ...faults.keys()])) {
    const best = bestOf(files, id)
    if (best !== undefined)
      altered.set(id, withFaults(withFound(best.part, own.get(id) ?? [], spans.get(id) ?? []), faults.get(id) ?? []))
  }
  return altered
}

interface Placed {
  readonly file: FileState
  readonly place: number
  readonly part: PartState
}

/** The most complete state of the part; undefined if no file has it. */
function bestOf(files: readonly FileState[], id: string): Placed | undefined {
  let best: Placed | undefined
  for (const file of files) {
    for (const place of placesOf(file.parts, id)) {
      const part = file.parts[place]!
      if (best === undefined || knowsMore(part, best.part)) best = { file, place, part }
    }
  }
  return best
}

function placesOf(parts: PartList, id: string): number[] {
  if (!placesIn(parts).areUnique) return parts.flatMap(({ part }, place) => (part === id ? [place] : []))
  const place = placeOf(parts, id)
  return place < 0 ? [] : [place]
}

/**
 * Whether `a` is the more complete of two states of one part. All ranks only ever grow; on a tie `a`, of the later
 * file, counts.
 */
function knowsMore(a: PartState, b: PartState): boolean {
  const ranks = (part: PartState): number[] => [
    part.chunks,
    part.closed === null ? 0 : 1,
    part.lost.length,
    part.startMs === null ? 0 : 1,
  ]
  const [of, than] = [ranks(a), ranks(b)]
  const differing = of.findIndex((rank, i) => rank !== than[i])
  return differing < 0 || of[differing]! > than[differing]!
}

/** Adds what block-writer's commits do not contain: parked chunks, and media that a decoder does not show. */
function withFound(part: PartState, own: Parked, spans: readonly TimedRange[]): KnownPart {
  if (own.length === 0 && spans.length === 0) return part
  const lost = [...part.lost, ...own.map(({ from, to }) => ({ from, to, cause: 'unwritable' as const }))]
  return { ...part, lost, undecodable: [...part.undecodable, ...spans] }
}

function alteredSegments(
  files: readonly FileState[],
  shared: ReadonlySet<string>,
  altered: ReadonlyMap<string, KnownPart>,
): TrackSegment[] {
  const best = new Map([...shared].map((id) => [id, bestOf(files, id)!]))
  return files.flatMap((file) => {
    const touched = touchedSegments(file.parts, altered)
    return segmentsOf(file.parts).map((stored, i): TrackSegment => {
      if (touched !== 'all' && !touched.has(i)) return { file, stored, parts: stored }
      const counting = stored.filter(({ part }, j) => {
        const counts = best.get(part)
        return counts === undefined || (counts.file === file && counts.place === SEGMENT_PARTS * i + j)
      })
      return { file, stored, parts: counting.map((part) => altered.get(part.part) ?? part) }
    })
  })
}

function touchedSegments(parts: PartList, altered: ReadonlyMap<string, unknown>): ReadonlySet<number> | 'all' {
  if (!placesIn(parts).areUnique) return 'all'
  const touched = new Set<number>()
  for (const id of altered.keys()) {
    const place = placeOf(parts, id)
    if (place >= 0) touched.add(Math.floor(place / SEGMENT_PARTS))
  }
  return touched
}
