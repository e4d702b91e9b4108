import { LongtakeError, type SessionList } from '@longtake/contracts'
import type { SessionSummary } from './ports.ts'

/** One page, newest first. The cursor names the last one seen, so that new sessions shift nothing. */
export function pageOf(sessions: Iterable<SessionSummary>, { limit, after }: { limit: number; after?: string }): SessionList {
  const sorted = [...sessions].sort(newestFirst)
  const cursor = after === undefined ? undefined : decodeCursor(after)
  const start = cursor === undefined ? 0 : sorted.findIndex((session) => newestFirst(cursor, session) < 0)
  const page = start === -1 ? [] : sorted.slice(start, start + limit)
  const last = page.at(-1)
  const more = last !== undefined && last !== sorted.at(-1)
  return {
    sessions: page.map(({ id, status, version, startedAt, endedAt, tracks }) => ({ id, status, version, startedAt, endedAt, tracks })),
    next: more ? encodeCursor(last) : null,
  }
}

type Cursor = Pick<SessionSummary, 'createdAt' | 'id'>

const newestFirst = (a: Cursor, b: Cursor): number => compare(b.createdAt, a.createdAt) || compare(a.id, b.id)
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const SEPARATOR = '~'
/** What cursors look like; clients pass them on as they are. */
export const CURSOR_PATTERN = `^[^${SEPARATOR}]{1,40}${SEPARATOR}[A-Za-z0-9_-]{1,64}$`

const encodeCursor = ({ createdAt, id }: Cursor): string => `${createdAt}${SEPARATOR}${id}`

function decodeCursor(text: string): Cursor {
  if (!new RegExp(CURSOR_PATTERN).test(text)) throw new LongtakeError('INVALID_REQUEST', 'after is not a cursor of this list')
  const at = text.indexOf(SEPARATOR)
  return { createdAt: text.slice(0, at), id: text.slice(at + SEPARATOR.length) }
}
