import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionRefused, TestClient } from '../src/index.ts'
import { fakeGateway } from './fake-gateway.ts'

const chunks = [1, 2, 3, 4, 5].map((value) => new Uint8Array(400).fill(value))
const webcam = { track: 'webcam', mimeType: 'video/webm' }

async function connected(options: Partial<Parameters<typeof TestClient.connect>[0]> = {}) {
  const gateway = await fakeGateway()
  const client = await TestClient.connect({ url: gateway.url, session: 's1', token: 't', timeoutMs: 3000, ...options })
  return { gateway, client, async [Symbol.asyncDispose]() {
    assert.deepEqual(gateway.malformed, [])
    await client.disconnect()
    await gateway[Symbol.asyncDispose]()
  } }
}

test('a whole recording is sent within the window and acknowledged', async () => {
  await using both = await connected()
  const { client, gateway } = both
  const part = await client.open(webcam)
  await client.sendAll(part, chunks)
  await client.allAcknowledged()
  await client.close(part)
  await client.finish()
  client.report('hidden', 'webcam')
  await client.lost(part, 9, 9, 'quota')
  await client.ping(7)
  assert.deepEqual(gateway.received, [0, 1, 2, 3, 4].map((seq) => `${part}/${seq}`))
  assert.equal(gateway.mostInFlight, 800)
  assert.equal(gateway.badDigests, 0)
  assert.deepEqual(client.ledger(part).closed, { chunks: 5, clean: true })
  assert.deepEqual([...client.ledger(part).acknowledged.values()], chunks)
  assert.deepEqual(gateway.declared.map(({ type }) => type), ['open', 'close', 'finish', 'report', 'lost', 'ping'])
  assert.deepEqual(client.violations, [])
})

test('the token travels as a subprotocol, too, and a refused one is told by its status', async () => {
  await using both = await connected({ tokenAs: 'subprotocol' })
  assert.deepEqual(both.gateway.tokens, ['longtake.v1,bearer.t'])
  await assert.rejects(
    TestClient.connect({ url: both.gateway.url, session: 's1', token: 'wrong', timeoutMs: 3000 }),
    (error: unknown) => error instanceof ConnectionRefused && error.status === 401,
  )
})

test('after a lost connection exactly the chunks that were not acknowledged are sent again, and what was declared', async () => {
  await using both = await connected()
  const { client, gateway } = both
  const part = await client.open(webcam)
  client.send(part, 0, chunks[0] as Uint8Array)
  await client.acknowledged(part, 0)
  gateway.answering = false
  client.send(part, 2, chunks[2] as Uint8Array)
  client.send(part, 1, chunks[1] as Uint8Array)
  const closing = assert.rejects(client.close(part), /the connection ended while waiting for durable close/)
  await client.ping()
  await client.crash()
  await closing
  gateway.answering = true
  gateway.received.length = 0
  gateway.declared.length = 0
  await client.reconnect()
  await client.allAcknowledged()
  assert.deepEqual(gateway.received, [`${part}/1`, `${part}/2`])
  await client.ping()
  assert.deepEqual(gateway.declared.map(({ type }) => type), ['open', 'close', 'ping'])
  assert.deepEqual(client.violations, [])
})

test('with autoReconnect everything comes through any number of lost connections', async () => {
  await using both = await connected({ autoReconnect: true })
  const { client, gateway } = both
  const part = await client.open(webcam)
  gateway.answering = false
  await client.sendAll(part, chunks.slice(0, 2))
  gateway.drop()
  const sending = client.sendAll(part, chunks.slice(2), 2)
  await client.closed()
  gateway.answering = true
  gateway.drop(1012)
  await sending
  await client.allAcknowledged()
  assert.deepEqual([...client.ledger(part).acknowledged.keys()].toSorted((a, b) => a - b), [0, 1, 2, 3, 4])
  assert.deepEqual(client.violations, [])
})

