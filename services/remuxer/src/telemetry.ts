import { ATTRIBUTES, METRICS, SPANS } from '@longtake/contracts'
import { inSpan } from '@longtake/service'
import { metrics, trace } from '@opentelemetry/api'

const meter = metrics.getMeter('longtake.remuxer')
const tracer = trace.getTracer('longtake.remuxer')

export const instruments = {
  renditions: meter.createCounter(METRICS.renditions, { description: 'renditions by kind and outcome' }),
  renditionDuration: meter.createHistogram(METRICS.renditionDuration, {
    description: 'from the begin of the download to the end of the upload, by kind and outcome',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800] },
  }),
  decodings: meter.createCounter(METRICS.decodings, { description: 'sealed files decoded, by coverage and outcome' }),
  decodingDuration: meter.createHistogram(METRICS.decodingDuration, {
    description: 'of one file, from the begin of the download, by coverage',
    unit: 's',
    advice: { explicitBucketBoundaries: [1, 5, 10, 30, 60, 300, 600, 1800] },
  }),
}

export function inRenderSpan<T>({ session, track, kind }: { session: string; track: string; kind: string }, work: () => Promise<T>): Promise<T> {
  const attributes = { [ATTRIBUTES.session]: session, [ATTRIBUTES.track]: track, 'longtake.rendition': kind }
  return inSpan(tracer.startSpan(SPANS.render, { attributes }), work)
}

export function inDecodeSpan<T>({ session, track }: { session: string; track: string }, work: () => Promise<T>): Promise<T> {
  return inSpan(tracer.startSpan(SPANS.decode, { attributes: { [ATTRIBUTES.session]: session, [ATTRIBUTES.track]: track } }), work)
}
