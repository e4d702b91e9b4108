import { ATTRIBUTES, METRICS, SPANS } from '@longtake/contracts'
import { metrics, SpanStatusCode, trace } from '@opentelemetry/api'

const meter = metrics.getMeter('longtake.finalizer')
const tracer = trace.getTracer('longtake.finalizer')

export const instruments = {
  finalizations: meter.createCounter(METRICS.finalizations, { description: 'attempts to seal a version of a session, by outcome' }),
  unknownMessages: meter.createCounter(METRICS.unknownMessages, { description: 'messages of types this version does not know' }),
}

export function inFinalizeSpan<T>(session: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(SPANS.finalize, { attributes: { [ATTRIBUTES.session]: session } }, async (span) => {
    try {
      return await work()
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}