test('a connection on which nothing comes any more is given up for another one', async () => {
  await using both = await connected({ livenessMs: 200, autoReconnect: true })
  const { client, gateway } = both
  const part = await client.open(webcam)
  gateway.deaf = true
  client.send(part, 0, chunks[0] as Uint8Array)
  assert.equal(await client.closed(), 1006)
  gateway.deaf = false
  await client.allAcknowledged()
  assert.deepEqual(client.violations, [])
})

test('what is opened and declared without a connection is said by the next one', async () => {
  await using both = await connected({ autoReconnect: true })
  const { client, gateway } = both
  const first = await client.open(webcam)
  gateway.drop()
  await client.closed()
  const [second] = await Promise.all([client.open(webcam), client.close(first, { chunks: 0 }), client.finish()])
  await client.sendAll(second, chunks)
  await client.allAcknowledged()
  assert.deepEqual(gateway.declared.map(({ type, part }) => (part === undefined ? type : `${type} ${part}`)), [
    `open ${first}`, `open ${first}`, `open ${second}`, `close ${first}`, 'finish',
  ])
  assert.deepEqual(client.violations, [])
})

test('a chunk is repeated within the window', async () => {
  await using both = await connected()
  const { client, gateway } = both
  const part = await client.open(webcam)
  await client.sendAll(part, chunks)
  await client.repeat(part, 1)
  await client.repeat(part, 1)
  await client.ping()
  assert.equal(gateway.received.filter((chunk) => chunk === `${part}/1`).length, 3)
  assert.ok(gateway.mostInFlight <= gateway.windowBytes)
})

test('resends are answered with chunks, or with lost when they were acknowledged or never made', async () => {
  await using both = await connected()
  const { client, gateway } = both
  const part = await client.open(webcam)
  client.send(part, 0, chunks[0] as Uint8Array)
  await client.acknowledged(part, 0)
  gateway.answering = false
  client.send(part, 1, chunks[1] as Uint8Array)
  gateway.say({ type: 'resend', track: 'webcam', part, from: 0, to: 2 })
  await client.resendAsked(part, 2)
  await client.ping()
  assert.deepEqual(gateway.received.slice(2), [`${part}/1`])
  assert.deepEqual(
    gateway.declared.filter(({ type }) => type === 'lost'),
    [
      { type: 'lost', track: 'webcam', part, from: 0, to: 0, cause: 'already-acknowledged' },
      { type: 'lost', track: 'webcam', part, from: 2, to: 2, cause: 'crash' },
    ],
  )
  assert.deepEqual(client.ledger(part).lost, [{ from: 2, to: 2, cause: 'crash' }])
})

test('an ack of what was not sent on this connection is a violation and acknowledges nothing', async () => {
  await using both = await connected()
  const { client, gateway } = both
  const part = await client.open(webcam)
  gateway.answering = false
  client.send(part, 0, chunks[0] as Uint8Array)
  gateway.say({ type: 'ack', handle: 0, from: 1, to: 1 })
  gateway.say({ type: 'ack', handle: 9, from: 0, to: 0 })
  gateway.say({ type: 'durable', of: 'finish' })
  await client.ping()
  assert.equal(client.violations.length, 3)
  assert.equal(client.ledger(part).acknowledged.size, 0)
})

test('a wait in vain ends, and says what it waited for and how far things had come', async () => {
  await using both = await connected({ timeoutMs: 100 })
  const part = await both.client.open(webcam)
  both.gateway.answering = false
  both.client.send(part, 0, chunks[0] as Uint8Array)
  await assert.rejects(both.client.acknowledged(part, 0), /waited 100 ms in vain for the ack of .* chunk 0; connected; webcam: 0 of 1 acknowledged/)
  const closing = both.client.closed()
  both.gateway.drop(4409)
  assert.equal(await closing, 4409)
  await assert.rejects(both.client.acknowledged(part, 0), /the connection ended while waiting .* closed with 4409/)
})
