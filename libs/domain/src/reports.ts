import type { EventOf, SessionState } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { epochMs } from './time.ts'

const REPORTS_KEPT = 50
type Report = SessionState['reports'][number]

/** Reports that explain why a part ended and another began later. */
const EXPLAINING: readonly string[] = ['device-lost', 'slept', 'frozen', 'paused', 'muted', 'quota', 'recorder-failed', 'page-closed']
export const explainsGap = ({ event }: Report): boolean => EXPLAINING.includes(event)

/** Reports by the client's own time, oldest first; the same one twice counts once. Too many, the oldest that explain no gap go first. */
export function reported(reports: readonly Report[], { client, report, reportedAt }: EventOf<'client-reported'>): readonly Report[] {
  const { event, track, detail } = report
  const entry: Report = { client, event, track, detail, at: reportedAt }
  if (reports.some((known) => isEqual(known, entry))) return reports
  const all = [...reports, entry].sort((a, b) => epochMs(a.at) - epochMs(b.at) || (key(a) < key(b) ? -1 : 1))
  return all.length <= REPORTS_KEPT ? all : all.toSpliced(Math.max(0, all.findIndex((one) => !explainsGap(one))), 1)
}

const key = ({ client, event, track, detail }: Report): string => JSON.stringify([client, event, track, detail])
