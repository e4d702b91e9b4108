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
      // Pino's own takes each object with a message for an Error.
      serializers: { error: (error: unknown) => (error instanceof Error ? pino.stdSerializers.err(error) : error) },
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
      // The net below the named paths: secrets inside messages, URLs and stacks.
      hooks: {
        streamWrite: redact,
        logMethod(args, method, level) {
          if (level === pino.levels.values['warn'] && !this.isLevelEnabled('debug')) withoutStack(args)
          method.apply(this, args)
        },
      },
      mixin() {
        const context = trace.getActiveSpan()?.spanContext()
        return context && isSpanContextValid(context) ? { trace_id: context.traceId, span_id: context.spanId } : {}
      },
    },
    destination,
  )
}

/**
 * A warning is an expected fault that is dealt with: what it was is of use, not where in the code it was noticed. An outage
 * would bury everything else under the same stacks.
 */
function withoutStack(args: unknown[]): void {
  const [fields] = args
  if (typeof fields !== 'object' || fields === null || !('error' in fields) || !(fields.error instanceof Error)) return
  args[0] = { ...fields, error: summarize(fields.error) }
}

interface ErrorSummary {
  type: string
  code?: unknown
  message: string
  cause?: ErrorSummary
}

function summarize(error: Error, depth = 0): ErrorSummary {
  const { name, message, cause } = error
  const code = 'code' in error ? { code: error.code } : {}
  return { type: name, ...code, message, ...(cause instanceof Error && depth < 3 ? { cause: summarize(cause, depth + 1) } : {}) }
}
