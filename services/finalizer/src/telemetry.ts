import { ATTRIBUTES, METRICS, SPANS } from '@longtake/contracts'
import { inSpan } from '@longtake/service'
import { metrics, trace } from '@opentelemetry/api'

const meter = metrics.getMeter('longtake.finalizer')
const tracer = trace.getTracer('longtake.finalizer')

export const instruments = {
  finalizations: meter.createCounter(METRICS.finalizations, { description: 'attempts to seal a version of a session, by outcome' }),
  unknownMessages: meter.createCounter(METRICS.unknownMessages, { description: 'messages of types this version does not know' }),
}

export function inFinalizeSpan<T>(session: string, work: () => Promise<T>): Promise<T> {
  return inSpan(tracer.startSpan(SPANS.finalize, { attributes: { [ATTRIBUTES.session]: session } }), work)
}
