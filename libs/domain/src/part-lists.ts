import type { PartState } from '@longtake/contracts'
import { isEqual, sharing } from './equal.ts'

/*
 * The parts of a file are one list, and a commit changes one or two of hundreds. What the rules compute from a list is
 * cached by segments of it, so that an event costs what it changes. No result depends on this: a list without cached
 * segments is computed as a whole.
 */

export type PartList = readonly PartState[]
/** Consecutive parts of a list: the very same array as long as they are the very same parts. */
export type PartSegment = readonly PartState[]

/** About the square root of the parts of a long session: an event compares as many segments, and computes one. */
export const SEGMENT_PARTS = 32

const segmentsOfLists = new WeakMap<PartList, readonly PartSegment[]>()

export function segmentsOf(parts: PartList): readonly PartSegment[] {
  const known = segmentsOfLists.get(parts)
  if (known !== undefined) return known
  const count = Math.ceil(parts.length / SEGMENT_PARTS)
  const segments = count === 1 ? [parts] : Array.from({ length: count }, (_, i) => segmentAt(parts, i))
  segmentsOfLists.set(parts, segments)
  return segments
}

const segmentAt = (parts: PartList, i: number): PartSegment => parts.slice(SEGMENT_PARTS * i, SEGMENT_PARTS * (i + 1))

/**
 * The index of each part in a list, by its id. Lists that extend one another share one object, with the parts of the
 * longest.
 */
export interface PartPlaces {
  readonly places: Map<string, number>
  /** False where a list has a part twice. */
  readonly areUnique: boolean
}

const placesOfLists = new WeakMap<PartList, PartPlaces>()

export function placesIn(parts: PartList): PartPlaces {
  const known = placesOfLists.get(parts)
  if (known !== undefined) return known
  const places = new Map(parts.map(({ part }, i) => [part, i]))
  const found = { places, areUnique: places.size === parts.length }
  placesOfLists.set(parts, found)
  return found
}

/** @returns the last place of the part in the list, or -1 */
export function placeOf(parts: PartList, part: string): number {
  const place = placesIn(parts).places.get(part) ?? -1
  return place < parts.length ? place : -1
}

/**
 * The list with changed parts in the place of those that they replace and new ones behind; the very same list where
 * nothing differs, and the very same parts where they do not. Costs what is changed, beside copying the list.
 */
export function withChangedParts(before: PartList, changed: PartList): PartList {
  const found = placesIn(before)
  if (!found.areUnique) return sharing(before, mergedOneByOne(before, changed), ({ part }) => part)
  const parts = [...before]
  const added = new Map<string, number>()
  const touched = new Set<number>()
  for (const part of changed) {
    const known = placeOf(before, part.part)
    const place = known >= 0 ? known : (added.get(part.part) ?? parts.length)
    if (known < 0) added.set(part.part, place)
    // Of two states of one part in `changed` the later one counts.
    parts[place] = known >= 0 && isEqual(before[known], part) ? before[known]! : part
    touched.add(place)
  }
  if (parts.length === before.length && touched.values().every((place) => parts[place] === before[place])) return before
  keepSegments(before, parts, touched)
  keepPlaces(found, before, parts, added)
  return parts
}

function mergedOneByOne(before: PartList, changed: PartList): PartState[] {
  const byId = new Map(changed.map((part) => [part.part, part]))
  const parts = before.map((part) => byId.get(part.part) ?? part)
  for (const { part } of before) byId.delete(part)
  return [...parts, ...byId.values()]
}

function keepSegments(before: PartList, after: PartList, touched: ReadonlySet<number>): void {
  const segments = [...segmentsOf(before)]
  for (const i of new Set(touched.values().map((place) => Math.floor(place / SEGMENT_PARTS))))
    segments[i] = segmentAt(after, i)
  segmentsOfLists.set(after, segments)
}

/** Only the first list made from another one takes its places over; a second one computes its own. */
function keepPlaces(found: PartPlaces, before: PartList, after: PartList, added: ReadonlyMap<string, number>): void {
  if (found.places.size !== before.length) return
  for (const [part, place] of added) found.places.set(part, place)
  placesOfLists.set(after, found)
}

/** The later list, which has all parts, with the objects of the earlier one where they are equal: see `sharing`. */
export function sharingParts(earlier: PartList, later: PartList): PartList {
  const shared = sharing(earlier, later as PartState[], ({ part }) => part)
  if (shared !== earlier && earlier.length > SEGMENT_PARTS) {
    const known = segmentsOf(earlier)
    segmentsOfLists.set(
      shared,
      segmentsOf(shared).map((segment, i) =>
        known[i] !== undefined && areSame(known[i], segment) ? known[i] : segment,
      ),
    )
  }
  return shared
}

/** Whether they hold the very same objects. */
const areSame = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i])

/** The places where the lists of one length differ, segment by segment. */
export function* differences(a: PartList, b: PartList): Iterable<[PartState, PartState]> {
  const others = segmentsOf(b)
  for (const [i, segment] of segmentsOf(a).entries()) {
    if (segment === others[i]) continue
    for (const [j, part] of segment.entries()) if (part !== others[i]![j]) yield [part, others[i]![j]!]
  }
}
