import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SPANS } from '@longtake/contracts'
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { loadRecording } from '@longtake/testkit'
import { newPart, World } from './harness.ts'

const exporter = new InMemorySpanExporter()
before(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
})
after(() => {
  trace.disable()
  propagation.disable()
  context.disable()
})

const traceId = (n: number): string => String(n).padStart(32, '0')
const spanId = (n: number): string => String(n).padStart(16, '0')

test('a commit goes on with the trace of its first sampled chunk and links to those of others', async () => {
  const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const seq of [0, 1, 2, 3]) {
    world.chunk(part, seq, chunks[seq]!)
    const sampled = seq === 0 ? '00' : '01'
    Object.assign(world.log.at(-1)!.headers, { traceparent: `00-${traceId(seq + 1)}-${spanId(seq + 1)}-${sampled}` })
  }
  await world.pass(3_000)
  const commits = exporter.getFinishedSpans().filter(({ name }) => name === SPANS.commit)
  assert.equal(commits.length, 1)
  const [commit] = commits
  assert.deepEqual([commit?.spanContext().traceId, commit?.parentSpanContext?.spanId], [traceId(2), spanId(2)])
  assert.deepEqual(commit?.links.map((link) => link.context.traceId), [traceId(3), traceId(4)])
})

test('a commit without a sampled chunk has no span', async () => {
  exporter.reset()
  const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  world.chunk(part, 0, chunks[0]!)
  await world.pass(3_000)
  assert.ok(world.lastCommit().bytes > 0)
  assert.deepEqual(exporter.getFinishedSpans().map(({ name }) => name), [])
})
