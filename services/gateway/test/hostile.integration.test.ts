import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { SESSION_LIMITS } from '../src/limits.ts'
import { bytes, CLIENT, frame, HEAD } from './conversation.ts'
import { newSession, prepareTopics, startGateway, tokenFor, type TestGateway } from './running-gateway.ts'

const DOCUMENTED = new Set([4400, 4413, 4422, 4429])
let gateway: TestGateway
const lines: string[] = []

before(async () => {
  await prepareTopics()
  // About the shortest silence that uWebSockets.js knows.
  // Text frames without a limit, so that it is not what ends a client that does not read.
  const perSession = { ...SESSION_LIMITS, texts: { burst: 1e9, perSecond: 1 } }
  gateway = await startGateway({ limits: { silenceMs: 4000, heartbeatMs: 1000, perSession }, onLog: (line) => lines.push(line) })
})
after(() => gateway[Symbol.asyncDispose]())

interface Ended {
  message: string
  session: string
  client: string
  code: number
  reason: string
}

/** What the log says of the end of a session's connection. */
const endOf = (session: string): Ended | undefined => lines.map((line) => JSON.parse(line) as Ended).find((line) => line.message === 'disconnected' && line.session === session)

/** A WebSocket without a library's good manners: it answers no ping and reads only when told to. */
async function rudeClient(session = newSession()): Promise<Socket> {
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

test('each connection that uWebSockets.js breaks by itself is logged with its session and the reason', async () => {
  const tooLong = Buffer.alloc(14)
  tooLong.set([0x82, 0xff], 0)
  tooLong.writeBigUInt64BE(64n * 1024n ** 2n, 2)
  const broken: Record<string, Buffer | undefined> = {
    'too-long-frame': tooLong,
    'invalid-utf8': Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff]),
    'invalid-frame': Buffer.from([0xff, 0x80, 0, 0, 0, 0]),
    silent: undefined,
  }
  await Promise.all(Object.entries(broken).map(async ([reason, data]) => {
    const session = newSession()
    const socket = await rudeClient(session)
    if (data !== undefined) socket.write(data)
    await once(socket.resume(), 'close')
    const { code, client, reason: logged } = endOf(session) ?? {}
    assert.deepEqual({ code, client, logged }, { code: 1006, client: CLIENT, logged: reason })
  }))
})
