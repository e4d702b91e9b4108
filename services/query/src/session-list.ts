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

const encodeCursor = ({ createdAt, id }: Cursor): string => Buffer.from(`${createdAt} ${id}`).toString('base64url')

function decodeCursor(text: string): Cursor {
  const [createdAt, id, ...rest] = Buffer.from(text, 'base64url').toString('utf8').split(' ')
  if (createdAt === undefined || id === undefined || rest.length > 0) throw new LongtakeError('INVALID_REQUEST', 'after is not a cursor of this list')
  return { createdAt, id }
}
