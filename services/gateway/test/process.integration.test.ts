import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { json, text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TestClient } from '@longtake/testkit'
import { HEAD } from './conversation.ts'
import { gatewayEnv, newSession, prepareTopics, recordsOf, tokenFor } from './running-gateway.ts'

interface Span {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  attributes: { key: string; value: Record<string, unknown> }[]
}

/** Receives OTLP over HTTP as JSON. */
async function startReceiver() {
  const spans: Span[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const body = (await json(request)) as { resourceSpans?: { scopeSpans: { spans: Span[] }[] }[] }
      for (const resource of body.resourceSpans ?? []) for (const scope of resource.scopeSpans) spans.push(...scope.spans)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { url: `http://127.0.0.1:${address.port}`, spans, [Symbol.dispose]: () => void server.close() }
}

function startProcess(env: Record<string, string>) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../src/main.ts', import.meta.url))], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const output = text(child.stdout)
  const port = new Promise<number>((resolve, reject) => {
    let seen = ''
    child.stdout.on('data', (data: Buffer) => {
      seen += data.toString()
      const line = seen.split('\n').find((candidate) => candidate.includes('"message":"listening"') && candidate.endsWith('}'))
      if (line !== undefined) resolve((JSON.parse(line) as { port: number }).port)
    })
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it listened: ${seen}`)))
  })
  return { child, output, port, exited: once(child, 'exit') }
}

test('a gateway process: one trace from a chunk into Kafka, no token in its words, and an orderly end on SIGTERM', async (context) => {
  await prepareTopics()
  using receiver = await startReceiver()
  const gateway = startProcess({
    ...gatewayEnv(), LONGTAKE_LOG_LEVEL: 'trace', LONGTAKE_GATEWAY_HEALTH_PORT: '0', LONGTAKE_TRACE_RATIO: '1',
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  })
  context.after(() => gateway.child.kill('SIGKILL'))
  const session = newSession()
  const token = await tokenFor(session)
  const client = await TestClient.connect({ url: `ws://127.0.0.1:${await gateway.port}`, session, token, tokenAs: 'subprotocol' })
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm' })
  await client.sendAll(part, [HEAD])
  await client.allAcknowledged()
  gateway.child.kill('SIGTERM')
  assert.equal(await client.closed(), 1012)
  assert.deepEqual(await gateway.exited, [0, null])

  const received = receiver.spans.find(({ name }) => name === 'gateway receive chunk')
  const attributes = Object.fromEntries(received?.attributes.map(({ key, value }) => [key, Object.values(value)[0]]) ?? [])
  assert.deepEqual([attributes['longtake.session'], attributes['longtake.part'], Number(attributes['longtake.seq'])], [session, part, 0])
  const published = receiver.spans.find(({ parentSpanId }) => parentSpanId === received?.spanId)
  assert.equal(published?.name, 'recordings.chunks publish')
  const record = (await recordsOf(session, 'chunks')).find(({ headers }) => headers['kind'] === 'chunk')
  assert.equal(record?.headers['traceparent'], `00-${received?.traceId}-${published?.spanId}-01`)

  const words = (await gateway.output) + JSON.stringify(receiver.spans)
  assert.ok(words.includes(session))
  for (const secret of [token, token.split('.')[2] ?? token]) assert.ok(!words.includes(secret))
})
