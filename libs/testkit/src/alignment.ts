/** A frame reduced to what tells it apart. Times are on the file's timeline. */
export interface Item {
  identity: string
  timeMs: number
}

export type Pair = [expected: number, actual: number]

export interface Alignment {
  /** Same content at the right time. */
  matched: Pair[]
  /** Same content, in order, at another time. */
  retimed: Pair[]
  /** Same content, elsewhere. */
  moved: Pair[]
  /** Other content at the time of a missing one of the same kind. */
  changed: Pair[]
  missing: number[]
  /** Of content that was expected, but not as often. */
  repeated: number[]
  unknown: number[]
}

/** Clocks of a file tick in whole ms, so a time may be rounded up in one place and down in another. */
export const TIME_TOLERANCE_MS = 1.01

/**
 * Says how `actual` differs from `expected`, in time that grows with their length and not its square: in a good file
 * both are walked side by side. Silence makes many frames of the same content, so frames match by content and time first.
 */
export function align(expected: readonly Item[], actual: readonly Item[]): Alignment {
  const result: Alignment = { matched: [], retimed: [], moved: [], changed: [], missing: [], repeated: [], unknown: [] }
  const places = placesByIdentity(actual)
  const missing: number[] = []
  const extra: number[] = []
  const sameTime = (e: number, a: number): boolean => Math.abs((expected[e] as Item).timeMs - (actual[a] as Item).timeMs) <= TIME_TOLERANCE_MS
  for (const region of walk(expected, places, [0, expected.length], [0, actual.length], sameTime, result.matched)) {
    const retimed: Pair[] = []
    const left = [...walk(expected, places, region.expected, region.actual, () => true, retimed)]
    const leftExpected = left.flatMap((part) => range(part.expected))
    const leftActual = left.flatMap((part) => range(part.actual))
    const swapped = new Set(leftExpected.map((e) => (expected[e] as Item).identity))
    // What else changed its time where frames changed places did so because of that.
    if (leftActual.some((a) => swapped.has((actual[a] as Item).identity))) result.matched.push(...retimed)
    else result.retimed.push(...retimed)
    missing.push(...leftExpected)
    extra.push(...leftActual)
  }
  explain(expected, actual, missing, extra, result)
  return result
}

interface Region {
  expected: [number, number]
  actual: [number, number]
}

/** Pairs what is the same in order, pushes it to `pairs`, and yields the regions between that differ. */
function* walk(
  expected: readonly Item[], places: Map<string, number[]>, [from, to]: [number, number], [begin, end]: [number, number],
  fits: (e: number, a: number) => boolean, pairs: Pair[],
): Generator<Region> {
  let e = from
  let a = begin
  while (e < to || a < end) {
    const next = nearest(expected, places, [e, to], [a, end], fits)
    const [nextE, nextA] = next ?? [to, end]
    if (nextE > e || nextA > a) yield { expected: [e, nextE], actual: [a, nextA] }
    if (next !== null) pairs.push(next)
    e = nextE + 1
    a = nextA + 1
  }
}

/** The pair that fits with the fewest frames skipped on both sides together. */
function nearest(
  expected: readonly Item[], places: Map<string, number[]>, [from, to]: [number, number], [begin, end]: [number, number], fits: (e: number, a: number) => boolean,
): Pair | null {
  let best: Pair | null = null
  let bestCost = Number.POSITIVE_INFINITY
  for (let e = from; e < to && e - from < bestCost; e += 1) {
    const candidates = places.get((expected[e] as Item).identity) ?? []
    for (let index = firstAtLeast(candidates, begin); index < candidates.length; index += 1) {
      const a = candidates[index] as number
      const cost = e - from + (a - begin)
      if (a >= end || cost >= bestCost) break
      if (!fits(e, a)) continue
      best = [e, a]
      bestCost = cost
      break
    }
  }
  return best
}

function explain(expected: readonly Item[], actual: readonly Item[], missing: readonly number[], extra: readonly number[], result: Alignment): void {
  if (extra.length === 0) {
    result.missing.push(...missing.toSorted((x, y) => x - y))
    return
  }
  const missingByIdentity = new Map<string, number[]>()
  for (const e of missing) push(missingByIdentity, (expected[e] as Item).identity, e)
  const unmoved = extra.filter((a) => {
    const e = missingByIdentity.get((actual[a] as Item).identity)?.shift()
    if (e !== undefined) result.moved.push([e, a])
    return e === undefined
  })
  const stillMissing = [...missingByIdentity.values()].flat().toSorted((x, y) => x - y)
  const known = new Set(expected.map(({ identity }) => identity))
  const slot = ({ identity, timeMs }: Item): string => `${kindOf(identity)}@${Math.round(timeMs)}`
  const bySlot = new Map<string, number[]>()
  for (const e of stillMissing) push(bySlot, slot(expected[e] as Item), e)
  const changed = new Set<number>()
  for (const a of unmoved) {
    const item = actual[a] as Item
    const e = [0, -1, 1].map((by) => bySlot.get(slot({ ...item, timeMs: item.timeMs + by }))).find((found) => found !== undefined && found.length > 0)?.shift()
    if (e !== undefined) {
      changed.add(e)
      result.changed.push([e, a])
    } else if (known.has(item.identity)) result.repeated.push(a)
    else result.unknown.push(a)
  }
  result.missing.push(...stillMissing.filter((e) => !changed.has(e)))
}

/**
 * The time by which a part's frames are shifted in the file, as most of them tell; null when none is there. A few frames
 * alone may be there several times, as silence is: then the shift nearest to the one that the part's start tells.
 */
export function shiftOf(source: readonly Item[], actual: readonly Item[], places: Map<string, number[]>, toldMs: number): number | null {
  const votes = new Map<number, number>()
  const step = Math.max(1, Math.floor(source.length / 4000))
  for (let index = 0; index < source.length; index += step) {
    const item = source[index] as Item
    const all = places.get(item.identity) ?? []
    const near = partitionPoint(all, (place) => (actual[place] as Item).timeMs < item.timeMs + toldMs)
    for (const place of new Set([...all.slice(0, 8), ...all.slice(Math.max(0, near - 4), near + 4)])) {
      const shift = Math.round((actual[place] as Item).timeMs - item.timeMs)
      votes.set(shift, (votes.get(shift) ?? 0) + 1)
    }
  }
  let best: number | null = null
  let most = 0
  for (const [shift, own] of votes) {
    const count = own + 0.5 * ((votes.get(shift - 1) ?? 0) + (votes.get(shift + 1) ?? 0))
    if (count > most || (count === most && best !== null && Math.abs(shift - toldMs) < Math.abs(best - toldMs))) {
      best = shift
      most = count
    }
  }
  return best
}

export function placesByIdentity(items: readonly Item[]): Map<string, number[]> {
  const places = new Map<string, number[]>()
  for (const [index, { identity }] of items.entries()) push(places, identity, index)
  return places
}

function kindOf(identity: string): string {
  return identity.slice(0, identity.indexOf(':'))
}

function push<K>(map: Map<K, number[]>, key: K, value: number): void {
  const found = map.get(key)
  if (found === undefined) map.set(key, [value])
  else found.push(value)
}

function range([from, to]: [number, number]): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

function firstAtLeast(sorted: readonly number[], value: number): number {
  return partitionPoint(sorted, (one) => one < value)
}

/** How many of the first ones it holds for; it holds for none behind them. */
function partitionPoint(sorted: readonly number[], holds: (one: number) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(sorted[middle] as number)) low = middle + 1
    else high = middle
  }
  return low
}
