/** One contiguous run of bytes, both ends inclusive, as in Content-Range. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export type RangePlan =
  | { readonly kind: 'whole' }
  /** One or more ranges, in the order in which they were requested. */
  | { readonly kind: 'ranges'; readonly ranges: readonly [ByteRange, ...ByteRange[]] }
  | { readonly kind: 'unsatisfiable' }

/** Players ask for one or two. More than this is an attack or a fault, and is answered with the whole (RFC 9110 §14.2). */
const MAX_RANGES = 16
const RANGE_SPEC = /^(?:(\d+)-(\d*)|-(\d+))$/

/**
 * Which bytes of a representation of `total` bytes a Range header selects (RFC 9110 §14.1.2 and §14.2). A header that is
 * malformed or of another unit is ignored, as the RFC demands; a suffix longer than the representation selects all of it.
 * Written here because the usual parser calls long suffixes unsatisfiable and accepts lists with an invalid member.
 */
export function planRange(header: string | undefined, total: number): RangePlan {
  const list = header === undefined ? undefined : /^bytes=(.*)$/is.exec(header)?.[1]
  if (list === undefined) return { kind: 'whole' }
  // Empty list members are to be ignored (RFC 9110 §5.6.1.2).
  const specs = list.split(',', MAX_RANGES * 4).map((spec) => spec.trim()).filter((spec) => spec !== '')
  if (specs.length === 0 || specs.length > MAX_RANGES) return { kind: 'whole' }
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    const range = resolve(spec, total)
    if (range === 'invalid') return { kind: 'whole' }
    if (range !== 'unsatisfiable') addRange(ranges, range)
  }
  const [first, ...others] = ranges
  return first === undefined ? { kind: 'unsatisfiable' } : { kind: 'ranges', ranges: [first, ...others] }
}

function resolve(spec: string, total: number): ByteRange | 'invalid' | 'unsatisfiable' {
  const match = RANGE_SPEC.exec(spec)
  if (match === null) return 'invalid'
  const [, first, last, suffix] = match
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), total)
    return length === 0 ? 'unsatisfiable' : { start: total - length, end: total - 1 }
  }
  const start = Number(first)
  const end = last === '' ? total - 1 : Math.min(Number(last), total - 1)
  if (last !== '' && Number(last) < start) return 'invalid'
  return start >= total ? 'unsatisfiable' : { start, end }
}

/** Overlapping and adjacent ranges are coalesced (RFC 9110 §15.3.7.2), so that no request is answered with more bytes than there are. */
function addRange(ranges: ByteRange[], added: ByteRange): void {
  let merged = added
  let at = ranges.length
  for (let i = ranges.length - 1; i >= 0; i -= 1) {
    const { start, end } = ranges[i]!
    if (start > merged.end + 1 || end + 1 < merged.start) continue
    merged = { start: Math.min(start, merged.start), end: Math.max(end, merged.end) }
    ranges.splice(i, 1)
    at = i
    // The wider range may touch ranges that were passed already.
    i = ranges.length
  }
  ranges.splice(at, 0, merged)
}
