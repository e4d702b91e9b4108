/** What of a `MediaStreamTrack` decides what is recorded of it. */
export interface SourceLook {
  id: string
  kind: string
  live: boolean
  muted: boolean
  /** What its pictures or sound are like, as one comparable text; empty while that is not known. */
  shape: string
}

/** So young a part is not followed by another only because its pictures changed: a window that is being dragged bigger changes all the time. */
export const YOUNGEST_PART_MS = 5000

/**
 * What can be recorded. A muted camera gives no frames, and Chrome then holds back the sound of the same recorder in
 * memory until the camera is back: so the sound is recorded without it. A muted microphone gives silence.
 */
export function recordable(sources: readonly SourceLook[]): SourceLook[] {
  const live = sources.filter((source) => source.live)
  const hasSound = live.some(({ kind }) => kind === 'audio')
  return live.filter(({ kind, muted }) => !(kind === 'video' && muted && hasSound))
}

export interface Comparison {
  /** What the current part was begun with. */
  recorded: readonly SourceLook[]
  /** What was to be recorded at the look before. */
  wantedBefore: readonly SourceLook[]
  /** What is to be recorded now. */
  wanted: readonly SourceLook[]
  /** All sources now. */
  now: readonly SourceLook[]
  partAgeMs: number
}

/** Whether another part must begin: at once where a source is gone, else when a change has lasted from one look to the next. */
export function needsNextPart({ recorded, wantedBefore, wanted, now, partAgeMs }: Comparison): boolean {
  if (isGone(recorded, now)) return true
  return partAgeMs >= YOUNGEST_PART_MS && isSame(wantedBefore, wanted) && !isSame(recorded, wanted)
}

/** What a source turned into since the part was begun; undefined if none did. */
export function describeChange(recorded: readonly SourceLook[], now: readonly SourceLook[]): string | undefined {
  const changed = now.find((source) => recorded.some((before) => before.id === source.id && !isAlike(before, source)))
  const before = recorded.find(({ id }) => id === changed?.id)
  return changed === undefined ? undefined : `${changed.kind}: ${before?.shape} → ${changed.shape}`
}

const isGone = (recorded: readonly SourceLook[], now: readonly SourceLook[]): boolean =>
  recorded.some(({ id }) => now.find((source) => source.id === id)?.live !== true)

const isSame = (some: readonly SourceLook[], others: readonly SourceLook[]): boolean =>
  some.length === others.length && some.every((source, i) => others[i]?.id === source.id && isAlike(source, others[i]))

const isAlike = (a: SourceLook, b: SourceLook): boolean => a.shape === b.shape || a.shape === '' || b.shape === ''
