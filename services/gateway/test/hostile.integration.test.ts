import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { bytes, CLIENT, frame, HEAD } from './conversation.ts'
import { newSession, prepareTopics, startGateway, tokenFor, type TestGateway } from './running-gateway.ts'

const DOCUMENTED = new Set([4400, 4413, 4422, 4429])
let gateway: TestGateway

before(async () => {
  await prepareTopics()
  // About the shortest silence that uWebSockets.js knows.
  gateway = await startGateway({ limits: { silenceMs: 4000, heartbeatMs: 1000 } })
})
after(() => gateway[Symbol.asyncDispose]())

/** A WebSocket without a library's good manners: it answers no ping and reads only when told to. */
async function rudeClient(): Promise<Socket> {
  const session = newSession()
  const socket = connect(gateway.port, '127.0.0.1')
  const token = await tokenFor(session)
  socket.write(
    `GET /v1/ingest/${session}?client=${CLIENT} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  )
  await once(socket, 'data')
  return socket
}

/** A masked text frame (RFC 6455, 5.2) with a mask of zeros. */
function textFrame(text: string): Buffer {
  assert.ok(text.length < 126)
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
}

test('whatever frames come, a gateway answers or closes with a documented code, and serves the next client', async () => {
  const chunkLike = fc.tuple(fc.nat(3), fc.nat(3), fc.uint8Array({ maxLength: 100 }), fc.boolean()).map(([handle, seq, payload, honest]) => (honest ? frame(handle, seq, payload) : frame(handle, seq, payload, '00'.repeat(32))))
  const anything = fc.oneof(fc.string(), fc.json(), fc.uint8Array({ maxLength: 300 }), chunkLike)
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { minLength: 1, maxLength: 10 }), async (frames) => {
      const client = await gateway.connect()
      await client.open({ track: 'webcam', mimeType: 'video/webm' })
      for (const data of frames) client.sendRaw(data)
      const outcome = await Promise.race([client.ping(1).catch(() => client.closed()), client.closed()])
      if (outcome !== undefined) assert.ok(DOCUMENTED.has(outcome), `closed with ${outcome}`)
      await client.disconnect()
    }),
    { numRuns: 100 },
  )
  const client = await gateway.connect()
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm' })
  await client.sendAll(part, [HEAD])
  await client.allAcknowledged()
  await client.disconnect()
})

test('bytes that are no WebSocket frames break only their own connection', async () => {
  const bystander = await gateway.connect()
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (garbage) => {
      const socket = await rudeClient()
      socket.end(garbage)
      await once(socket.resume(), 'close')
    }),
    { numRuns: 30 },
  )
  await bystander.ping()
  await bystander.disconnect()
})

test('a client that answers nothing, not even pings, is disconnected; one that only answers pings is not', async () => {
  const quiet = await gateway.connect()
  const silent = await rudeClient()
  await once(silent.resume(), 'close')
  assert.deepEqual(quiet.closes, [])
  await quiet.disconnect()
})

test('a client that does not read is disconnected before much waits for it', async () => {
  const socket = await rudeClient()
  socket.pause()
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => textFrame('{"type":"ping","t":1234567890.123}')))
  // It goes on sending; only the answers are not read.
  while (!socket.destroyed) {
    if (!socket.write(pings)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
  }
  await closed
})

test('a client that stops in the middle of a chunk is told nothing and keeps nothing', async () => {
  const socket = await rudeClient()
  const data = frame(0, 0, bytes(1000))
  socket.write(Buffer.concat([Buffer.from([0x82, 0xfe, data.length >> 8, data.length & 0xff, 0, 0, 0, 0]), data.subarray(0, 500)]))
  await once(socket.resume(), 'close')
})
