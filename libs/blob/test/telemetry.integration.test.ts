import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { METRICS, SPANS } from '@longtake/contracts'
import { startHttpFaultProxy } from '@longtake/testkit'
import { context, metrics, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { azuriteOrigin, azuriteStore } from './azurite.ts'

const exporter = new InMemorySpanExporter()
trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: measured })
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))
after(() => reader.shutdown())

test('every call is a span below its caller’s and is counted and timed with its retries', async () => {
  await using proxy = await startHttpFaultProxy(azuriteOrigin())
  const store = await azuriteStore({ origin: proxy.origin })
  exporter.reset()
  proxy.inject(({ path }) => path.includes('comp=block&'), { kind: 'answer', status: 503 })
  proxy.inject(({ path }) => path.includes('comp=blocklist'), { kind: 'cut answer' })

  await trace.getTracer('test').startActiveSpan('caller', async (caller) => {
    await store.stageBlock('s-1/webcam.webm', Buffer.alloc(32).toString('base64'), Buffer.from('12345'))
    await store.commitBlockList('s-1/webcam.webm', [], { ifNoneMatch: '*', contentType: 'video/webm', metadata: {} })
    caller.end()
  })

  const spans = exporter.getFinishedSpans()
  const [stage, commit, caller] = [SPANS.stageBlock, SPANS.commitBlocks, 'caller'].map((name) => spans.find((span) => span.name === name) ?? assert.fail(name))
  assert.ok(stage && commit && caller)
  assert.equal(stage.parentSpanContext?.spanId, caller.spanContext().spanId)
  assert.deepEqual(stage.attributes, { 'longtake.blob.name': 's-1/webcam.webm', 'longtake.blob.bytes': 5, 'longtake.blob.outcome': 'ok' })
  assert.deepEqual(stage.events.map(({ name }) => name), ['retry'])
  assert.equal(commit.attributes['longtake.blob.outcome'], 'unknown')
  assert.equal(commit.status.code, SpanStatusCode.ERROR)

  await reader.forceFlush()
  const all = measured.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
  const points = (name: string) => all.findLast(({ descriptor }) => descriptor.name === name)?.dataPoints ?? []
  const attributes = points(METRICS.blobRequests).map((point) => point.attributes)
  assert.ok(attributes.some(({ operation, outcome }) => operation === 'stage block' && outcome === 'ok'))
  assert.ok(attributes.some(({ operation, outcome }) => operation === 'commit blocks' && outcome === 'unknown'))
  assert.deepEqual(points(METRICS.blobRetries).map(({ value, attributes }) => [value, attributes]), [[1, { operation: 'stage block', reason: 'busy' }]])
  assert.ok(Number(points(METRICS.blobLimit).at(-1)?.value) >= 1)
  for (const name of [METRICS.blobInFlight, METRICS.blobInFlightBytes, METRICS.blobQueued, METRICS.blobRejected]) assert.equal(points(name).at(-1)?.value, 0, name)
  assert.ok(points(METRICS.blobDuration).length > 0)
  assert.doesNotMatch(JSON.stringify(all.map(({ dataPoints }) => dataPoints)), /s-1/)
})
