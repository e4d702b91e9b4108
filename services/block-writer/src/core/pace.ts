/*
 * How far a part's media is behind the clock, which is bounded from both sides. It is no further behind at a chunk's capture than
 * the end of the chunk's frames; and at least as far as the next frame, since what is recorded after a chunk was captured comes in a
 * later one. What a part is behind once it stays behind, so the upper bound of a later chunk holds for all earlier ones: what only
 * comes late (a busy page, one giant chunk after a freeze) proves nothing. Nor does a picture that stands still, whose next frame
 * is as much later.
 */

/** A chunk with frames in it. */
export interface Sample {
  readonly seq: number
  /** When it was captured, ms since the part began. */
  readonly capturedMs: number
  /** Where its frames end, or when the next one is, ms of the part's own time. */
  readonly mediaMs: number
}

/** What is known of some chunks in a row. */
export interface Pace {
  readonly levels: readonly PaceLevel[]
  /** The last chunk, whose next frame is not known; its media time is where its frames end. */
  readonly last: (Sample & { readonly hasSound: boolean }) | null
}
export const NO_PACE: Pace = { levels: [], last: null }

/** How far the frames of one chunk reach, ms of the part's own time. */
export interface Reach {
  readonly firstMs: number
  readonly endMs: number
  /** Whether sound is in it that has no pauses. */
  readonly hasSound: boolean
}

/** Chunks in a row from which on the lag is never less. */
export interface PaceLevel {
  readonly lagMs: number
  readonly from: Sample
  readonly to: Sample
}

/** Time in which less media was recorded than passed. */
export interface Shortfall {
  /** The last chunk before it, and the first one behind it. */
  readonly before: Sample
  readonly behind: Sample
  readonly missingMs: number
}

/** Levels that differ by less are one: chunks of a second differ by so much because of where they are cut. */
const SAME_LEVEL_MS = 1_000
/** A recorder that goes on losing a thirtieth or more of what passes does so in one shortfall; a drift of clocks makes none. */
const JOINED_MS = 30_000
/**
 * Less is not reported. Recorded chunks of Chrome and Firefox are within a second of the clock, clocks of sound cards drift by
 * up to 100 ppm (1 s in 3 h), and recorders begin another part at a standstill of 5 s.
 */
const WORTH_REPORTING_MS = 5_000
/** Of one run of chunks; where there are more, the shortest make room, and where they were is known less exactly. */
const MAX_LEVELS = 32
/** What is captured this long before or after its media was is not: such clocks prove nothing. */
const MAX_LAG_MS = 4 * 3_600_000

/** The same with one more chunk, which is behind all others. */
export function withChunk({ levels, last }: Pace, { seq, capturedMs }: Pick<Sample, 'seq' | 'capturedMs'>, { firstMs, endMs, hasSound }: Reach): Pace {
  return { levels: last === null ? levels : withBounds(levels, last, firstMs), last: { seq, capturedMs, mediaMs: endMs, hasSound } }
}

/** Of two runs of chunks, one behind the other. */
export const joinedPace = (pace: Pace, behind: Pace): Pace => ({ levels: behind.levels.reduce(withLevel, pace.levels), last: behind.last ?? pace.last })

/** With what a chunk proves whose frames end at `mediaMs`. @param nextMs time of the next frame; Infinity where there is none */
function withBounds(levels: readonly PaceLevel[], { seq, capturedMs, mediaMs }: Sample, nextMs: number): readonly PaceLevel[] {
  const ended = { seq, capturedMs, mediaMs }
  const [atLeastMs, atMostMs] = [capturedMs - nextMs, capturedMs - mediaMs]
  const last = levels.at(-1)
  if (!(Math.abs(atMostMs) <= MAX_LAG_MS)) return levels
  if (last === undefined || atMostMs < last.lagMs) return withLevel(levels, { lagMs: atMostMs, from: ended, to: ended })
  if (atLeastMs <= last.lagMs) return levels.with(levels.length - 1, { ...last, to: ended })
  const next = { ...ended, mediaMs: nextMs }
  return withLevel(levels, { lagMs: atLeastMs, from: next, to: next })
}

/** With what the last chunk proves, behind which only sound cannot stand still, and that only once nothing comes any more. */
function withLast({ levels, last }: Pace, isClosed: boolean): readonly PaceLevel[] {
  return last === null ? levels : withBounds(levels, last, isClosed && last.hasSound ? last.mediaMs : Infinity)
}

