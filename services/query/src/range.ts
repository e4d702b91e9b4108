import parseRange from 'range-parser'

export type RangePlan =
  | { kind: 'whole' }
  /** Inclusive, as in Content-Range. */
  | { kind: 'part'; start: number; end: number }
  | { kind: 'unsatisfiable' }

/**
 * What of `total` bytes a Range header asks for (RFC 9110, section 14). What is malformed, of another unit or asks for
 * several ranges is answered by the whole, as the RFC allows: players ask for one.
 */
export function planRange(header: string | undefined, total: number): RangePlan {
  if (header === undefined) return { kind: 'whole' }
  const ranges = parseRange(total, header)
  if (ranges === -1) return isLongSuffix(header, total) ? { kind: 'part', start: 0, end: total - 1 } : { kind: 'unsatisfiable' }
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return { kind: 'whole' }
  const range = ranges[0]
  return range === undefined ? { kind: 'whole' } : { kind: 'part', start: range.start, end: range.end }
}

/** A suffix longer than all there is means all of it (RFC 9110, 14.1.2); the parser calls it unsatisfiable. */
const isLongSuffix = (header: string, total: number): boolean => total > 0 && /^bytes=\s*-0*[1-9]\d*\s*$/.test(header)

/** What a reader was served: the layout of the media bytes, and the commit that wrote the header in front of them. */
export interface TrackVersion {
  generation: number
  commit: number
}

export const etagOf = ({ generation, commit }: TrackVersion): string => `"g${generation}-c${commit}"`

/**
 * Whether a range may go on under this If-Range validator. Behind the fixed header a commit of the same generation only
 * appends, so those bytes are still the ones the client has; within it they must be of the very same commit.
 */
export function ifRangeHolds(validator: string | undefined, version: TrackVersion, start: number, headerBytes: number): boolean {
  if (validator === undefined || validator === etagOf(version)) return true
  const match = /^"g(\d+)-c\d+"$/.exec(validator)
  return match !== null && Number(match[1]) === version.generation && start >= headerBytes
}
