import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { ConnectionState, TransportKind } from '../src/api.ts'
import type { Spool } from '../src/spool/spool.ts'
import { LONGEST_DELAY_MS, READS } from '../src/upload/delayed-chunks.ts'
import { LONGEST_FAULT_MS } from '../src/upload/read-faults.ts'
import { Uplink } from '../src/upload/uplink.ts'
import { CONNECT_TIMEOUT_MS } from '../src/upload/link.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { FakeSocket } from './fake-socket.ts'
import { FakeTimers, settled } from './media-fakes.ts'
import { PollingGateway } from './polling-gateway.ts'

let timers: FakeTimers
let page: EventTarget & { visibilityState: string }
const { WebSocket: realWebSocket } = globalThis
beforeEach(() => {
  timers = new FakeTimers()
  page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  FakeSocket.all = []
  const listening = { addEventListener: page.addEventListener.bind(page), removeEventListener: page.removeEventListener.bind(page) }
  Object.assign(globalThis, { WebSocket: FakeSocket, document: page, ...listening })
})
afterEach(() => {
  timers.restore()
  Object.assign(globalThis, { WebSocket: realWebSocket })
})

function running(token: string | (() => string | Promise<string>) = 't', readChunk: Spool['readChunk'] = () => assert.fail('nothing is to be read')) {
  const states: ConnectionState[] = []
  const transports: (TransportKind | null)[] = []
  const errors: string[] = []
  const session = new UploadSession({ ownsClient: true })
  const spool = { readChunk, noteOpened: () => Promise.resolve(), forgetChunks: () => Promise.resolve() } as unknown as Spool
  const uplink = new Uplink(
    { url: 'ws://g/v1/ingest/s?client=c', token, session, spool, timers: timers.worker },
    { connection: (state, transport) => void (states.push(state), transports.push(transport)), progressed: () => undefined, error: ({ code }) => errors.push(code), settled: () => undefined, ended: () => undefined },
  )
  uplink.start()
  return { uplink, session, states, transports, errors }
}
const sockets = (): number => FakeSocket.all.length
const last = (): FakeSocket => FakeSocket.all.at(-1)!

test('a token function that never answers is asked again, and its late answer connects nothing', async () => {
  const answers: ((token: string) => void)[] = []
  const { uplink, errors } = running(() => new Promise((resolve) => answers.push(resolve)))
  await timers.pass(CONNECT_TIMEOUT_MS + 5000)
  assert.equal(answers.length, 2)
  assert.deepEqual(errors, ['token-failed'])
  answers[0]!('late')
  await settled()
  assert.equal(sockets(), 0)
  answers[1]!('fresh')
  await settled()
  assert.deepEqual(last().protocols, ['longtake.v1', 'bearer.fresh'])
  uplink.stop()
})

test('each connection has a token of its own, and a token function that throws is asked again', async () => {
  const tokens = ['first', new Error('no'), 'second']
  const { uplink, errors, states } = running(() => {
    const next = tokens.shift()!
    if (typeof next === 'string') return next
    throw next
  })
  await settled()
  last().welcomes()
  last().breaks(1006)
  await timers.pass(10_000)
  assert.deepEqual(FakeSocket.all.map(({ protocols }) => protocols[1]), ['bearer.first', 'bearer.second'])
  assert.deepEqual(errors, ['token-failed'])
  assert.deepEqual(states, ['connecting', 'connected', 'offline', 'connecting', 'offline', 'connecting'])
  uplink.stop()
})

test('back online it does not wait: neither for the next try nor for one that began without a network', async () => {
  const { uplink } = running()
  await settled()
  page.dispatchEvent(new Event('online'))
  await settled()
  assert.equal(sockets(), 2)
  assert.equal(FakeSocket.all[0]!.readyState, 3, 'the attempt before is given up')
  last().breaks(1006)
  page.dispatchEvent(new Event('online'))
  await settled()
  assert.equal(sockets(), 3)
  await timers.pass(10_000)
  assert.equal(sockets(), 3, 'and the try that it waited for is not made as well')
  uplink.stop()
})

test('a line on which nothing is recorded hears something at least every 30 s, in both directions', async () => {
  const { uplink } = running()
  await settled()
  last().welcomes()
  let quietMs = 0
  let longestMs = 0
  for (let ms = 0; ms < 600_000; ms += 1000) {
    const pings = last().sent.length
    await timers.pass(1000)
    quietMs = last().sent.length > pings ? 0 : quietMs + 1000
    longestMs = Math.max(longestMs, quietMs)
    if (quietMs === 0) last().says({ type: 'pong', t: 0 })
  }
  assert.equal(sockets(), 1)
  assert.ok(longestMs < 30_000, `${longestMs} ms`)
  uplink.stop()
})

test('when the network has changed an open connection has to show that it lives', async () => {
  const { uplink } = running()
  await settled()
  last().welcomes()
  page.dispatchEvent(new Event('online'))
  assert.deepEqual(last().sent.map(({ type }) => type), ['ping'])
  await timers.pass(20_000)
  assert.ok(sockets() > 1, 'it did not')
  uplink.stop()
})

