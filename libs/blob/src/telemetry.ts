import { LongtakeError, messageOf, METRICS, SPANS } from '@longtake/contracts'
import type { RetryReason } from './attempts.ts'
import type { RequestQueue } from './request-queue.ts'
import { metrics, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

export type Operation = 'stage block' | 'commit blocks' | 'properties' | 'block list' | 'read' | 'put' | 'snapshot' | 'delete' | 'list' | 'container'

const SPAN_NAMES: Partial<Record<Operation, string>> = { 'stage block': SPANS.stageBlock, 'commit blocks': SPANS.commitBlocks }
const DURATION_BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export interface BlobTelemetry {
  /**
   * Runs one call to the storage as a span `blob <operation>`, counts it by operation and outcome, and times it, with
   * its retries. The outcome is the returned value's `outcome`, a thrown error's code, else `ok`.
   */
  observe<T>(operation: Operation, blob: string, run: () => Promise<T>, bytes?: number): Promise<T>
  retried(operation: Operation, error: unknown, reason: RetryReason): void
  /** Publishes how much the queue lets out, has out, keeps waiting and has refused. */
  watch(queue: RequestQueue): void
}

/** Makes the instruments; call it after telemetry has been registered. */
export function blobTelemetry(): BlobTelemetry {
  const tracer = trace.getTracer('@longtake/blob')
  const meter = metrics.getMeter('@longtake/blob')
  const requests = meter.createCounter(METRICS.blobRequests, { description: 'Calls to the blob storage, by operation and outcome' })
  const retries = meter.createCounter(METRICS.blobRetries, { description: 'Further tries of calls that failed for a passing reason, by operation and reason' })
  const durations = meter.createHistogram(METRICS.blobDuration, {
    description: 'Time until a call to the blob storage was answered, with its retries',
    unit: 's',
    advice: { explicitBucketBoundaries: DURATION_BOUNDARIES_S },
  })
  const limit = meter.createObservableGauge(METRICS.blobLimit, { description: 'Requests to the blob storage that may be under way at once, as its answers allow' })
  const inFlight = meter.createObservableGauge(METRICS.blobInFlight, { description: 'Requests to the blob storage under way' })
  const inFlightBytes = meter.createObservableGauge(METRICS.blobInFlightBytes, { description: 'Bytes of request bodies under way', unit: 'By' })
  const queued = meter.createObservableGauge(METRICS.blobQueued, { description: 'Requests to the blob storage that wait to be sent' })
  const rejected = meter.createObservableCounter(METRICS.blobRejected, { description: 'Requests to the blob storage refused because too many waited' })
  return {
    observe(operation, blob, run, bytes) {
      const attributes = { 'longtake.blob.name': blob, ...(bytes === undefined ? {} : { 'longtake.blob.bytes': bytes }) }
      return tracer.startActiveSpan(SPAN_NAMES[operation] ?? `blob ${operation}`, { kind: SpanKind.CLIENT, attributes }, async (span) => {
        const startedAt = performance.now()
        let outcome = 'ok'
        try {
          const result = await run()
          outcome = outcomeOf(result) ?? 'ok'
          if (outcome === 'unknown') span.setStatus({ code: SpanStatusCode.ERROR, message: 'whether it happened is unknown' })
          return result
        } catch (error) {
          outcome = error instanceof LongtakeError ? error.code : 'aborted'
          fail(span, error)
          throw error
        } finally {
          span.setAttribute('longtake.blob.outcome', outcome)
          span.end()
          requests.add(1, { operation, outcome })
          durations.record((performance.now() - startedAt) / 1000, { operation })
        }
      })
    },
    retried(operation, error, reason) {
      retries.add(1, { operation, reason })
      trace.getActiveSpan()?.addEvent('retry', { 'exception.message': messageOf(error) })
    },
    watch(queue) {
      limit.addCallback((result) => result.observe(queue.limit))
      inFlight.addCallback((result) => result.observe(queue.inFlight))
      inFlightBytes.addCallback((result) => result.observe(queue.bytesInFlight))
      queued.addCallback((result) => result.observe(queue.queued))
      rejected.addCallback((result) => result.observe(queue.rejected))
    },
  }
}

function outcomeOf(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('outcome' in result)) return undefined
  return typeof result.outcome === 'string' ? result.outcome : undefined
}

function fail(span: Span, error: unknown): void {
  const failure = error instanceof Error ? error : new Error(String(error))
  span.recordException(failure)
  span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message })
}
