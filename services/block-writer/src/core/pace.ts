/*
 * How far a part's media is behind the clock. A chunk is captured when its last frame is, give or take: what that lag rises
 * by and never falls back from was not recorded. What only comes late (a busy page, a picture that stands still, one giant
 * chunk after a freeze) makes the lag rise for a while; only its least value over all later chunks counts.
 */

/** A chunk with frames in it. */
export interface Sample {
  readonly seq: number
  /** When it was captured, ms since the part began. */
  readonly capturedMs: number
  /** Where the media ends that came up to it, ms of the part's own time. */
  readonly mediaMs: number
  /** Whether sound is in it, which has no pauses. */
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
/** So much media behind it proves that a recorder without sound went on: a picture that stands still has no frames. */
const GOES_ON_MS = 2_000
/** Of one run of chunks; where there are more, the shortest make room, and where they were is known less exactly. */
const MAX_LEVELS = 32
/** What is captured this long before or after its media was is not: such clocks prove nothing. */
const MAX_LAG_MS = 4 * 3_600_000

/** The same levels with one more chunk, which is behind all others. */
export function withSample(levels: readonly PaceLevel[], sample: Sample): readonly PaceLevel[] {
  const lagMs = sample.capturedMs - sample.mediaMs
  return Math.abs(lagMs) <= MAX_LAG_MS ? withLevel(levels, { lagMs, from: sample, to: sample }) : levels
}

/** The levels of two runs of chunks, one behind the other. */
export const joinedLevels = (levels: readonly PaceLevel[], behind: readonly PaceLevel[]): readonly PaceLevel[] => behind.reduce(withLevel, levels)

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
export function missingBefore(levels: readonly PaceLevel[], seq: number): number {
  const level = levels.findLast(({ from }) => from.seq <= seq)
  return level === undefined ? 0 : level.lagMs - levels[0]!.lagMs
}

/**
 * Where less was recorded than passed, in order. What was late in the part's first chunk is not judged: nobody knows what came
 * between its declared start and its first frame.
 * @param isClosed nothing comes behind the last chunk
 */
export function shortfalls(levels: readonly PaceLevel[], isClosed: boolean): Shortfall[] {
  const endMs = levels.at(-1)?.to.mediaMs ?? 0
  const isProven = ({ from }: PaceLevel): boolean => endMs - from.mediaMs >= GOES_ON_MS || (isClosed && from.hasSound)
  const found: (Shortfall & { readonly level: PaceLevel })[] = []
  for (let i = 1; i <= levels.findLastIndex(isProven); i++) {
    const [ahead, level] = [levels[i - 1]!, levels[i]!]
    const missingMs = level.lagMs - ahead.lagMs
    const last = found.at(-1)
    if (last !== undefined && last.level === ahead && lengthOf(ahead) < JOINED_MS) found[found.length - 1] = { ...last, behind: level.from, missingMs: last.missingMs + missingMs, level }
    else found.push({ before: ahead.to, behind: level.from, missingMs, level })
  }
  return found.filter(({ missingMs }) => missingMs >= WORTH_REPORTING_MS).map(({ before, behind, missingMs }) => ({ before, behind, missingMs }))
}

/** The same levels where the media turned out to stand `byMs` later in the part. */
export function movedLevels(levels: readonly PaceLevel[], byMs: number): readonly PaceLevel[] {
  const moved = (sample: Sample): Sample => ({ ...sample, mediaMs: sample.mediaMs + byMs })
  return levels.map(({ lagMs, from, to }) => ({ lagMs: lagMs - byMs, from: moved(from), to: moved(to) }))
}

type PackedSample = [seq: number, capturedMs: number, mediaMs: number, hasSound: 0 | 1]
/** As JSON for checkpoints, which hold one or more of each run of chunks. */
export type PackedLevel = [lagMs: number, ...from: PackedSample, ...to: PackedSample]

export function packLevel({ lagMs, from, to }: PaceLevel): PackedLevel {
  const packed = ({ seq, capturedMs, mediaMs, hasSound }: Sample): PackedSample => [seq, capturedMs, mediaMs, hasSound ? 1 : 0]
  return [lagMs, ...packed(from), ...packed(to)]
}

export function unpackLevel([lagMs, ...samples]: PackedLevel): PaceLevel {
  const unpacked = ([seq, capturedMs, mediaMs, hasSound]: PackedSample): Sample => ({ seq, capturedMs, mediaMs, hasSound: hasSound === 1 })
  return { lagMs, from: unpacked(samples.slice(0, 4) as PackedSample), to: unpacked(samples.slice(4) as PackedSample) }
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
