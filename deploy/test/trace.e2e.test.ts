import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { loadRecording } from '@longtake/testkit'
import { connect, createSession, disposableSystem, judge, RECORDING_SERVICES } from './sessions.ts'
import { startTraceReceiver, type ReceivedSpan } from './trace-receiver.ts'

/** Parent → child, as a chunk travels. */
const EDGES = [
  ['gateway: gateway receive chunk', 'gateway: recordings.chunks publish'],
  ['gateway: recordings.chunks publish', 'block-writer: block-writer commit'],
  ['block-writer: block-writer commit', 'block-writer: blob stage block'],
  ['block-writer: block-writer commit', 'block-writer: blob commit blocks'],
  ['block-writer: block-writer commit', 'block-writer: recordings.events publish'],
  ['block-writer: recordings.events publish', 'completeness: recordings.events process'],
] as const

test('one trace leads from the gateway’s receipt through Kafka to the commit in storage, and no span holds a token', async () => {
  await using receiver = await startTraceReceiver()
  await using system = await disposableSystem({
    services: RECORDING_SERVICES,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', LONGTAKE_TRACE_RATIO: '1', OTEL_BSP_SCHEDULE_DELAY: '200' },
  })
  const session = await createSession(system)
  const client = await connect(system, session)
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' })
  await client.sendAll(part, loadRecording('chrome-webcam-vp9-opus').chunks)
  await client.allAcknowledged()
  await client.close(part)
  await client.finish()
  await judge(system, session, [client])

  const missing = (): readonly (readonly [string, string])[] => EDGES.filter(([parent, child]) => !hasEdge(receiver.spans, parent, child))
  for (const end = Date.now() + 20_000; missing().length > 0 && Date.now() < end; ) await delay(100)
  assert.deepEqual(missing(), [], `these edges were seen:\n${[...edgesOf(receiver.spans)].sort().join('\n')}`)

  const services = new Set(receiver.spans.map(({ service }) => service))
  assert.deepEqual([...services].sort(), ['block-writer', 'completeness', 'finalizer', 'gateway', 'query'])
  const everything = JSON.stringify(receiver.spans)
  for (const secret of [session.ingest.token, session.watch.token, system.apiKey]) assert.ok(!everything.includes(secret))
})

function* edgesOf(spans: readonly ReceivedSpan[]): Generator<string> {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  for (const span of spans) {
    const parent = span.parentSpanId === undefined ? undefined : byId.get(span.parentSpanId)
    if (parent !== undefined && parent.traceId === span.traceId) yield `${parent.service}: ${parent.name} → ${span.service}: ${span.name}`
  }
}

function hasEdge(spans: readonly ReceivedSpan[], parent: string, child: string): boolean {
  for (const edge of edgesOf(spans)) if (edge === `${parent} → ${child}`) return true
  return false
}