function withLevel(levels: readonly PaceLevel[], next: PaceLevel): readonly PaceLevel[] {
  let { from } = next
  let count = levels.length
  // Since the first of those that have fallen the lag was never less than it is now.
  for (; count > 0 && levels[count - 1]!.lagMs >= next.lagMs; count--) from = levels[count - 1]!.from
  const kept = levels.slice(0, count)
  const last = kept.at(-1)
  if (last !== undefined && next.lagMs <= last.lagMs + SAME_LEVEL_MS) kept[count - 1] = { ...last, to: next.to }
  else kept.push({ ...next, from })
  return kept.length <= MAX_LEVELS ? kept : withoutShortest(kept)
}

function withoutShortest(levels: readonly PaceLevel[]): readonly PaceLevel[] {
  let shortest = 1
  for (let i = 2; i < levels.length - 1; i++) if (lengthOf(levels[i]!) < lengthOf(levels[shortest]!)) shortest = i
  return levels.toSpliced(shortest, 1)
}

const lengthOf = ({ from, to }: PaceLevel): number => to.capturedMs - from.capturedMs

/** How much was not recorded up to a chunk, ms. */
export function missingBefore({ levels }: Pace, seq: number): number {
  const level = levels.findLast(({ from }) => from.seq < seq)
  return level === undefined ? 0 : level.lagMs - levels[0]!.lagMs
}

/**
 * Where less was recorded than passed, in order. What was late in the part's first chunk is not judged: nobody knows what came
 * between its declared start and its first frame.
 * @param isClosed nothing comes behind the last chunk
 */
export function shortfalls(pace: Pace, isClosed: boolean): Shortfall[] {
  const levels = withLast(pace, isClosed)
  const found: (Shortfall & { readonly level: PaceLevel })[] = []
  for (let i = 1; i < levels.length; i++) {
    const [ahead, level] = [levels[i - 1]!, levels[i]!]
    const missingMs = level.lagMs - ahead.lagMs
    const last = found.at(-1)
    if (last !== undefined && last.level === ahead && lengthOf(ahead) < JOINED_MS) found[found.length - 1] = { ...last, behind: level.from, missingMs: last.missingMs + missingMs, level }
    else found.push({ before: ahead.to, behind: level.from, missingMs, level })
  }
  return found.filter(({ missingMs }) => missingMs >= WORTH_REPORTING_MS).map(({ before, behind, missingMs }) => ({ before, behind, missingMs }))
}

/** The same where the media turned out to stand `byMs` later in the part. */
export function movedPace({ levels, last }: Pace, byMs: number): Pace {
  const moved = <S extends Sample>(sample: S): S => ({ ...sample, mediaMs: sample.mediaMs + byMs })
  return { levels: levels.map(({ lagMs, from, to }) => ({ lagMs: lagMs - byMs, from: moved(from), to: moved(to) })), last: last === null ? null : moved(last) }
}

type PackedSample = [seq: number, capturedMs: number, mediaMs: number]
/** As JSON for checkpoints, which hold one of each run of chunks. */
export interface PackedPace {
  readonly levels: readonly [lagMs: number, ...from: PackedSample, ...to: PackedSample][]
  readonly last: readonly [...sample: PackedSample, hasSound: 0 | 1] | null
}

export function packPace({ levels, last }: Pace): PackedPace {
  const packed = ({ seq, capturedMs, mediaMs }: Sample): PackedSample => [seq, capturedMs, mediaMs]
  return { levels: levels.map(({ lagMs, from, to }) => [lagMs, ...packed(from), ...packed(to)]), last: last === null ? null : [...packed(last), last.hasSound ? 1 : 0] }
}

export function unpackPace({ levels, last }: PackedPace): Pace {
  const unpacked = (seq: number, capturedMs: number, mediaMs: number): Sample => ({ seq, capturedMs, mediaMs })
  return {
    levels: levels.map(([lagMs, a, b, c, d, e, f]) => ({ lagMs, from: unpacked(a, b, c), to: unpacked(d, e, f) })),
    last: last === null ? null : { ...unpacked(last[0], last[1], last[2]), hasSound: last[3] === 1 },
  }
}

/** A time in which sound pauses, with the chunks that it ends in. */
export interface Silence {
  readonly from: number
  readonly to: number
  readonly startMs: number
  readonly endMs: number
  readonly missingMs: number
}

const MAX_SILENCES = 100

/** In order; where there are too many, the last ones as one. */
export function joinedSilences(silences: readonly Silence[]): readonly Silence[] {
  if (silences.length <= MAX_SILENCES) return silences
  const rest = silences.slice(MAX_SILENCES - 1)
  const [first, last] = [rest[0]!, rest.at(-1)!]
  return [...silences.slice(0, MAX_SILENCES - 1), { ...last, from: first.from, startMs: first.startMs, missingMs: rest.reduce((sum, { missingMs }) => sum + missingMs, 0) }]
}