test('a page that is looked at again tries at once, but leaves what is under way', async () => {
  const { uplink } = running()
  await settled()
  page.dispatchEvent(new Event('visibilitychange'))
  await settled()
  assert.equal(sockets(), 1)
  last().breaks(1006)
  page.dispatchEvent(new Event('visibilitychange'))
  await settled()
  assert.equal(sockets(), 2)
  uplink.stop()
  page.dispatchEvent(new Event('online'))
  await timers.pass(60_000)
  assert.equal(sockets(), 2, 'and nothing after the end')
})

for (const ms of [-3_600_000, 3_600_000]) {
  test(`a clock that is set by ${ms} ms is learned anew by one other connection`, async () => {
    const { uplink } = running()
    await settled()
    last().welcomes()
    await timers.pass(5000)
    assert.equal(sockets(), 1)
    timers.setClock(ms)
    await timers.pass(5000)
    assert.equal(sockets(), 2)
    last().welcomes()
    await timers.pass(10_000)
    assert.equal(sockets(), 2)
    uplink.stop()
  })
}

test('a device that has slept connects once, though its link broke before anyone looked at its clocks', async () => {
  const { uplink } = running()
  await settled()
  last().welcomes()
  timers.sleep(600_000)
  last().breaks(1006)
  page.dispatchEvent(new Event('visibilitychange'))
  await settled()
  last().welcomes()
  uplink.checkClock()
  await timers.pass(5000)
  assert.equal(sockets(), 2)
  uplink.stop()
})

const PART = { track: 'webcam', part: '11111111-1111-4111-8111-111111111111', mimeType: 'video/webm', startedAt: 1000 }
const sentChunks = (): (number | undefined)[] => FakeSocket.all.flatMap(({ sent }) => sent.filter(({ type }) => type === 'chunk').map(({ seq }) => seq))
const lost = (): object[] => FakeSocket.all.flatMap(({ sent }) => sent.filter(({ type }) => type === 'lost'))

/** Three chunks are to be sent, of which the first is read as the test says. */
async function sendingAround(firstRead: () => ReturnType<Spool['readChunk']>): Promise<ReturnType<typeof running>> {
  const started = running('t', async (_part, seq) => (seq === 0 ? firstRead() : { payload: new ArrayBuffer(10), sha256: new Uint8Array(32) }))
  started.uplink.perform(started.session.openPart(PART))
  for (const seq of [0, 1, 2]) started.session.chunkSpooled(PART.part, { seq, bytes: 10, capturedAt: seq })
  await settled()
  last().welcomes()
  await settled()
  return started
}

test('while the store is away what it had waits, on one connection, and is lost to nobody', async () => {
  let isAway = true
  const { uplink, errors } = await sendingAround(() => (isAway ? Promise.reject(new Error('away')) : Promise.resolve({ payload: new ArrayBuffer(10), sha256: new Uint8Array(32) })))
  assert.deepEqual(sentChunks(), [1, 2])
  last().says({ type: 'ack', handle: 0, from: 1, to: 2 })
  for (let i = 0; i < 60; i++) {
    await timers.pass(10_000)
    last().says({ type: 'pong', t: 0 })
  }
  assert.deepEqual([sentChunks(), lost(), sockets(), [...new Set(errors)]], [[1, 2], [], 1, ['spool-failed']])
  assert.ok(errors.length <= 11, `${errors.length} errors in ten minutes`)
  isAway = false
  await timers.pass(30_000)
  assert.deepEqual(sentChunks(), [1, 2, 0])
  uplink.stop()
})

test('a chunk that the store never gives, though it is well, is declared lost after some tries; the others are sent at once', async () => {
  let reads = 0
  const { uplink, errors } = await sendingAround(() => {
    reads += 1
    return Promise.resolve('unreadable')
  })
  assert.deepEqual([sentChunks(), reads], [[1, 2], 1])
  await timers.pass(120_000)
  const { track, part } = PART
  assert.deepEqual([lost(), reads, errors], [[{ type: 'lost', track, part, from: 0, to: 0, cause: 'corrupt' }], READS, []])
  uplink.stop()
})

test('while the store gives no bytes at all nothing is taken for damaged, for ten minutes', async () => {
  let isDamaged = true
  const { uplink, session } = running('t', () => Promise.resolve(isDamaged ? 'unreadable' : { payload: new ArrayBuffer(10), sha256: new Uint8Array(32) }))
  uplink.perform(session.openPart(PART))
  for (let seq = 0; seq < 10; seq++) session.chunkSpooled(PART.part, { seq, bytes: 10, capturedAt: seq })
  await settled()
  last().welcomes()
  const stays = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10_000) {
      await timers.pass(10_000)
      last().says({ type: 'pong', t: 0 })
    }
  }
  await stays(LONGEST_FAULT_MS - 60_000)
  assert.deepEqual(lost(), [])
  isDamaged = false
  await stays(30_000)
  assert.equal(new Set(sentChunks()).size, 10)
  isDamaged = true
  for (let seq = 10; seq < 20; seq++) uplink.perform(session.chunkSpooled(PART.part, { seq, bytes: 10, capturedAt: seq }))
  await stays(LONGEST_FAULT_MS + 5 * LONGEST_DELAY_MS)
  assert.equal(lost().length, 10)
  uplink.stop()
})

