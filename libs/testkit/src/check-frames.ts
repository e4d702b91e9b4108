import type { Alignment, Item } from './alignment.ts'
import { equalBytes } from './bytes.ts'
import type { FindingCode, Findings } from './findings.ts'
import type { FileFrame, FinishedFile } from './finished-file.ts'
import type { SourceFrame } from './recorder-output.ts'

export interface ExpectedFrame extends Item {
  source: SourceFrame
  part: string
}

export interface PlacedPart {
  part: string
  startedAt: string
  /** By how much its frames are moved in the file; null when none of them is there. */
  shift: number | null
}

/** A part begins where the clock says, give or take this. */
const WALL_CLOCK_TOLERANCE_MS = 100
/** Where a part may not begin before the end of the one ahead: how long the last frame there may last. */
const LONGEST_LAST_FRAME_MS = 1_000

/**
 * A part may begin so much before the end of the one ahead: frames of both are then squeezed together there, so that times
 * keep rising and no part is pushed behind the clock.
 */
export const MAX_OVERLAP_MS = 250

/** Takes frames at another time for right where they are squeezed at a small overlap of two parts. `parts` in file order. */
export function acceptSqueezed(parts: readonly PlacedPart[], expected: readonly ExpectedFrame[], actual: readonly Item[], aligned: Alignment): void {
  const frames = Map.groupBy(expected, ({ part }) => part)
  const spans = parts.flatMap(({ part }) => {
    let [startMs, endMs] = [Infinity, -Infinity]
    // Hours have more frames than a call may have arguments.
    for (const { timeMs } of frames.get(part) ?? []) [startMs, endMs] = [Math.min(startMs, timeMs), Math.max(endMs, timeMs)]
    return startMs === Infinity ? [] : [{ startMs, endMs }]
  })
  const overlaps = spans.flatMap(({ startMs }, i) => {
    const before = spans[i - 1]
    return before !== undefined && before.endMs >= startMs && before.endMs - startMs <= MAX_OVERLAP_MS ? [{ fromMs: startMs - MAX_OVERLAP_MS, toMs: before.endMs + MAX_OVERLAP_MS }] : []
  })
  const isSqueezed = ([e, a]: [number, number]): boolean => {
    const { timeMs } = expected[e] as ExpectedFrame
    return Math.abs((actual[a] as Item).timeMs - timeMs) <= MAX_OVERLAP_MS && overlaps.some(({ fromMs, toMs }) => fromMs <= timeMs && timeMs <= toMs)
  }
  for (const pair of aligned.retimed) if (isSqueezed(pair)) aligned.matched.push(pair)
  aligned.retimed = aligned.retimed.filter((pair) => !isSqueezed(pair))
}

/** What the comparison of file and recording shows, frame by frame. */
export function checkFrames(file: FinishedFile, expected: readonly ExpectedFrame[], aligned: Alignment, findings: Findings): void {
  const ofSource = (code: FindingCode, indexes: readonly number[], what: string): void => {
    for (const group of inARow(indexes)) {
      const first = expected[group[0] as number] as ExpectedFrame
      findings.add(code, `${describe(first)}${more(group)} ${what}`, { count: group.length, part: first.part, chunks: first.source.chunks })
    }
  }
  const ofFile = (code: FindingCode, indexes: readonly number[], what: string): void => {
    for (const group of inARow(indexes)) {
      const first = file.frames[group[0] as number] as FileFrame
      findings.add(code, `the ${first.kind} frame at ${seconds(first.timeMs)} (offset ${first.at})${more(group)} ${what}`, { count: group.length, at: first.at })
    }
  }
  const groups = inARow(aligned.missing)
  const tail = groups.at(-1)?.at(-1) === expected.length - 1 ? (groups.pop() ?? []) : []
  ofSource('frame-missing', groups.flat(), 'is not in the file')
  ofSource('tail-missing', tail, 'and all behind it is not in the file')
  ofSource('frame-order', sorted(aligned.moved.map(([e]) => e)), 'is at another place in the file')
  ofSource('frame-bytes', sorted(aligned.changed.map(([e]) => e)), 'has other bytes in the file')
  ofSource('frame-time', sorted(aligned.retimed.map(([e]) => e)), 'is at another time in the file')
  ofFile('frame-duplicated', aligned.repeated, 'is there more often than it was recorded')
  ofFile('frame-unknown', aligned.unknown, 'was never recorded')

  const origin = new Map([...aligned.matched, ...aligned.retimed].map(([e, a]) => [a, expected[e] as ExpectedFrame]))
  ofFile('key-flag', where(file.frames, origin, isKeyOtherwise), 'has the wrong keyframe flag')
  ofFile('frame-additions', where(file.frames, origin, (frame, { source }) => !equalBytes(frame.additions, source.additions)), 'has other additions than recorded')
  ofFile('time-backwards', notRising(file, origin), 'is not later than the one of its track before it')
}

