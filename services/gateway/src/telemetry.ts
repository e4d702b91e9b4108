import { ATTRIBUTES, METRICS, SPANS } from '@longtake/contracts'
import { context, metrics, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api'
import type { AcceptedChunk } from './connection.ts'

const meter = metrics.getMeter('longtake.gateway')
const tracer = trace.getTracer('longtake.gateway')

export const instruments = {
  connections: meter.createUpDownCounter(METRICS.gatewayConnections, { description: 'open connections of recorders' }),
  chunks: meter.createCounter(METRICS.gatewayChunks, { description: 'chunks by outcome: acknowledged, or failed in Kafka' }),
  chunkBytes: meter.createCounter(METRICS.gatewayChunkBytes, { description: 'payload of acknowledged chunks', unit: 'By' }),
  ackDuration: meter.createHistogram(METRICS.gatewayAckDuration, {
    description: 'from the receipt of a chunk to its ack',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] },
  }),
  inFlightBytes: meter.createUpDownCounter(METRICS.gatewayInFlightBytes, { description: 'bytes received and not yet settled by Kafka', unit: 'By' }),
  closes: meter.createCounter(METRICS.gatewayCloses, { description: 'connections that have ended, or were refused, by close code and reason' }),
  backlogBytes: meter.createGauge(METRICS.gatewayBacklogBytes, { description: 'estimate of what recordings.chunks holds that block-writer has not committed', unit: 'By' }),
  backlogLooks: meter.createCounter(METRICS.gatewayBacklogLooks, { description: 'looks at the backlog by outcome: seen, estimated by what the log holds, or failed' }),
  unknownMessages: meter.createCounter(METRICS.unknownMessages, { description: 'messages of types this version does not know' }),
}

/** Begins the trace of a chunk: it ends with its ack, and goes on in Kafka's headers. */
export function startChunkSpan(session: string, { track, part, seq, payload }: AcceptedChunk): Span {
  return tracer.startSpan(
    SPANS.receiveChunk,
    {
      kind: SpanKind.SERVER,
      attributes: { [ATTRIBUTES.session]: session, [ATTRIBUTES.track]: track, [ATTRIBUTES.part]: part, [ATTRIBUTES.seq]: seq, 'longtake.chunk.bytes': payload.length },
    },
    ROOT_CONTEXT,
  )
}

export const within = <T>(span: Span, work: () => T): T => context.with(trace.setSpan(ROOT_CONTEXT, span), work)

export function endSpan(span: Span, error?: unknown): void {
  if (error !== undefined) {
    span.recordException(error instanceof Error ? error : 'not an Error')
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}