test('a recorder that is said to be taken over goes on as another client, whatever waits, and fights nobody for its name', async () => {
  const { uplink } = await sendingAround(() => Promise.resolve({ payload: new ArrayBuffer(10), sha256: new Uint8Array(32) }))
  last().breaks(4409)
  await timers.pass(5000)
  last().welcomes()
  await settled()
  const clients = FakeSocket.all.map(({ url }) => new URL(url).searchParams.get('client'))
  assert.equal(new Set(clients).size, 2)
  assert.deepEqual(sentChunks(), [0, 1, 2, 0, 1, 2])
  uplink.stop()
})

const WELCOME = { type: 'welcome', session: 's', serverTime: '2026-03-01T12:00:00Z', maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000 }

/** Time passes in steps of 500 ms. @returns how many milliseconds it took */
async function passUntil(holds: () => boolean): Promise<number> {
  for (let ms = 0; ms < 120_000; ms += 500) {
    if (holds()) return ms
    await timers.pass(500)
  }
  assert.fail(`never: ${String(holds)}`)
}

function untilNextSocket(): Promise<number> {
  const before = sockets()
  return passUntil(() => sockets() > before)
}

/** As long as WebSockets are blocked. */
async function connectedByPolling() {
  const gateway = new PollingGateway()
  gateway.says(WELCOME)
  const recording = running()
  for (let i = 0; i < 3; i++) {
    await passUntil(() => last()?.readyState === 1)
    last().breaks(1006)
    last().close()
  }
  await passUntil(() => recording.transports.at(-1) === 'polling')
  return { ...recording, gateway }
}

test('where WebSockets are blocked it polls, and says so', async () => {
  const { uplink, gateway, session, states, transports } = await connectedByPolling()
  assert.deepEqual([states.at(-1), transports.at(-1)], ['connected', 'polling'])
  assert.equal(sockets(), 3)
  uplink.perform(session.openPart({ track: 'webcam', part: 'p', mimeType: 'video/webm', startedAt: 0 }))
  await settled()
  assert.match(String(gateway.frames.at(-1)), /"type":"open"/)
  uplink.stop()
  gateway.restore()
})

test('after an outage it is a WebSocket again, though polling answers first', async () => {
  const gateway = new PollingGateway()
  gateway.says(WELCOME)
  const { uplink, transports } = running()
  for (let i = 0; i < 2; i++) {
    await passUntil(() => last()?.readyState === 1)
    last().breaks(1006)
    last().close()
  }
  await untilNextSocket()
  last().welcomes()
  assert.deepEqual(transports.filter((transport) => transport !== null), ['websocket'])
  assert.deepEqual(gateway.frames, ['close'])
  uplink.stop()
  gateway.restore()
})

test('a WebSocket that hangs while polling answers is blocked', async () => {
  const gateway = new PollingGateway()
  gateway.says(WELCOME)
  const { uplink, transports } = running()
  const tookMs = await passUntil(() => transports.at(-1) === 'polling')
  assert.ok(tookMs < 2 * CONNECT_TIMEOUT_MS, `${tookMs} ms`)
  uplink.stop()
  gateway.restore()
})

test('while it polls a WebSocket is tried as another client, and used as soon as it works', async () => {
  const { uplink, gateway, transports } = await connectedByPolling()
  const firstMs = await untilNextSocket()
  assert.notEqual(new URL(last().url).searchParams.get('client'), 'c')
  last().breaks(1006)
  assert.ok((await untilNextSocket()) > firstMs, 'it waits longer each time')
  assert.equal(transports.at(-1), 'polling')
  last().welcomes()
  assert.equal(last().sent.at(-1)?.type, 'ping')
  last().says({ type: 'pong', t: 0 })
  await untilNextSocket()
  assert.equal(new URL(last().url).searchParams.get('client'), 'c')
  last().welcomes()
  assert.equal(transports.at(-1), 'websocket')
  assert.equal(gateway.frames.at(-1), 'close')
  uplink.stop()
  gateway.restore()
})

test('a WebSocket that is welcomed and breaks at once does not take the place of polling for long', async () => {
  const { uplink, gateway, transports } = await connectedByPolling()
  await untilNextSocket()
  last().welcomes()
  last().says({ type: 'pong', t: 0 })
  for (let i = 0; i < 3; i++) {
    await untilNextSocket()
    last().welcomes()
    last().breaks(1006)
  }
  await passUntil(() => transports.at(-1) === 'polling')
  uplink.stop()
  gateway.restore()
})
