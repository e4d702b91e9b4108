import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeChunksRecord, decodeEvent, encodeClientRequest } from '@longtake/contracts'
import { ConnectionRefused } from '@longtake/testkit'
import { bytes, frame, HEAD, sha256 } from './conversation.ts'
import { newSession, prepareTopics, publish, recordsOf, startGateway, tokenFor, type TestGateway } from './running-gateway.ts'

const WEBM = { track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' }
const WINDOW = 256 * 1024
let gateway: TestGateway

before(async () => {
  await prepareTopics()
  gateway = await startGateway({ env: { LONGTAKE_GATEWAY_WINDOW: '256KiB' } })
})
after(() => gateway[Symbol.asyncDispose]())

test('what is acknowledged is in Kafka: chunks byte by byte, declarations, and the news of the client', async () => {
  const session = newSession()
  const client = await gateway.connect({ session, tokenAs: 'subprotocol' })
  assert.equal(client.welcome.windowBytes, WINDOW)
  const part = await client.open(WEBM)
  const chunks = [HEAD, ...Array.from({ length: 40 }, (_, i) => bytes(50_000, i))]
  await client.sendAll(part, chunks)
  await client.allAcknowledged()
  client.report('muted', 'webcam')
  await client.lost(part, 41, 42, 'quota')
  await client.close(part)
  await client.finish()
  await client.disconnect()
  assert.deepEqual(client.violations, [])

  const stored = (await settledRecords(session, 'chunks', 'client-left')).map((record) => decodeChunksRecord({ ...record, headers: { ...record.headers } }))
  const payloads = stored.flatMap((record) => ('kind' in record ? [record] : []))
  assert.deepEqual(payloads.map(({ seq }) => seq), chunks.map((_, seq) => seq))
  for (const { seq, payload, sha256: digest, client: sender, part: of, track } of payloads) {
    assert.ok(Buffer.from(chunks[seq] ?? []).equals(payload), `chunk ${seq}`)
    assert.deepEqual({ digest, sender, of, track }, { digest: sha256(payload), sender: client.id, of: part, track: 'webcam' })
  }
  const declared = stored.flatMap((record) => ('type' in record ? [record.type] : []))
  assert.deepEqual(declared, ['part-opened', 'chunks-lost', 'part-closed', 'session-finished', 'client-left'])
  const events = (await settledRecords(session, 'events', 'client-disconnected')).map((record) => decodeEvent({ ...record, headers: { ...record.headers } }))
  assert.deepEqual(events.map((event) => 'type' in event && event.type), ['client-connected', 'client-reported', 'client-disconnected'])
})

/** The session's records once the one of this kind is there. */
async function settledRecords(session: string, topic: 'chunks' | 'events', kind: string) {
  for (;;) {
    const records = await recordsOf(session, topic)
    if (records.some(({ headers }) => headers['kind'] === kind)) return records
  }
}

test('without a good token there is no upgrade', async () => {
  const session = newSession()
  const refused = (status: number) => (error: unknown) => error instanceof ConnectionRefused && error.status === status
  const connect = (token: string, client: string = randomUUID()) => gateway.connect({ session, token, client })
  await assert.rejects(connect('no-token'), refused(401))
  await assert.rejects(connect(await tokenFor(newSession())), refused(401))
  await assert.rejects(connect(await tokenFor(session, { scope: 'watch' })), refused(401))
  await assert.rejects(connect(await tokenFor(session, { seconds: -1 })), refused(401))
  await assert.rejects(connect(await tokenFor(session), 'no-uuid'), refused(400))
  assert.equal((await fetch(gateway.url.replace('ws:', 'http:'))).status, 404)
})

test('every fault of a client is answered with its error and close code', async () => {
  const limit = 1_048_576
  const cases: [string, number, (client: Awaited<ReturnType<TestGateway['connect']>>, part: string) => void | Promise<unknown>][] = [
    ['REC_MALFORMED', 4400, (client) => client.sendRaw('no json')],
    ['REC_MALFORMED', 4400, (client) => client.sendRaw(bytes(20))],
    ['REC_MALFORMED', 4400, (client) => client.sendRaw('')],
    ['REC_MALFORMED', 4400, (client) => client.sendRaw('[['.repeat(400_000))],
    ['REC_UNKNOWN_HANDLE', 4400, (client) => client.sendRaw(frame(200, 0, HEAD))],
    ['REC_HANDLE_TAKEN', 4400, (client) => client.sendRaw(JSON.stringify({ type: 'open', handle: 0, track: 'screen', part: randomUUID(), mimeType: 'video/webm', startedAt: '2026-03-01T12:00:00Z' }))],
    ['REC_TOO_LARGE', 4413, (client, part) => client.send(part, 1, bytes(limit + 1))],
    ['REC_TOO_LARGE', 4413, (client, part) => client.send(part, 1, bytes(3 * limit))],
    ['REC_TOO_LARGE', 4413, (client) => client.sendRaw(`"${'x'.repeat(limit + 100)}"`)],
    ['REC_NOT_A_RECORDING', 4422, (client, part) => client.send(part, 0, Buffer.from('RIFF....WAVE'))],
    ['REC_DIGEST_MISMATCH', 4422, (client, part) => client.send(part, 1, bytes(10), { sha256: bytes(32) })],
    ['REC_WINDOW_EXCEEDED', 4429, (client, part) => [1, 2].forEach((seq) => client.send(part, seq, bytes(WINDOW)))],
  ]
  for (const [code, close, fault] of cases) {
    const client = await gateway.connect()
    const part = await client.open(WEBM)
    await fault(client, part)
    assert.equal(await client.closed(), close, code)
    assert.deepEqual(client.errors.map((error) => error.code), [code])
    assert.deepEqual(client.closes, [{ code: close, reason: code }])
    assert.deepEqual(client.violations, [])
  }
})

test('a frame far beyond the limit just breaks the connection', async () => {
  const client = await gateway.connect()
  client.sendRaw(bytes(5 * 1024 * 1024))
  assert.equal(await client.closed(), 1006)
})

test('a mismatch names its chunk; the others are acknowledged on the next connection', async () => {
  const client = await gateway.connect()
  const part = await client.open(WEBM)
  client.send(part, 0, HEAD)
  client.send(part, 1, bytes(10), { sha256: bytes(32) })
  await client.closed()
  const [{ track, part: of, seq } = {}] = client.errors
  assert.deepEqual({ track, of, seq }, { track: 'webcam', of: part, seq: 1 })
  await client.reconnect()
  await client.allAcknowledged()
  await client.disconnect()
  assert.deepEqual(client.violations, [])
})

test('at its expiry a token ends the connection with 4401', async () => {
  const session = newSession()
  const client = await gateway.connect({ session, token: await tokenFor(session, { seconds: 1 }) })
  assert.equal(await client.closed(), 4401)
  assert.equal(client.errors[0]?.code, 'REC_EXPIRED')
})

test('a newer connection takes over, on the same gateway and from another one', async () => {
  await using other = await startGateway()
  const session = newSession()
  const options = { session, client: randomUUID() }
  const first = await gateway.connect(options)
  await first.ping()
  const second = await gateway.connect(options)
  assert.equal(await first.closed(), 4409)
  await second.ping()
  const phone = await gateway.connect({ session })
  const third = await other.connect(options)
  await third.ping()
  assert.equal(await second.closed(), 4409)
  const fourth = await gateway.connect(options)
  await fourth.ping()
  assert.equal(await third.closed(), 4409)
  for (const client of [phone, fourth]) {
    await client.ping()
    await client.disconnect()
  }
})

test('requests from Kafka reach the clients of the session', async () => {
  const session = newSession()
  const client = await gateway.connect({ session, answerResends: 'kept' })
  const part = await client.open(WEBM)
  await client.sendAll(part, [HEAD, bytes(10)])
  await client.allAcknowledged()
  await publish('resends', { key: session, value: Buffer.from('{"type":"of a later version"}'), headers: { kind: 'x' } })
  await publish('resends', encodeClientRequest({ type: 'resend-requested', session, track: 'webcam', part, from: 1, to: 1, at: new Date().toISOString() }))
  await client.resendAsked(part, 1)
  await publish('resends', encodeClientRequest({ type: 'clients-dismissed', session, at: new Date().toISOString() }))
  assert.equal(await client.closed(), 4410)
  assert.equal(client.errors[0]?.code, 'REC_DELETED')
})

test('above its number of connections a gateway says so after the upgrade', async () => {
  await using full = await startGateway({ env: { LONGTAKE_GATEWAY_MAX_CONNECTIONS: '1' } })
  const first = await full.connect()
  await assert.rejects(full.connect(), /4429 REC_OVERLOADED/)
  await first.disconnect()
})

test('a gateway that stops acks what is in flight and sends its clients to another one', async () => {
  await using other = await startGateway()
  const stopping = await startGateway()
  const client = await stopping.connect()
  const part = await client.open(WEBM)
  for (let seq = 0; seq < 60; seq += 1) client.send(part, seq, seq === 0 ? HEAD : bytes(50_000, seq))
  await client.acknowledged(part, 0)
  await stopping[Symbol.asyncDispose]()
  assert.equal(await client.closed(), 1012)
  assert.equal(client.errors[0]?.code, 'REC_RESTARTING')
  await assert.rejects(stopping.connect())
  await client.reconnect({ url: other.url })
  await client.allAcknowledged()
  await client.disconnect()
  assert.deepEqual(client.violations, [])
})

test('a port that is taken is refused, even by another gateway', async () => {
  await assert.rejects(startGateway({ env: { LONGTAKE_GATEWAY_PORT: String(gateway.port) } }), /cannot listen/)
})
