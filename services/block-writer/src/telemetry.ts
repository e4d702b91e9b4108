import { ATTRIBUTES, METRICS, SPANS } from '@longtake/contracts'
import { traceContextOf, type KafkaRecord } from '@longtake/kafka'
import { inSpan } from '@longtake/service'
import { metrics, ROOT_CONTEXT, trace, TraceFlags, type Link } from '@opentelemetry/api'

const meter = metrics.getMeter('longtake.block-writer')
const tracer = trace.getTracer('longtake.block-writer')

export const instruments = {
  commits: meter.createCounter(METRICS.commits, { description: 'commits of files by outcome: committed, read-back, superseded, failed' }),
  commitDuration: meter.createHistogram(METRICS.commitDuration, {
    description: 'from staging to the published event',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] },
  }),
  tooLarge: meter.createCounter(METRICS.tooLarge, { description: 'what could not be published for its size, by kind: what it is about stands still' }),
  parkingExcess: meter.createCounter(METRICS.parkingExcess, { description: 'records that were parked although their session had parked all that it may, by reason' }),
  damaged: meter.createCounter(METRICS.damaged, { description: 'side blobs whose bytes are not those that were written, by kind: checkpoint, pending' }),
  bufferedBytes: meter.createUpDownCounter(METRICS.bufferedBytes, { description: 'bytes received that no commit covers', unit: 'By' }),
  uncommittedAge: meter.createObservableGauge(METRICS.uncommittedAge, { description: 'since when the oldest record that no commit covers has been here; by partition, as it pins that one\'s offset', unit: 's' }),
}

const MAX_LINKS = 32

/**
 * Runs a commit within a span that continues the trace of the first sampled record in it and links to others;
 * without a span where none is sampled.
 */
export async function withCommitSpan<T>(session: string, track: string, records: Iterable<KafkaRecord>, commit: () => Promise<T>): Promise<T> {
  const links: Link[] = []
  for (const record of records) {
    const carried = trace.getSpanContext(traceContextOf(record))
    if (carried === undefined || (carried.traceFlags & TraceFlags.SAMPLED) === 0) continue
    links.push({ context: carried })
    if (links.length > MAX_LINKS) break
  }
  const [parent, ...others] = links
  if (parent === undefined) return commit()
  const attributes = { [ATTRIBUTES.session]: session, [ATTRIBUTES.track]: track }
  const carrier = trace.setSpanContext(ROOT_CONTEXT, parent.context)
  const span = tracer.startSpan(SPANS.commit, { attributes, links: others }, carrier)
  return inSpan(span, commit, carrier)
}
