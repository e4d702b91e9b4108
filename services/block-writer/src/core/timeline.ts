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
  /** A longer silence between two parts makes two files: nobody scrubs through half a day of nothing. */
  readonly maxGapMs: number
}

export const TIMELINE_LIMITS: TimelineLimits = { toleranceMs: 2_000, maxGapMs: 4 * 3_600_000 }

/** Parts stand in the order in which their recorders started; the id decides where that is equal. */
export const byStart = (a: Pick<Span, 'part' | 'startedAtMs'>, b: Pick<Span, 'part' | 'startedAtMs'>): number =>
  a.startedAtMs - b.startedAtMs || (a.part < b.part ? -1 : 1)

/** Where a part begins in a file, and how far all others must move for it when it is earlier than the file's beginning. */
export interface FoundPlace {
  readonly offsetMs: number
  readonly shiftMs: number
}

/**
 * Where in a file a part begins: at its wall-clock start, never before the end of what is ahead of it.
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
  const offsetMs = Math.max(wallMs, before?.endMs ?? 0)
  const endMs = offsetMs + part.lengthMs
  if (offsetMs - wallMs > limits.toleranceMs) return null
  if (before !== undefined && offsetMs - before.endMs > limits.maxGapMs) return null
  if (after !== undefined && endMs > after.startMs + shiftMs + limits.toleranceMs) return null
  if (after !== undefined && after.startMs + shiftMs - endMs > limits.maxGapMs) return null
  return { offsetMs, shiftMs }
}

/** By how much each part must move so that none begins before the end of the one ahead of it; only those that must. */
export function makeRoom(spans: readonly Span[]): { part: string; deltaMs: number }[] {
  const moves: { part: string; deltaMs: number }[] = []
  let endMs = 0
  for (const span of spans) {
    const deltaMs = Math.max(0, endMs - span.startMs)
    if (deltaMs > 0) moves.push({ part: span.part, deltaMs })
    endMs = Math.max(endMs, span.endMs + deltaMs)
  }
  return moves
}
