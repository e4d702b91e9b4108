import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { LongtakeError, type ErrorCode, Problem } from '@longtake/contracts'
import { KafkaError } from '@longtake/kafka'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

const STATUS: Partial<Record<ErrorCode, number>> = {
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  SESSION_NOT_FOUND: 404,
  TRACK_NOT_FOUND: 404,
  MANIFEST_NOT_FOUND: 404,
  RENDITION_NOT_FOUND: 404,
  RENDITION_PENDING: 404,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  SESSION_DELETED: 410,
  PRECONDITION_FAILED: 412,
  RANGE_NOT_SATISFIABLE: 416,
  INVALID_REQUEST: 400,
  INVALID_SHAPE: 400,
  UNAVAILABLE: 503,
  MOVED_WHILE_READING: 503,
}

const PROBLEM_JSON = 'application/problem+json'
const content = { [PROBLEM_JSON]: { schema: Problem } }

/** The errors of every route, as the OpenAPI document states them. */
export const problems = {
  '4xx': { description: 'The request is refused; `code` names the reason.', content },
  '5xx': { description: 'The service failed, or something that it needs does not answer; a retry may help.', content },
}

type Failure = FastifyError | LongtakeError | KafkaError

/** The one way any error leaves the service: RFC 9457, the cause only in the log. */
export function sendProblem(error: Failure, request: FastifyRequest, reply: FastifyReply): void {
  const { status, code, detail } = describe(error)
  if (status >= 500) request.log.error({ error }, 'request failed')
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  if (status === 503) reply.header('retry-after', '2')
  if (code === 'RENDITION_PENDING') reply.header('retry-after', '10')
  void reply.code(status).type(PROBLEM_JSON).send(JSON.stringify(problemOf(status, code, detail)))
}

/** Answers what is no HTTP request, too large in its headers, or not complete in time: Fastify never sees it. */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  const body = JSON.stringify(problemOf(status, 'INVALID_REQUEST'))
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${PROBLEM_JSON}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

const problemOf = (status: number, code: ErrorCode, detail?: string): Problem => ({
  type: 'about:blank',
  title: STATUS_CODES[status] ?? 'Error',
  status,
  code,
  ...(detail === undefined ? {} : { detail }),
})

function describe(error: Failure): { status: number; code: ErrorCode; detail?: string } {
  if (error instanceof LongtakeError) {
    const status = STATUS[error.code] ?? (error.retryable ? 503 : 500)
    return { status, code: error.code, detail: error.message }
  }
  if (error instanceof KafkaError) {
    return error.retryable ? { status: 503, code: 'UNAVAILABLE', detail: 'it is not certain that this was recorded: ask again' } : { status: 500, code: 'INTERNAL' }
  }
  const status = error.statusCode ?? 500
  if (error.code === 'FST_ERR_HANDLER_TIMEOUT') return { status: 503, code: 'UNAVAILABLE', detail: 'the answer took too long; it is not certain whether the request was carried out' }
  // Fastify's own refusals (validation, malformed JSON, unknown content type) speak of the request alone.
  if (status >= 400 && status < 500) return { status, code: 'INVALID_REQUEST', detail: error.message }
  return { status: 500, code: 'INTERNAL' }
}
