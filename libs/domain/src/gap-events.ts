import type { GapState, RecordingEvent, SeqRange } from '@longtake/contracts'
import { differingGaps } from './dated-gaps.ts'
import { gapRanges } from './gaps.ts'
import { subtractRanges } from './ranges.ts'
import { grouped } from './spans.ts'
import { instantOf } from './time.ts'

/**
 * What to tell about chunks that came into gaps, left them, or are confirmed missing now. Of chunks, not of gaps: one
 * that merely shrank closes for the chunks that came. The kind makes no difference here.
 */
export function gapEvents(session: string, before: readonly GapState[], after: readonly GapState[], now: number): RecordingEvent[] {
  if (before === after) return []
  const at = instantOf(now)
  const [left, come] = differingGaps(before, after)
  const old = grouped(left, trackAndPart)
  const current = grouped(come, trackAndPart)
  return [...new Set([...old.keys(), ...current.keys()])].flatMap((key) => changesOf(old.get(key) ?? [], current.get(key) ?? []))

  function changesOf(was: readonly GapState[], is: readonly GapState[]): RecordingEvent[] {
    const { track, part } = (is[0] ?? was[0])!
    const told = <T extends string>(type: T) => ([from, to]: SeqRange) => ({ type, session, at, track, part, from, to })
    const confirmedBefore = gapRanges(was, 'confirmed')
    const confirmed = is.filter((gap) => gap.kind !== 'not-recorded' && gap.state === 'confirmed')
    return [
      ...subtractRanges(gapRanges(was), gapRanges(is)).map(told('gap-closed')),
      ...subtractRanges(gapRanges(is, 'open'), gapRanges(was, 'open')).map(told('gap-opened')),
      ...confirmed.flatMap((gap) =>
        subtractRanges([[gap.from, gap.to]], confirmedBefore).map((range) => ({ ...told('gap-confirmed')(range), cause: gap.cause ?? 'unknown' })),
      ),
    ]
  }
}

const trackAndPart = ({ track, part }: GapState): string => `${track} ${part}`
