import { randomUUID } from 'node:crypto'
import { LongtakeError } from '@longtake/contracts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RecordingProperties, Recordings } from './ports.ts'
import { evaluatePreconditions, ifRangeHolds } from './preconditions.ts'
import { planRange, type ByteRange, type RangePlan } from './range.ts'
import { openTrack, type Section, type TrackVersion } from './track-stream.ts'

export interface RecordingSource {
  readonly blob: string
  readonly mimeType: string
  /** The strong entity tag of the blob in this state, with its quotes. */
  etag(properties: RecordingProperties): string
  /** The error when the blob does not exist or is empty. */
  missing(): LongtakeError
}

/** Names the layout and the commit, which together determine every byte of a track's file. */
export const trackEtag = ({ generation, commit }: TrackVersion): string => `"g${generation}-c${commit}"`

/** A commit may come between reading the blob's properties and its first bytes; commits are seconds apart. */
const MAX_ATTEMPTS = 3

/**
 * Answers GET and HEAD of a recording that may be growing: 200, 206 (one range, or multipart/byteranges), 304, 412 or 416
 * (RFC 9110 §13–15). Entity tag, total length and bytes of one response belong to the same commit.
 */
export async function sendRecording(request: FastifyRequest, reply: FastifyReply, recordings: Recordings, source: RecordingSource): Promise<FastifyReply> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sendOnce(request, reply, recordings, source)
    } catch (error) {
      const moved = error instanceof LongtakeError && error.code === 'MOVED_WHILE_READING'
      if (!moved || attempt === MAX_ATTEMPTS) throw error
    }
  }
}

async function sendOnce(request: FastifyRequest, reply: FastifyReply, recordings: Recordings, source: RecordingSource): Promise<FastifyReply> {
  const { blob, mimeType } = source
  const properties = await recordings.properties(blob)
  if (properties === undefined || properties.bytes === 0) throw source.missing()
  const { bytes: total, lastModified } = properties
  const etag = source.etag(properties)
  const precondition = evaluatePreconditions(request.headers, { etag, lastModified })
  if (precondition === 'failed') throw new LongtakeError('PRECONDITION_FAILED', `the recording's entity tag is ${etag} now`)
  const caching = {
    etag,
    'last-modified': lastModified.toUTCString(),
    // Revalidated each time, since a recording grows; private, since a token was needed.
    'cache-control': 'private, no-cache',
  }
  if (precondition === 'not-modified') return reply.headers(caching).code(304).send()
  const plan = planOf(request, etag, total)
  if (plan.kind === 'unsatisfiable') {
    void reply.header('content-range', `bytes */${total}`)
    throw new LongtakeError('RANGE_NOT_SATISFIABLE', `the recording has ${total} bytes now`)
  }
  const body = bodyOf(plan, mimeType, total)
  const headers = { ...caching, ...body.headers, 'accept-ranges': 'bytes', 'content-length': String(body.length) }
  if (request.method === 'HEAD') return reply.code(body.status).headers(headers).send()
  const stream = await openTrack((offset, count, signal) => recordings.readPiece(blob, offset, count, signal), body.sections, properties)
  stream.on('error', (error) => request.log.info({ error }, 'a track response ended early'))
  return reply.code(body.status).headers(headers).send(stream)
}

/** Range is defined for GET alone (RFC 9110 §14.2). */
function planOf(request: FastifyRequest, etag: string, total: number): RangePlan {
  if (request.method !== 'GET' || !ifRangeHolds(request.headers['if-range']?.toString(), etag)) return { kind: 'whole' }
  return planRange(request.headers.range, total)
}

interface Body {
  readonly status: 200 | 206
  readonly headers: Record<string, string>
  readonly length: number
  readonly sections: readonly Section[]
}

function bodyOf(plan: Exclude<RangePlan, { kind: 'unsatisfiable' }>, mimeType: string, total: number): Body {
  if (plan.kind === 'whole') return { status: 200, headers: { 'content-type': mimeType }, length: total, sections: [{ start: 0, end: total - 1 }] }
  const { ranges } = plan
  if (ranges.length === 1) {
    const [range] = ranges
    return { status: 206, headers: { 'content-type': mimeType, 'content-range': contentRange(range, total) }, length: lengthOf(range), sections: [range] }
  }
  return multipart(ranges, mimeType, total)
}

/** RFC 9110 §14.6. */
function multipart(ranges: readonly ByteRange[], mimeType: string, total: number): Body {
  const boundary = randomUUID()
  const sections: Section[] = []
  for (const range of ranges) {
    const lead = sections.length === 0 ? '' : '\r\n'
    sections.push(Buffer.from(`${lead}--${boundary}\r\nContent-Type: ${mimeType}\r\nContent-Range: ${contentRange(range, total)}\r\n\r\n`), range)
  }
  sections.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  const length = sections.reduce((sum, section) => sum + (section instanceof Uint8Array ? section.length : lengthOf(section)), 0)
  return { status: 206, headers: { 'content-type': `multipart/byteranges; boundary=${boundary}` }, length, sections }
}

const contentRange = ({ start, end }: ByteRange, total: number): string => `bytes ${start}-${end}/${total}`
const lengthOf = ({ start, end }: ByteRange): number => end - start + 1
