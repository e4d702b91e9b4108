/** What a response is about: the validators of the selected representation. */
export interface Validators {
  /** A strong entity tag, with its quotes. */
  readonly etag: string
  readonly lastModified: Date
}

/** The conditional request headers of RFC 9110 §13.1 as Node delivers them. */
export interface ConditionalHeaders {
  readonly 'if-match'?: string | undefined
  readonly 'if-none-match'?: string | undefined
  readonly 'if-modified-since'?: string | undefined
  readonly 'if-unmodified-since'?: string | undefined
}

/**
 * Evaluates the preconditions of a GET or HEAD request on a representation that exists, in the order of RFC 9110 §13.2.2:
 * If-Match (strong comparison) before If-Unmodified-Since, If-None-Match (weak comparison) before If-Modified-Since.
 */
export function evaluatePreconditions(headers: ConditionalHeaders, { etag, lastModified }: Validators): 'proceed' | 'not-modified' | 'failed' {
  const modifiedAt = Math.floor(lastModified.getTime() / 1000)
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!isAny(ifMatch) && !entityTags(ifMatch).includes(etag)) return 'failed'
  } else {
    const since = httpDate(headers['if-unmodified-since'])
    if (since !== undefined && modifiedAt > since) return 'failed'
  }
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) {
    return isAny(ifNoneMatch) || entityTags(ifNoneMatch).map(opaque).includes(opaque(etag)) ? 'not-modified' : 'proceed'
  }
  const since = httpDate(headers['if-modified-since'])
  return since !== undefined && modifiedAt <= since ? 'not-modified' : 'proceed'
}

/**
 * Whether a Range may be honoured under an If-Range header (RFC 9110 §13.1.5, strong comparison). A date never holds: a growing
 * recording may be committed twice within the second that dates distinguish, and whoever has an entity tag must send that.
 */
export function ifRangeHolds(header: string | undefined, etag: string): boolean {
  return header === undefined || header.trim() === etag
}

const isAny = (header: string): boolean => header.trim() === '*'
const entityTags = (header: string): string[] => header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? []
const opaque = (tag: string): string => tag.replace(/^W\//, '')

/** Seconds since the epoch; undefined for what is no date, which is ignored. */
function httpDate(header: string | undefined): number | undefined {
  const at = header === undefined ? Number.NaN : Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.floor(at / 1000)
}
