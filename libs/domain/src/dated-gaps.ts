import type { GapState } from '@longtake/contracts'
import { DECODER_ERRORS } from './decoded.ts'
import { isEqual } from './equal.ts'
import { remembered } from './remembered.ts'
import { grouped, spansTouching } from './spans.ts'

/** A gap without the time at which it was found. */
export type Gap = Omit<GapState, 'since'>
/** Causes of times that were not recorded, by `keyOf`: kept once known, since reports are forgotten. */
export type Causes = ReadonlyMap<string, string | null>

/** Gaps that follow from the same facts. */
export interface GapGroup {
  /** The very same array as long as the facts are the same; empty where no gap follows. */
  readonly key: readonly unknown[]
  readonly find: (causes: Causes) => readonly Gap[]
}

interface DatedGroup {
  readonly key: readonly unknown[]
  readonly gaps: readonly GapState[]
}
/** The groups that the gaps of a state come from. */
const groupsOfGaps = new WeakMap<readonly GapState[], readonly DatedGroup[]>()

/**
 * The gaps of all groups, each with the time since which it has been known; the same array as before if nothing
 * changed. A group whose facts are the same has the same gaps as before: only the others are computed.
 * @param areApart whether each part has its gaps in one group of a kind
 */
export function datedGaps(before: GapState[], groups: readonly GapGroup[], at: string, areApart: boolean): GapState[] {
  const old = groupsOfGaps.get(before)
  if (old !== undefined && old.length === groups.length && groups.every(({ key }, i) => key === old[i]!.key))
    return before
  const kept = new Map(old?.map(({ key, gaps }) => [key, gaps]))
  const keys = new Set(groups.map(({ key }) => key))
  const left = old === undefined || !areApart ? before : old.flatMap(({ key, gaps }) => (keys.has(key) ? [] : gaps))
  const known = byKindAndPart(left)
  const causes = causesOf(left)
  const dated = groups.map(({ key, find }): DatedGroup => ({
    key,
    gaps: kept.get(key) ?? find(causes).map((gap) => ({ ...gap, since: since(gap, known) ?? at })),
  }))
  const all = dated.flatMap(({ gaps }) => gaps)
  const gaps = isEqual(all, before) ? before : all
  groupsOfGaps.set(gaps, dated)
  return gaps
}

/** What of two lists of gaps differs: the gaps of the groups that only one of them has. */
export function differingGaps(
  a: readonly GapState[],
  b: readonly GapState[],
): [readonly GapState[], readonly GapState[]] {
  const [of, than] = [groupsOfGaps.get(a), groupsOfGaps.get(b)]
  if (of === undefined || than === undefined) return [a, b]
  return [without(of, than), without(than, of)]
}

function without(groups: readonly DatedGroup[], others: readonly DatedGroup[]): GapState[] {
  const known = new Set(others.map(({ gaps }) => gaps))
  return groups.flatMap(({ gaps }) => (known.has(gaps) ? [] : gaps))
}

/** A gap that shrank, grew or was confirmed is still the old one. */
function since(gap: Gap, known: ReadonlyMap<string, readonly GapState[]>): string | undefined {
  return spansTouching(known.get(kindAndPart(gap)) ?? [], gap.from, gap.to)
    .map((other) => other.since)
    .sort()[0]
}

/**
 * Gaps of a decoder lie between the others, or in the same chunks, and so do times in which less was recorded than
 * passed: lists of spans are searched as sorted ones.
 */
const kindAndPart = ({ kind, track, part, cause, unrecorded }: Gap): string =>
  `${kind} ${track} ${part} ${unrecorded?.evidence ?? ''}${cause === DECODER_ERRORS ? ` ${cause}` : ''}`
/** The gaps that a state has, as `since` looks for them. */
const byKindAndPart = remembered((gaps: readonly GapState[]) => grouped(gaps, kindAndPart))

export const keyOf = ({
  track,
  part,
  from,
  unrecorded,
}: Pick<Gap, 'track' | 'part' | 'from' | 'unrecorded'>): string =>
  unrecorded === undefined ? `${track} ${part}` : `${track} ${part} ${unrecorded.evidence} ${from}`

const causesOf = remembered(
  (gaps: readonly GapState[]): Causes =>
    new Map(gaps.filter(({ kind }) => kind === 'not-recorded').map((gap) => [keyOf(gap), gap.cause])),
)
