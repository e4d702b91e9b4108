import assert from 'node:assert/strict'
import { test } from 'node:test'
import { context, propagation, SpanKind, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { TracerProvider, InMemorySpanExporter, ParentBasedSampler, SimpleSpanProcessor, TraceIdRatioBasedSampler, AlwaysOnSampler } from '@opentelemetry/sdk-trace'
import { createProducer, startConsumer, traceContextOf, type KafkaRecord } from '../src/index.ts'
import { Journal, kafka, makeTopics, unexpected, unique } from './support.ts'

const exporter = new InMemorySpanExporter()
const provider = (root: ConstructorParameters<typeof ParentBasedSampler>[0]['root']) => new TracerProvider({ sampler: new ParentBasedSampler({ root }), spanProcessors: [new SimpleSpanProcessor({ exporter })] })
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
propagation.setGlobalPropagator(new W3CTraceContextPropagator())
const sampling = provider(new AlwaysOnSampler())
trace.setGlobalTracerProvider(sampling)

async function sendThrough(tracer: ReturnType<typeof sampling.getTracer>) {
  const [topic = ''] = await makeTopics(kafka(), ['trace'], 1)
  await using producer = createProducer({ kafka: kafka() })
  const received: KafkaRecord[] = []
  const journal = new Journal()
  await using consumer = await startConsumer({
    kafka: kafka(),
    group: unique('group'),
    topics: [topic],
    onFatal: unexpected,
    ...journal.member('m', (record, partition) => {
      received.push(record)
      tracer.startActiveSpan('work', (span) => span.end())
      partition.done(record)
    }),
  })
  const root = tracer.startSpan('receive')
  await context.with(trace.setSpan(context.active(), root), () => producer.send({ topic, partition: 0, key: 'k', value: Buffer.from('v'), headers: { kind: 'chunk' } }))
  root.end()
  await journal.until('the record', () => journal.handled().length === 1)
  await consumer.close()
  return { topic, root: root.spanContext(), record: received[0]! }
}

test('one trace from the sender through the headers to the work on the record', async () => {
  exporter.reset()
  const { topic, root, record } = await sendThrough(sampling.getTracer('test'))
  const spans = exporter.getFinishedSpans()
  const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]))
  const edges = spans.filter((span) => span.spanContext().traceId === root.traceId).map((span) => `${byId.get(span.parentSpanContext?.spanId ?? '')?.name ?? '-'} > ${span.name}`)
  assert.deepEqual(edges.toSorted(), ['- > receive', `receive > ${topic} publish`, `${topic} process > work`, `${topic} publish > ${topic} process`].toSorted())
  assert.equal(spans.find(({ name }) => name.endsWith('publish'))?.kind, SpanKind.PRODUCER)
  assert.equal(spans.find(({ name }) => name.endsWith('process'))?.kind, SpanKind.CONSUMER)
  assert.equal(trace.getSpanContext(traceContextOf(record))?.traceId, root.traceId)
  assert.equal(record.headers['kind'], 'chunk')
})

test('an unsampled trace costs no spans, and its id goes on all the same', async () => {
  exporter.reset()
  const { root, record } = await sendThrough(provider(new TraceIdRatioBasedSampler(0)).getTracer('test'))
  assert.deepEqual(exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === root.traceId), [])
  assert.equal(trace.getSpanContext(traceContextOf(record))?.traceId, root.traceId)
})
