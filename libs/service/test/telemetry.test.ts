import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { startDemo } from './demo-process.ts'

/** An OTLP receiver that keeps what it got, by path. */
async function startReceiver() {
  const received: { path: string; contentType: string | undefined; body: Buffer }[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      received.push({ path: request.url ?? '', contentType: request.headers['content-type'], body: Buffer.concat(pieces) })
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    texts: (path: string) => received.filter((post) => post.path === path).map(({ body }) => body.toString('latin1')),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function runOnce(env: Record<string, string>) {
  await using demo = startDemo(env)
  await demo.logged('started')
  demo.signal('SIGTERM')
  assert.equal(await demo.exited, 0, JSON.stringify(demo.lines))
  return demo.lines
}

interface Attribute {
  key: string
  value: { stringValue?: string }
}
interface Traces {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: { name: string; traceId: string; attributes: Attribute[] }[] }[] }[]
}
interface Metrics {
  resourceMetrics: { scopeMetrics: { metrics: { name: string; sum?: { dataPoints: { asDouble?: number; asInt?: string; attributes: Attribute[] }[] } }[] }[] }[]
}
const byKey = (attributes: Attribute[]) => Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]))

test('a stop flushes spans and metrics to an OTLP receiver, and log lines carry the trace', async () => {
  await using receiver = await startReceiver()
  const lines = await runOnce({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    LONGTAKE_TRACE_RATIO: '1',
    LONGTAKE_INSTANCE: 'demo-7',
  })

  const traces = receiver.texts('/v1/traces').map((text) => JSON.parse(text) as Traces)
  const [resourceSpans] = traces.flatMap(({ resourceSpans }) => resourceSpans)
  assert.ok(resourceSpans)
  const resource = byKey(resourceSpans.resource.attributes)
  assert.equal(resource['service.name'], 'demo')
  assert.equal(resource['service.instance.id'], 'demo-7')
  const [span] = resourceSpans.scopeSpans.flatMap(({ spans }) => spans)
  assert.equal(span?.name, 'demo work')
  const attributes = byKey(span.attributes)
  assert.equal(attributes['longtake.session'], 's-1')
  assert.equal(attributes['http.url'], 'http://x/v1/sessions/s-1/tracks/webcam?token=[redacted]')
  assert.equal(lines.find(({ message }) => message === 'worked')?.['trace_id'], span.traceId)

  const metrics = receiver.texts('/v1/metrics').map((text) => JSON.parse(text) as Metrics)
  const all = metrics.flatMap(({ resourceMetrics }) => resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics)))
  const point = all.find(({ name }) => name === 'demo.work')?.sum?.dataPoints[0]
  assert.equal(point?.asDouble ?? Number(point?.asInt), 3)
  assert.deepEqual(byKey(point?.attributes ?? []), { outcome: 'done' })
})

test('protobuf is the default encoding', async () => {
  await using receiver = await startReceiver()
  await runOnce({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, LONGTAKE_TRACE_RATIO: '1' })
  assert.ok(receiver.received.every(({ contentType }) => contentType === 'application/x-protobuf'))
  assert.match(receiver.texts('/v1/traces').join(''), /demo work/)
  assert.match(receiver.texts('/v1/metrics').join(''), /demo\.work/)
})

test('at ratio 0 no trace begins, and metrics go on', async () => {
  await using receiver = await startReceiver()
  await runOnce({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, LONGTAKE_TRACE_RATIO: '0' })
  assert.deepEqual(receiver.texts('/v1/traces'), [])
  assert.match(receiver.texts('/v1/metrics').join(''), /demo\.work/)
})

test('without an endpoint nothing is sent and no line claims a trace', async () => {
  const lines = await runOnce({ LONGTAKE_TRACE_RATIO: '1' })
  assert.ok(lines.some(({ message }) => message === 'worked'))
  assert.ok(lines.every((line) => !('trace_id' in line)))
})

test('a receiver that is gone delays a stop and does not fail it', async () => {
  const receiver = await startReceiver()
  await receiver[Symbol.asyncDispose]()
  const lines = await runOnce({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, LONGTAKE_TRACE_RATIO: '1' })
  assert.ok(lines.some(({ level }) => level === 'warn'), JSON.stringify(lines))
})