/** Audio frames are all keyframes, whatever the recorder said: Firefox leaves their flag off. */
function isKeyOtherwise(frame: FileFrame, { source }: ExpectedFrame): boolean {
  return frame.key !== (source.kind === 'audio' || source.key)
}

function where(frames: readonly FileFrame[], origin: Map<number, ExpectedFrame>, wrong: (frame: FileFrame, expected: ExpectedFrame) => boolean): number[] {
  return sorted([...origin].filter(([a, expected]) => wrong(frames[a] as FileFrame, expected)).map(([a]) => a))
}

/** Frames whose time does not rise as it did in the recording; frames that have no origin there may at least not go back. */
function notRising(file: FinishedFile, origin: Map<number, ExpectedFrame>): number[] {
  const before = new Map<number, number>()
  const wrong: number[] = []
  for (const [a, frame] of file.frames.entries()) {
    const last = before.get(frame.track)
    before.set(frame.track, a)
    if (last === undefined) continue
    const rise = frame.timeMs - (file.frames[last] as FileFrame).timeMs
    const [one, other] = [origin.get(last), origin.get(a)]
    if (one === undefined || other === undefined) {
      if (rise < 0) wrong.push(a)
    } else {
      const recorded = one.part === other.part ? other.source.timeMs - one.source.timeMs : 1
      if (recorded > 0 ? rise <= 0 : recorded === 0 && rise < 0) wrong.push(a)
    }
  }
  return wrong
}

/** When media time 0 was: a recorder that died before its first whole frame may have set it. */
function beginningOf([earliest]: readonly PlacedPart[], first: PlacedPart): number {
  const leadMs = Date.parse(first.startedAt) - Date.parse((earliest ?? first).startedAt)
  return Date.parse(first.startedAt) - (Math.abs((first.shift ?? 0) - leadMs) <= WALL_CLOCK_TOLERANCE_MS ? leadMs : 0)
}

/**
 * That each part begins as long after the first as it was started after it, but never before the end of what is ahead
 * of it. `parts` in the order of their starts.
 * @param zeroMs when media time 0 was, ms since the epoch; null where the first part or its first frame set it
 */
export function checkOffsets(parts: readonly PlacedPart[], expected: readonly ExpectedFrame[], zeroMs: number | null, findings: Findings): void {
  const placed = parts.filter(({ shift }) => shift !== null)
  const [first] = placed
  if (first === undefined) return
  const frames = Map.groupBy(expected, ({ part }) => part)
  const beginning = zeroMs ?? beginningOf(parts, first)
  let aheadMs = Number.NEGATIVE_INFINITY
  for (const one of placed) {
    const { part, shift, startedAt } = one
    const times = (frames.get(part) ?? []).map(({ source }) => source.timeMs)
    const firstMs = times.reduce((least, timeMs) => Math.min(least, timeMs), Number.POSITIVE_INFINITY)
    const wallMs = Date.parse(startedAt) - beginning
    // Media time 0 of the file may be the start of the first recorder or its first frame.
    const startMs = zeroMs === null && one === first && Math.abs(firstMs + (shift as number)) <= 1 ? 0 : (shift as number)
    const earliest = aheadMs - firstMs - wallMs <= MAX_OVERLAP_MS ? wallMs : aheadMs - firstMs
    const latest = Math.max(wallMs, aheadMs + LONGEST_LAST_FRAME_MS - firstMs)
    if (startMs < earliest - WALL_CLOCK_TOLERANCE_MS || startMs > latest + WALL_CLOCK_TOLERANCE_MS) {
      findings.add('part-offset', `part ${part} was started ${seconds(wallMs)} after the first one; in the file it starts at ${seconds(startMs)}`, { part })
    }
    aheadMs = times.reduce((latestMs, timeMs) => Math.max(latestMs, timeMs), Number.NEGATIVE_INFINITY) + (shift as number)
  }
}

function describe({ part, source }: ExpectedFrame): string {
  const [from, to] = source.chunks
  return `the ${source.kind} frame at ${seconds(source.timeMs)} of part ${part} (chunk ${from === to ? from : `${from}–${to}`})`
}

function more(group: readonly number[]): string {
  return group.length > 1 ? ` and ${group.length - 1} more` : ''
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`
}

function sorted(indexes: readonly number[]): number[] {
  return indexes.toSorted((a, b) => a - b)
}

function inARow(indexes: readonly number[]): number[][] {
  const groups: number[][] = []
  for (const index of indexes) {
    const last = groups.at(-1)
    if (last !== undefined && last.at(-1) === index - 1) last.push(index)
    else groups.push([index])
  }
  return groups
}
