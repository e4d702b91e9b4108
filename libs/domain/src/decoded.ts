import type { EventOf, FileState, PartState, SessionState, TimedRange, UndecodableSpan } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { countOf } from './ranges.ts'

type Decoded = NonNullable<SessionState['decoded']>

/** Cause of gaps that a decoder found. */
export const DECODER_ERRORS = 'decoder-errors'

/**
 * Folds in what decoding a sealed file found. Of one commit the first account stands: decoders differ, and a version
 * that is published does not change with them. What an earlier commit had stands until the later one is decoded, so
 * that no gap vanishes and comes back only because other chunks arrived.
 */
export function fileDecoded(
  decoded: Decoded | undefined,
  { track, file, commit, coverage, undecodable }: EventOf<'file-decoded'>,
): Decoded {
  const known = decoded?.find((one) => one.track === track && one.file === file)
  if (decoded !== undefined && known !== undefined && known.commit >= commit.number) return decoded
  const others = (decoded ?? []).filter((one) => one !== known)
  return [...others, { track, file, commit: commit.number, coverage, undecodable }].sort(
    (a, b) => compare(a.track, b.track) || a.file - b.file,
  )
}

/** Whether the two make the same gaps. */
export const areSameSpans = (a: Decoded | undefined, b: Decoded): boolean => isEqual(withSpans(a ?? []), withSpans(b))

const withSpans = (decoded: Decoded): unknown[] =>
  decoded
    .filter(({ undecodable }) => undecodable.length > 0)
    .map(({ track, file, undecodable }) => ({ track, file, undecodable }))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * What a decoder does not show, by part. Each span goes to the parts that it touches; their chunks are estimated from
 * the times, since where a chunk begins is known of no file.
 * @param files of one track
 * @param decoded of the same track
 */
export function spansOfParts(
  files: readonly FileState[],
  decoded: Decoded,
): ReadonlyMap<string, readonly TimedRange[]> {
  const found = new Map<string, TimedRange[]>()
  for (const { file: number, undecodable } of decoded) {
    const file = files.find((one) => one.file === number)
    if (file === undefined || undecodable.length === 0) continue
    const parts = placedParts(file)
    for (const span of joinedSpans(undecodable)) {
      for (const [placed, startMs, endMs] of partsUnder(parts, span)) {
        const ranges = found.get(placed.part.part) ?? []
        ranges.push({ ...chunksBetween(placed, startMs, endMs), startMs, endMs, cause: DECODER_ERRORS })
        found.set(placed.part.part, ranges)
      }
    }
  }
  return found
}

interface Placed {
  readonly part: PartState
  readonly startMs: number
  readonly endMs: number
}
type Times = Pick<UndecodableSpan, 'startMs' | 'endMs'>

function placedParts({ parts, durationMs }: FileState): Placed[] {
  const placed = parts.flatMap((part) => {
    if (part.startMs === null || countOf(part.stored) === 0) return []
    return [{ part, startMs: part.startMs, endMs: Math.max(part.startMs, part.endMs ?? durationMs) }]
  })
  return placed.sort((a, b) => a.startMs - b.startMs)
}

/** Sound and picture that are missing at the same time are one gap. */
function joinedSpans(spans: readonly UndecodableSpan[]): Times[] {
  const joined: { startMs: number; endMs: number }[] = []
  for (const { startMs, endMs } of spans.toSorted((a, b) => a.startMs - b.startMs)) {
    const last = joined.at(-1)
    if (last !== undefined && startMs <= last.endMs) last.endMs = Math.max(last.endMs, endMs)
    else joined.push({ startMs, endMs })
  }
  return joined
}

/** The parts that have media in the span, each with its share of it; where none has, the one before. */
function partsUnder(parts: readonly Placed[], { startMs, endMs }: Times): (readonly [Placed, number, number])[] {
  const touched = parts.filter((part) => part.startMs < endMs && part.endMs > startMs)
  if (touched.length > 0)
    return touched.map((part) => [part, Math.max(startMs, part.startMs), Math.min(endMs, part.endMs)] as const)
  const nearest = parts.findLast((part) => part.startMs <= startMs) ?? parts[0]
  return nearest === undefined ? [] : [[nearest, startMs, endMs]]
}

/** As if every stored chunk were of one length. */
function chunksBetween(
  { part: { stored }, startMs: zero, endMs: end }: Placed,
  startMs: number,
  endMs: number,
): { from: number; to: number } {
  const count = countOf(stored)
  const indexAt = (ms: number): number => (end > zero ? ((ms - zero) / (end - zero)) * count : 0)
  const first = Math.min(count - 1, Math.max(0, Math.floor(indexAt(startMs))))
  const last = Math.min(count - 1, Math.max(first, Math.ceil(indexAt(endMs)) - 1))
  return { from: seqAt(stored, first), to: seqAt(stored, last) }
}

/** The seq of the stored chunk that has `index` stored ones before it. */
function seqAt(stored: PartState['stored'], index: number): number {
  let before = 0
  for (const [from, to] of stored) {
    if (index < before + to - from + 1) return from + index - before
    before += to - from + 1
  }
  throw new RangeError(`a part with ${before} stored chunks has none of index ${index}`)
}
