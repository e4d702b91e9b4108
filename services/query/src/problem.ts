import { LongtakeError, type ErrorCode, type Problem } from '@longtake/contracts'
import { KafkaError } from '@longtake/kafka'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

const STATUS: Partial<Record<ErrorCode, number>> = {
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  SESSION_NOT_FOUND: 404,
  TRACK_NOT_FOUND: 404,
  MANIFEST_NOT_FOUND: 404,
  RENDITION_NOT_FOUND: 404,
  NOT_FOUND: 404,
  SESSION_DELETED: 410,
  RANGE_NOT_SATISFIABLE: 416,
  INVALID_REQUEST: 400,
  INVALID_SHAPE: 400,
  UNAVAILABLE: 503,
  MOVED_WHILE_READING: 503,
}

const TITLES: Record<number, string> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  410: 'Gone',
  413: 'Too large',
  415: 'Unsupported media type',
  416: 'Range not satisfiable',
  500: 'Internal error',
  503: 'Unavailable',
}

type Failure = FastifyError | LongtakeError | KafkaError

/** The one way any error leaves the service: RFC 9457, the cause only in the log. */
export function sendProblem(error: Failure, request: FastifyRequest, reply: FastifyReply): void {
  const { status, code, detail } = describe(error)
  if (status >= 500) request.log.error({ error }, 'request failed')
  const problem: Problem = { type: 'about:blank', title: TITLES[status] ?? 'Error', status, code, ...(detail === undefined ? {} : { detail }) }
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  if (status === 503) reply.header('retry-after', '2')
  void reply.code(status).type('application/problem+json').send(JSON.stringify(problem))
}

function describe(error: Failure): { status: number; code: ErrorCode; detail?: string } {
  if (error instanceof LongtakeError) {
    const status = STATUS[error.code] ?? (error.retryable ? 503 : 500)
    return { status, code: error.code, detail: error.message }
  }
  if (error instanceof KafkaError) {
    return error.retryable ? { status: 503, code: 'UNAVAILABLE', detail: 'it is not certain that this was recorded: ask again' } : { status: 500, code: 'INTERNAL' }
  }
  const status = error.statusCode ?? 500
  // Fastify's own refusals (validation, malformed JSON, unknown content type) speak of the request alone.
  if (status >= 400 && status < 500) return { status, code: 'INVALID_REQUEST', detail: error.message }
  return { status: 500, code: 'INTERNAL' }
}
