import type { EventOf, SessionState } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { epochMs } from './time.ts'

const REPORTS_KEPT = 50
/** Pauses are kept beside the others: what was not recorded in one is no gap, however many there are. */
const PAUSES_KEPT = 200
type Report = SessionState['reports'][number]

/** Reports that explain why a part ended and another began later. */
const EXPLAINING: readonly string[] = ['device-lost', 'slept', 'frozen', 'paused', 'muted', 'quota', 'recorder-failed', 'page-closed', 'discarded', 'stalled']
const isPause = ({ event }: Report): boolean => event === 'paused' || event === 'resumed'
export const explainsGap = ({ event }: Report): boolean => EXPLAINING.includes(event)

/**
 * Adds a report. Reports are ordered by the client's own time, oldest first. A repeated one counts once: by its id,
 * since another connection may correct its time differently. Above the limit the oldest reports that explain no gap are
 * dropped first.
 */
export function reported(reports: readonly Report[], { client, report, reportedAt }: EventOf<'client-reported'>): readonly Report[] {
  const { event, track, detail, id } = report
  const entry: Report = { client, event, track, detail, at: reportedAt, ...(id === undefined ? {} : { id }) }
  if (reports.some((known) => (id !== undefined && known.id === id) || isEqual(known, entry))) return reports
  const all = [...reports, entry].sort((a, b) => epochMs(a.at) - epochMs(b.at) || (key(a) < key(b) ? -1 : 1))
  const alike = all.filter((one) => isPause(one) === isPause(entry))
  if (alike.length <= (isPause(entry) ? PAUSES_KEPT : REPORTS_KEPT)) return all
  const dropped = (isPause(entry) ? undefined : alike.find((one) => !explainsGap(one))) ?? alike[0]
  return all.filter((one) => one !== dropped)
}

const key = ({ client, event, track, detail }: Report): string => JSON.stringify([client, event, track, detail])
