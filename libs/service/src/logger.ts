import { isSpanContextValid, trace } from '@opentelemetry/api'
import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino'
import { redact } from './privacy.ts'

export type Logger = PinoLogger

/**
 * What the levels mean:
 * `fatal` the process ends now · `error` something was lost or failed for good, a human should look ·
 * `warn` degraded, dealt with, worth watching · `info` life of the process and of sessions, a few lines each ·
 * `debug` every block, commit and connection · `trace` every chunk.
 */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const SECRET_KEYS = ['token', 'authorization', 'cookie', 'apiKey', 'password', 'secret', 'connectionString', 'sec-websocket-protocol']
const quoted = (key: string) => (/^\w+$/.test(key) ? key : `["${key}"]`)
const SECRET_PATHS = SECRET_KEYS.flatMap((key) => {
  const path = quoted(key)
  const nested = path.startsWith('[') ? path : `.${path}`
  return [path, `*${nested}`, `*.*${nested}`]
})

/**
 * JSON lines on stdout, one object each, written synchronously so that a dying process loses none.
 * Lines within an active span carry its `trace_id` and `span_id`. Per session: `logger.child({ session })`.
 */
export function createLogger(options: { service: string; instance?: string; level?: LogLevel; destination?: DestinationStream }): Logger {
  const { service, instance, level = 'info', destination = pino.destination({ fd: 1, sync: true }) } = options
  return pino(
    {
      level,
      base: instance === undefined ? { service } : { service, instance },
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      errorKey: 'error',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
      // The net below the named paths: secrets inside messages, URLs and stacks.
      hooks: { streamWrite: redact },
      mixin() {
        const context = trace.getActiveSpan()?.spanContext()
        return context && isSpanContextValid(context) ? { trace_id: context.traceId, span_id: context.spanId } : {}
      },
    },
    destination,
  )
}
