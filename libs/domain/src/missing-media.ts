import type { PartState, SessionState } from '@longtake/contracts'
import { keyOf, type Causes, type Gap, type GapGroup } from './dated-gaps.ts'
import type { KnownPart } from './parts.ts'
import { remembered } from './remembered.ts'
import { explainsGap } from './reports.ts'
import { epochMs } from './time.ts'

type Reports = SessionState['reports']
type Unrecorded = NonNullable<PartState['unrecorded']>[number]

/** What is left of a shortfall beside the pauses of the recorder; block-writer reports none that is smaller. */
const WORTH_REPORTING_MS = 5_000
/** Clocks of reports and of chunks are this exact, and a chunk is captured up to a second after what is in it. */
const REPORT_TOLERANCE_MS = 2_000
/** Causes of what no report explains. */
const UNEXPLAINED = { clock: 'media-missing', sound: 'sound-missing' } as const

/**
 * Times within a segment's parts in which less was recorded than passed. A recorder that was paused recorded all that
 * it was to, so its pauses, where it reports them, are no gaps.
 */
export function missingMediaGaps(track: string, segment: readonly KnownPart[], reports: Reports): GapGroup {
  const parts = unrecordedIn(segment)
  if (parts.length === 0) return NO_GAPS
  const known = keysOfParts.get(parts)
  // Causes depend on the reports.
  const key = known?.reports === reports ? known.key : [reports]
  keysOfParts.set(parts, { reports, key })
  return { key, find: (causes) => findGaps(track, parts, reports, causes) }
}

const NO_GAPS: GapGroup = { key: [], find: () => [] }
/** Nearly all parts have none, and most of them ended long ago. */
const unrecordedIn = remembered((segment: readonly KnownPart[]) =>
  segment.filter(({ unrecorded = [] }) => unrecorded.length > 0),
)
const keysOfParts = new WeakMap<readonly KnownPart[], { readonly reports: Reports; readonly key: readonly unknown[] }>()

function findGaps(track: string, parts: readonly KnownPart[], reports: Reports, causes: Causes): Gap[] {
  const gaps: Gap[] = []
  for (const part of parts) {
    const own = reports.filter(
      (report) =>
        (report.track === null || report.track === track) && (part.client === null || report.client === part.client),
    )
    for (const { from, to, startMs, endMs, ...time } of part.unrecorded ?? []) {
      const missingMs = time.evidence === 'clock' ? time.missingMs - pausedMs(own, time) : time.missingMs
      if (time.evidence === 'clock' && missingMs < WORTH_REPORTING_MS) continue
      const gap: Gap = {
        track,
        part: part.part,
        from,
        to,
        startMs,
        endMs,
        kind: 'not-recorded',
        state: 'confirmed',
        cause: null,
        unrecorded: { ...time, missingMs },
      }
      const known = causes.get(keyOf(gap))
      const isKnown = known !== undefined && known !== null && known !== UNEXPLAINED[time.evidence]
      gaps.push({ ...gap, cause: isKnown ? known : (causeOf(own, time) ?? UNEXPLAINED[time.evidence]) })
    }
  }
  return gaps
}

/** How long the recorder was paused in that time. */
function pausedMs(reports: Reports, { startedAt, endedAt }: Pick<Unrecorded, 'startedAt' | 'endedAt'>): number {
  const [fromMs, toMs] = [epochMs(startedAt) - REPORT_TOLERANCE_MS, epochMs(endedAt) + REPORT_TOLERANCE_MS]
  const within = (ms: number): number => Math.min(toMs, Math.max(fromMs, ms))
  let sum = 0
  let pausedAt: number | null = null
  for (const { event, at } of reports) {
    if (event === 'paused') pausedAt ??= epochMs(at)
    if (event !== 'resumed' || pausedAt === null) continue
    sum += within(epochMs(at)) - within(pausedAt)
    pausedAt = null
  }
  // A pause whose end is not reported lasts until media comes again: one that began before this time is over.
  return pausedAt === null || pausedAt < fromMs ? sum : sum + toMs - within(pausedAt)
}

/** What was reported in that time; a pause explains no more than itself. */
function causeOf(
  reports: Reports,
  { startedAt, endedAt }: Pick<Unrecorded, 'startedAt' | 'endedAt'>,
): string | undefined {
  const [fromMs, toMs] = [epochMs(startedAt) - REPORT_TOLERANCE_MS, epochMs(endedAt) + REPORT_TOLERANCE_MS]
  return reports.find(
    (report) =>
      explainsGap(report) && report.event !== 'paused' && epochMs(report.at) >= fromMs && epochMs(report.at) <= toMs,
  )?.event
}
