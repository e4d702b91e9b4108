/** A part with media, as it stands in a file. */
export interface Span {
  readonly part: string
  /** When its recorder started, ms since the epoch. */
  readonly startedAtMs: number
  /** File time of its first and behind its last frame. */
  readonly startMs: number
  readonly endMs: number
}

export interface TimelineLimits {
  /** How far a part may be pushed behind its wall-clock start before it counts as overlapping; clocks are this exact. */
  readonly toleranceMs: number
  /**
   * So much a part may begin before the end of the one ahead, whose last frames are squeezed together then. A recorder that
   * follows another at once overlaps it by a frame or two; if each of a thousand parts were pushed behind the one ahead, the
   * last would stand half a minute behind the clock.
   */
  readonly maxOverlapMs: number
  /** A longer silence between two parts makes two files: nobody scrubs through half a day of nothing. */
  readonly maxGapMs: number
}

export const TIMELINE_LIMITS: TimelineLimits = { toleranceMs: 2_000, maxOverlapMs: 250, maxGapMs: 4 * 3_600_000 }

/** Parts stand in the order in which their recorders started; the id decides where that is equal. */
export const byStart = (a: Pick<Span, 'part' | 'startedAtMs'>, b: Pick<Span, 'part' | 'startedAtMs'>): number =>
  a.startedAtMs - b.startedAtMs || (a.part < b.part ? -1 : 1)

/** Where a part begins in a file, and how far all others must move for it when it is earlier than the file's beginning. */
export interface FoundPlace {
  readonly offsetMs: number
  readonly shiftMs: number
}

/**
 * Where in a file a part begins: at its wall-clock start, unless that is well before the end of what is ahead of it: then there.
 * Null when it does not fit: it would overlap, or lie hours apart from its neighbour.
 * @param spans of the file, in order
 * @param zeroAtMs when media time 0 of the file was
 * @param part with its length as far as that is known
 */
export function placeInFile(
  spans: readonly Span[],
  zeroAtMs: number,
  part: { readonly part: string; readonly startedAtMs: number; readonly lengthMs: number },
  limits: TimelineLimits = TIMELINE_LIMITS,
): FoundPlace | null {
  const before = spans.filter((span) => byStart(span, part) < 0).at(-1)
  const after = spans.find((span) => byStart(span, part) > 0)
  const shiftMs = before === undefined ? Math.max(0, zeroAtMs - part.startedAtMs) : 0
  const wallMs = part.startedAtMs + shiftMs - zeroAtMs
  const aheadMs = before?.endMs ?? 0
  const offsetMs = aheadMs - wallMs <= limits.maxOverlapMs ? Math.max(0, wallMs) : aheadMs
  const endMs = offsetMs + part.lengthMs
  if (offsetMs - wallMs > limits.toleranceMs) return null
  if (before !== undefined && offsetMs - before.endMs > limits.maxGapMs) return null
  if (after !== undefined && endMs > after.startMs + shiftMs + limits.toleranceMs) return null
  if (after !== undefined && after.startMs + shiftMs - endMs > limits.maxGapMs) return null
  return { offsetMs, shiftMs }
}

/** A part that must move, and the one ahead that it must make room for. */
export interface Move {
  readonly part: string
  readonly deltaMs: number
  readonly ahead: string
}

/** By how much each part must move so that none begins before the end of the one ahead of it; only those that overlap it by more than `maxOverlapMs`. */
export function makeRoom(spans: readonly Span[], maxOverlapMs = 0): Move[] {
  const moves: Move[] = []
  let endMs = 0
  let ahead = ''
  for (const span of spans) {
    const overlapMs = endMs - span.startMs
    const deltaMs = overlapMs > maxOverlapMs ? overlapMs : 0
    if (deltaMs > 0) moves.push({ part: span.part, deltaMs, ahead })
    if (span.endMs + deltaMs < endMs) continue
    endMs = span.endMs + deltaMs
    ahead = span.part
  }
  return moves
}
