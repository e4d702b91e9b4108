import type { GapState, SeqRange, SessionState } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { datedGaps, type Gap, type GapGroup } from './dated-gaps.ts'
import { holesOf, isInKafka, knownChunks, MISSING_CAUSES, missingFor, unseenParts, type KnownPart } from './parts.ts'
import { awaitedOf, givenUpCause, type Awaited } from './patience.ts'
import { endOf, intersectRanges, subtractRanges, toRanges, type Ranges } from './ranges.ts'
import { spansTouching } from './spans.ts'
import { instantOf } from './time.ts'
import { trackParts } from './track-parts.ts'
import { unrecordedGaps } from './unrecorded.ts'

type PartGap = Omit<Gap, 'track' | 'part'>

/**
 * All gaps that follow from what is known, each with the time since which it has been known; the very array of `state`
 * where nothing changed.
 * @param now milliseconds since the epoch
 * @param writtenTo see `isAbandoned`
 */
export function currentGaps(state: SessionState, now: number, writtenTo: number): GapState[] {
  const awaited = awaitedOf(state, now, writtenTo)
  const cause = givenUpCause(state)
  const tracks = trackParts(state)
  const groups = [
    ...tracks.flatMap(({ track, segments }) =>
      segments.map(({ parts }) => groupOf(gapsOfSegment(track, parts, awaited, cause))),
    ),
    ...tracks.flatMap((parts) => unrecordedGaps(parts, state.reports)),
    groupOf(gapsOfUnseen(state, awaited)),
  ]
  // A part that stands in several files may have gaps in several groups.
  const areApart = tracks.every(({ shared }) => shared.size === 0)
  return datedGaps(state.gaps, groups.filter(({ key }) => key.length > 0), instantOf(now), areApart)
}

const groupOf = (gaps: readonly Gap[]): GapGroup => ({ key: gaps, find: () => gaps })

/** Chunks that are parked of parts of which nothing is in a file: Kafka has them, no file does. */
function gapsOfUnseen(state: SessionState, awaited: Awaited): readonly Gap[] {
  const { parked = [] } = state
  if (parked.length === 0) return []
  const unseen = new Set(unseenParts(state).map(({ track, part }) => `${track} ${part}`))
  const openness = awaited === 'nothing' ? 'confirmed' : 'open'
  return parked
    .filter(({ track, part }) => unseen.has(`${track} ${part}`))
    .map((chunks) => ({ ...chunks, startMs: null, endMs: null, kind: 'lost', state: openness, cause: 'unwritable' }))
}

type Parts = readonly KnownPart[]

function gapsOfSegment(track: string, parts: Parts, awaited: Awaited, givenUpCause: string): readonly Gap[] {
  const known = gapsOfSegments.get(parts)
  if (known !== undefined && known.awaited === awaited && known.givenUpCause === givenUpCause) return known.gaps
  const gaps: Gap[] = []
  for (const part of parts) {
    for (const gap of gapsOf(part, awaited, givenUpCause)) gaps.push({ track, part: part.part, ...gap })
  }
  gapsOfSegments.set(parts, { awaited, givenUpCause, gaps })
  return gaps
}

interface FoundGaps<G> {
  readonly awaited: Awaited
  readonly givenUpCause: string
  readonly gaps: readonly G[]
}
/** What was found last of each segment and each part: most of them ended long ago, and their gaps with them. */
const gapsOfSegments = new WeakMap<readonly KnownPart[], FoundGaps<Gap>>()
const gapsOfParts = new WeakMap<KnownPart, FoundGaps<PartGap>>()

/** The gaps of one part. `confirmed` means: by all that was declared, this will not come any more. */
function gapsOf(part: KnownPart, awaited: Awaited, givenUpCause: string): readonly PartGap[] {
  const known = gapsOfParts.get(part)
  if (known !== undefined && known.awaited === awaited && known.givenUpCause === givenUpCause) return known.gaps
  const gaps = findGaps(part, awaited, givenUpCause)
  gapsOfParts.set(part, { awaited, givenUpCause, gaps })
  return gaps
}

