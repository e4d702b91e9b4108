import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Context, type Span } from '@opentelemetry/api'
import type { KafkaRecord, OutgoingRecord } from './record.ts'

const tracer = trace.getTracer('@longtake/kafka')

const sampled = (carrier: Context): boolean => ((trace.getSpanContext(carrier)?.traceFlags ?? 0) & TraceFlags.SAMPLED) !== 0

/**
 * The headers with the active trace context added (W3C `traceparent`), and a span for the way to the broker if the
 * trace is sampled; an unsampled record costs no span but still carries its trace id.
 */
export function injectTrace(record: OutgoingRecord): { headers: Record<string, string>; span: Span | undefined } {
  const active = context.active()
  const headers = { ...record.headers }
  if (!sampled(active)) {
    propagation.inject(active, headers)
    return { headers, span: undefined }
  }
  const span = tracer.startSpan(`${record.topic} publish`, {
    kind: SpanKind.PRODUCER,
    attributes: { 'messaging.system': 'kafka', 'messaging.destination.name': record.topic, 'messaging.destination.partition.id': String(record.partition) },
  })
  propagation.inject(trace.setSpan(active, span), headers)
  return { headers, span }
}

/** The trace context that a record carries; the root context where it carries none. */
export function traceContextOf(record: Pick<KafkaRecord, 'headers'>): Context {
  return propagation.extract(ROOT_CONTEXT, record.headers)
}

/** Runs `handle` within the record's trace, in a span of its own if that is sampled. */
export async function withRecordTrace<T>(record: KafkaRecord, handle: () => Promise<T>): Promise<T> {
  const carried = traceContextOf(record)
  if (!sampled(carried)) return context.with(carried, handle)
  const span = tracer.startSpan(
    `${record.topic} process`,
    {
      kind: SpanKind.CONSUMER,
      attributes: { 'messaging.system': 'kafka', 'messaging.destination.name': record.topic, 'messaging.destination.partition.id': String(record.partition), 'messaging.kafka.offset': Number(record.offset) },
    },
    carried,
  )
  try {
    return await context.with(trace.setSpan(carried, span), handle)
  } catch (error) {
    failSpan(span, error)
    throw error
  } finally {
    span.end()
  }
}

export function failSpan(span: Span, error: unknown): void {
  span.recordException(error instanceof Error ? error : String(error))
  span.setStatus({ code: SpanStatusCode.ERROR })
}
