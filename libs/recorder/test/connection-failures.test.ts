import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, type TestContext } from 'node:test'
import type { ConnectionFailure } from '../src/api.ts'
import { ConnectionFailures, SAY_EVERY_MS, type FailedAttempt } from '../src/upload/connection-failures.ts'
import type { Spool } from '../src/spool/spool.ts'
import { Uplink } from '../src/upload/uplink.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { installFakePage } from './fake-page.ts'
import { FakeSocket } from './fake-socket.ts'
import { FakeTimers, settled } from './media-fakes.ts'
import { PollingGateway } from './polling-gateway.ts'

const ATTEMPT: FailedAttempt = { code: 1006, wasWelcomed: false, url: 'ws://g/v1/ingest/s?client=c', token: 't', retryAt: 0 }

let timers: FakeTimers
let restore: () => void
beforeEach(() => {
  timers = new FakeTimers()
  restore = installFakePage()
  setOnline(true)
})
afterEach(() => {
  timers.restore()
  restore()
  Reflect.deleteProperty(navigator, 'onLine')
})

const setOnline = (value: boolean): void => void Object.defineProperty(navigator, 'onLine', { value, configurable: true })

/** What is said of a connection that failed. `any`: what comes of a request that only asks whether anybody answers. */
function watching(t: TestContext, { any = 'answers', opens = {} }: { any?: 'answers' | 'fails' | 'hangs'; opens?: { status?: number; code?: string; html?: boolean } }) {
  const gateway = new PollingGateway()
  const poll = globalThis.fetch
  const asked: string[] = []
  t.mock.method(globalThis, 'fetch', (url: string, init: RequestInit) => {
    asked.push(init.method ?? 'GET')
    if (init.method === 'POST') return poll(url, init)
    if (any === 'hangs') return new Promise(() => undefined)
    return any === 'fails' ? Promise.reject(new TypeError('Failed to fetch')) : Promise.resolve(new Response(null, { status: 404 }))
  })
  t.after(() => gateway.restore())
  if (opens.status !== undefined) gateway.next = Array.from({ length: 9 }, () => ({ status: opens.status!, code: opens.code! }))
  if (opens.html === true) gateway.next = Array.from({ length: 9 }, () => 'html' as const)
  const said: ConnectionFailure[] = []
  return { failures: new ConnectionFailures((failure) => said.push(failure), timers.worker), said, asked, gateway }
}

for (const [what, world, reason] of [
  ['nothing answers', { any: 'fails' }, 'unreachable'],
  ['the gateway refuses the token', { opens: { status: 401, code: 'REC_UNAUTHORIZED' } }, 'token-refused'],
  ['a proxy answers', { opens: { html: true } }, 'blocked'],
] as const) {
  test(`where ${what}: ${reason}`, async (t) => {
    const { failures, said } = watching(t, world)
    const retryAt = performance.now() + 60_000
    void failures.failed({ ...ATTEMPT, retryAt })
    const before = performance.now()
    while (said.length === 0 && performance.now() - before < 20_000) await timers.pass(1000)
    assert.equal(said[0]?.reason, reason)
    assert.ok(said[0]!.retryInMs > 30_000 && said[0]!.retryInMs <= 60_000)
  })
}

test('where the gateway answers polling: websocket-blocked', async (t) => {
  const { failures, said, gateway } = watching(t, {})
  gateway.says({ type: 'welcome', session: 's', serverTime: new Date().toISOString(), maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000 })
  gateway.says({ type: 'pong', t: 0 })
  void failures.failed(ATTEMPT)
  for (let i = 0; i < 15 && said.length === 0; i++) await timers.pass(1000)
  assert.deepEqual(said, [{ reason: 'websocket-blocked', retryInMs: 0 }])
})

for (const [code, reason] of [[4400, 'protocol-refused'], [4401, 'token-refused'], [4429, 'overloaded'], [1012, 'restarting']] as const) {
  test(`the close code ${code} says it: ${reason}, and nothing is asked`, async (t) => {
    const { failures, said, asked } = watching(t, {})
    await failures.failed({ ...ATTEMPT, code, wasWelcomed: true })
    assert.deepEqual([said.map((failure) => failure.reason), asked], [[reason], []])
  })
}

test('a computer without a network is asked nothing further', async (t) => {
  const { failures, said, asked } = watching(t, {})
  setOnline(false)
  await failures.failed(ATTEMPT)
  assert.deepEqual([said.map(({ reason }) => reason), asked], [['offline'], []])
})

test('the same reason is looked for and said once a minute, another one at once, and one that worked before has none', async (t) => {
  const { failures, said, asked } = watching(t, { any: 'fails' })
  for (let attempt = 0; attempt < 5; attempt++) await failures.failed(ATTEMPT)
  assert.deepEqual(said.map(({ reason }) => reason), ['unreachable'])
  await failures.failed({ ...ATTEMPT, token: null })
  await timers.pass(SAY_EVERY_MS)
  await failures.failed({ ...ATTEMPT, wasWelcomed: true })
  await failures.failed(ATTEMPT)
  assert.deepEqual(said.map(({ reason }) => reason), ['unreachable', 'no-token', 'unreachable'])
  assert.equal(asked.length, 2)
})

test('a request that hangs ends in time', async (t) => {
  const { failures, said } = watching(t, { any: 'hangs' })
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const looking = failures.failed(ATTEMPT)
  await settled()
  t.mock.timers.tick(5000)
  await looking
  assert.deepEqual(said.map(({ reason }) => reason), ['unreachable'])
})

test('an uplink says why its connections fail, and not that one ended which was of use', async (t) => {
  watching(t, { any: 'fails' })
  const said: string[] = []
  const session = new UploadSession({ ownsClient: true })
  const nothing = (): void => undefined
  const events = { connection: nothing, progressed: nothing, error: nothing, settled: nothing, ended: nothing, failed: ({ reason }: ConnectionFailure) => void said.push(reason) }
  const uplink = new Uplink({ url: ATTEMPT.url, token: 't', session, spool: {} as Spool, timers: timers.worker }, events)
  uplink.start()
  await settled()
  FakeSocket.all[0]!.breaks(1006)
  await settled()
  assert.deepEqual(said, ['unreachable'])
  await timers.pass(2000)
  FakeSocket.all[1]!.welcomes()
  session.finish()
  FakeSocket.all[1]!.says({ type: 'durable', of: 'open', track: 'webcam', part: 'p' })
  FakeSocket.all[1]!.breaks(4401)
  await settled()
  assert.deepEqual(said, ['unreachable'])
  uplink.stop()
})