function findGaps(part: KnownPart, awaited: Awaited, givenUpCause: string): PartGap[] {
  if (part.rejected !== null) {
    const to = Math.max(0, knownChunks(part) - 1)
    return [{ from: 0, to, startMs: null, endMs: null, kind: 'undecodable', state: 'confirmed', cause: part.rejected.code }]
  }
  const lost = lostGaps(part, awaited, givenUpCause)
  return [...lost, ...undecodableGaps(part, lost, awaited)].sort((a, b) => a.from - b.from)
}

function lostGaps(part: KnownPart, awaited: Awaited, givenUpCause: string): PartGap[] {
  const missing = part.missing.toSorted((a, b) => a.from - b.from)
  const gaps: PartGap[] = []
  let holes: Ranges = holesOf(part)
  for (const cause of MISSING_CAUSES) {
    const ranges = missingFor(part, (other) => other === cause)
    // What was acknowledged and is nowhere when nothing is waited for any more is a loss of ours.
    add(intersectRanges(holes, ranges), isInKafka(cause) && awaited !== 'nothing' ? 'open' : 'confirmed', cause)
    holes = subtractRanges(holes, ranges)
  }
  if (awaited === 'all') add(holes, 'open', null)
  else add(holes, 'confirmed', givenUpCause)
  return joined(gaps.sort((a, b) => a.from - b.from))

  function add(ranges: Ranges, state: GapState['state'], cause: string | null): void {
    for (const [from, to] of ranges) {
      const timed = spansTouching(missing, from, to)[0]
      // Behind all that is here it begins where that ends, also where no length was declared.
      const startMs = timed?.startMs ?? (from >= endOf(part.stored) ? part.endMs : null)
      gaps.push({ from, to, startMs, endMs: timed?.endMs ?? null, kind: 'lost', state, cause })
    }
  }
}

/**
 * Open while a hole beside it may still be filled and mend it, or the part's beginning, without which nothing can be decoded:
 * chunk 0, the rest of its header, or its opening.
 */
function undecodableGaps(part: KnownPart, lost: readonly PartGap[], awaited: Awaited): PartGap[] {
  const holes = holesOf(part)
  const begins = awaited === 'all' && part.startMs === null && part.closed === null
  const awaitsBeginning = begins || (lost[0]?.from === 0 && lost[0].state === 'open')
  return part.undecodable.flatMap(({ from, to, startMs, endMs, cause: known }) =>
    subtractRanges([[from, to]], holes).map(([first, last]): PartGap => {
      const beside = spansTouching(lost, first - 1, last + 1)
      // What is wrong with the content itself is mended by no hole that is filled.
      const isOpen = awaitsBeginning || (known === undefined && beside.some((hole) => hole.state === 'open'))
      const cause = isOpen ? null : (known ?? beside[0]?.cause ?? 'broken-content')
      return { from: first, to: last, startMs, endMs, kind: 'undecodable', state: isOpen ? 'open' : 'confirmed', cause }
    }),
  )
}

function joined(gaps: readonly PartGap[]): PartGap[] {
  const all: PartGap[] = []
  for (const gap of gaps) {
    const last = all.at(-1)
    const alike = last !== undefined && last.to + 1 === gap.from && isEqual({ ...last, from: 0, to: 0 }, { ...gap, from: 0, to: 0 })
    if (alike) last.to = gap.to
    else all.push({ ...gap })
  }
  return all
}

/** Chunks in the gaps of one part; times in which nothing was recorded are no chunks. */
export function gapRanges(gaps: readonly GapState[], state?: GapState['state']): SeqRange[] {
  const chunks = gaps.filter((gap) => gap.kind !== 'not-recorded' && (state === undefined || gap.state === state))
  return toRanges(chunks.map(({ from, to }) => [from, to]))
}
