import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { ConnectionState } from '../src/api.ts'
import type { Spool } from '../src/spool/spool.ts'
import { Uplink } from '../src/upload/uplink.ts'
import { CONNECT_TIMEOUT_MS, UploadSession } from '../src/upload/upload-session.ts'
import { FakeTimers, settled } from './media-fakes.ts'

/** A socket that does what the test says. */
class FakeSocket extends EventTarget {
  static readonly OPEN = 1
  static all: FakeSocket[] = []
  readonly sent: { type: string }[] = []
  readyState = 1
  bufferedAmount = 0

  readonly protocols: string[]

  constructor(_url: string, protocols: string[]) {
    super()
    this.protocols = protocols
    FakeSocket.all.push(this)
  }

  send(frame: string): void {
    this.sent.push(JSON.parse(frame) as { type: string })
  }

  close(): void {
    this.readyState = 3
  }

  says(message: object): void {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }))
  }

  welcomes(): void {
    this.says({ type: 'welcome', session: 's', serverTime: new Date().toISOString(), maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000 })
  }

  breaks(code: number): void {
    this.dispatchEvent(new CloseEvent('close', { code }))
  }
}

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

function running(token: string | (() => string | Promise<string>) = 't') {
  const states: ConnectionState[] = []
  const errors: string[] = []
  const uplink = new Uplink(
    { url: 'ws://g/v1/ingest/s?client=c', token, session: new UploadSession(), spool: {} as Spool, timers: timers.worker },
    { connection: (state) => states.push(state), progressed: () => undefined, error: ({ code }) => errors.push(code), settled: () => undefined, ended: () => undefined },
  )
  uplink.start()
  return { uplink, states, errors }
}
const sockets = (): number => FakeSocket.all.length
const last = (): FakeSocket => FakeSocket.all.at(-1)!

test('a token function that never answers is asked again, and its late answer connects nothing', async () => {
  const answers: ((token: string) => void)[] = []
  const { uplink } = running(() => new Promise((resolve) => answers.push(resolve)))
  await timers.pass(CONNECT_TIMEOUT_MS + 5000)
  assert.equal(answers.length, 2)
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
