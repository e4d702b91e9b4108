import { PARKED_REASONS, type ParkedReason } from '@longtake/contracts'
import { positionOf, summarize, type ParkedRecord, type Selection } from './backlog.ts'

/** What an operator reads: how many for which reason, the newest records, and what to do next. */
export function describeBacklog(chosen: readonly ParkedRecord[], { limit, selection }: { limit: number; selection: Selection }): string {
  if (chosen.length === 0) return 'Nothing is parked' + (isNarrow(selection) ? ' that fits.' : ': every record could be handled, or was sent back.')
  const shown = chosen.slice(-limit)
  const hidden = chosen.length - shown.length
  return [
    ...columns([
      ['REASON', 'RECORDS', 'SESSIONS', 'SIZE', 'NEWEST (UTC)', 'MEANS'],
      ...summarize(chosen).map(({ reason, records, sessions, bytes, newest }) => [reason, String(records), String(sessions), size(bytes), time(newest), helpFor(reason).means]),
    ]),
    '',
    ...recordLines(shown),
    ...(hidden > 0 ? [`… and ${hidden} older ${hidden === 1 ? 'one' : 'ones'}: --limit ${chosen.length}`] : []),
    '',
    'What to do:',
    ...summarize(chosen).map(({ reason }) => `  ${reason}: ${helpFor(reason).todo}`),
    '  then: npm run parked -- replay --reason <reason> --dry-run, and again without --dry-run',
  ].join('\n')
}

export function recordLines(records: readonly ParkedRecord[]): string[] {
  const rows = columns([
    ['PARKED', 'WHEN (UTC)', 'SESSION', 'WHAT', 'SIZE', 'REASON', 'READ FROM', 'BY'],
    ...records.map((record) => [positionOf(record), time(record.at), record.session, contentOf(record), size(record.bytes), record.reason, `${record.topic} ${record.partition}:${record.offset}`, record.group]),
  ])
  return rows.flatMap((row, i) => {
    const details = records[i - 1]?.details ?? ''
    return details === '' ? [row] : [row, `    ${printable(details)}`]
  })
}

/** The rest of a record's identity; parts are told apart by their first eight digits. */
function contentOf({ kind, track, part, seq }: ParkedRecord): string {
  return [kind, track, part?.slice(0, 8), seq === null ? null : `#${seq}`].filter(Boolean).join(' ')
}

function helpFor(reason: string): { means: string; todo: string } {
  const known = Object.hasOwn(PARKED_REASONS, reason) ? PARKED_REASONS[reason as ParkedReason] : undefined
  return known ?? { means: 'a reason of another version', todo: 'see the README of that version' }
}

const isNarrow = ({ session, reason, positions }: Selection): boolean => session !== undefined || reason !== undefined || positions.length > 0

const time = (iso: string): string => iso.slice(0, 19).replace('T', ' ')

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const clean = rows.map((row) => row.map(printable))
  const widths = (clean[0] ?? []).map((_, column) => Math.max(...clean.map((row) => row[column]?.length ?? 0)))
  return clean.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}

/** What was parked may come from anyone; nothing in it shall move a terminal's cursor. */
// oxlint-disable-next-line no-control-regex
const printable = (text: string): string => text.replaceAll(/[\u0000-\u001F\u007F-\u009F]+/g, ' ')
