import type { EventOf, SessionState } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { epochMs } from './time.ts'

const REPORTS_KEPT = 50
type Report = SessionState['reports'][number]

/** The newest reports by the client's own time, oldest first; the same one twice counts once. */
export function reported(reports: readonly Report[], { client, report, reportedAt }: EventOf<'client-reported'>): readonly Report[] {
  const { event, track, detail } = report
  const entry: Report = { client, event, track, detail, at: reportedAt }
  if (reports.some((known) => isEqual(known, entry))) return reports
  return [...reports, entry].sort((a, b) => epochMs(a.at) - epochMs(b.at) || (key(a) < key(b) ? -1 : 1)).slice(-REPORTS_KEPT)
}

const key = ({ client, event, track, detail }: Report): string => JSON.stringify([client, event, track, detail])
