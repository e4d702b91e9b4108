import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf, type ClientRequest } from '@longtake/contracts'
import { LIMITS } from '../src/limits.ts'
import { closeReason } from '../src/live-connection.ts'
import { bytes, CLIENT, frame, HEAD, openMessage, SCREEN, WEBCAM } from './conversation.ts'
import { last, OTHER, Scene } from './scene.ts'

const moved = (connection: string, at: string): ClientRequest => ({ type: 'client-moved', session: 's-1', client: CLIENT, gateway: 'gateway-2', connection, at })

test('everything of a session goes to its partition, an open before its chunks', async (context) => {
  const scene = new Scene(context)
  const { says, sends } = scene.connect()
  says(openMessage(0, WEBCAM))
  sends(1, bytes(10))
  assert.deepEqual(scene.kinds(), ['client-connected', 'client-moved', 'part-opened', 'chunk'])
  assert.deepEqual(scene.kafka.map(({ record }) => record.topic), ['recordings.events', 'recordings.resends', 'recordings.chunks', 'recordings.chunks'])
  assert.ok(scene.kafka.every(({ record }) => record.partition === partitionOf('s-1', 12) && record.key === 's-1'))
})

test('a chunk is copied before its frame is reused', async (context) => {
  const scene = new Scene(context)
  const { live, says } = scene.connect()
  says(openMessage(0, WEBCAM))
  const reused = frame(0, 1, bytes(10, 5))
  live.receiveBinary(reused)
  reused.fill(0)
  assert.deepEqual(scene.kafka.at(-1)?.record.value, bytes(10, 5))
})

test('acks of one tick go out together', async (context) => {
  const scene = new Scene(context)
  const { says, sends, seen } = scene.connect()
  says(openMessage(0, WEBCAM))
  for (const seq of [1, 2, 3]) sends(seq, bytes(10))
  await scene.settle()
  assert.deepEqual(seen.messages.slice(1), [{ type: 'durable', of: 'open', ...WEBCAM }, { type: 'ack', handle: 0, from: 1, to: 3 }])
})

test('what Kafka finally does not take is never acknowledged, and its client is sent away with 4429', async (context) => {
  const scene = new Scene(context)
  const { says, sends, seen } = scene.connect()
  says(openMessage(0, WEBCAM))
  await scene.settle()
  for (const seq of [1, 2, 3]) sends(seq, bytes(10))
  for (const { reject } of scene.kafka.splice(0)) reject(new Error('too late'))
  await scene.settle()
  assert.ok(!seen.messages.some(({ type }) => type === 'ack'))
  assert.equal(seen.closed, 4429)
})

test('who had given a gateway up while it stood still is welcomed in vain, and not called back from where it went', async (context) => {
  const scene = new Scene(context)
  const stale = scene.connect()
  stale.live.gone(1006)
  await scene.settle()
  assert.ok(!scene.kinds().includes('client-moved'))
})

test('when a client leaves, that is said behind its chunks', async (context) => {
  const scene = new Scene(context)
  const { live, says, sends, seen } = scene.connect()
  says(openMessage(0, WEBCAM))
  sends(1, bytes(10))
  live.gone(1001)
  assert.deepEqual(scene.kinds(), ['client-connected', 'client-moved', 'part-opened', 'chunk', 'client-left', 'client-disconnected'])
  await scene.settle()
  assert.equal(seen.messages.length, 1, 'nothing is sent to a socket that is gone')
})

test('a newer connection of the same client takes over; other clients of the session stay', async (context) => {
  const scene = new Scene(context)
  const old = scene.connect()
  const phone = scene.connect(OTHER)
  const fresh = scene.connect()
  assert.deepEqual([old.seen.closed, phone.seen.closed, fresh.seen.closed], [4409, undefined, undefined])
  assert.equal(last(old.seen.messages)?.type, 'error')
  assert.ok(!scene.kinds().includes('client-left'))
})

test('a client that moved to another gateway is closed here; old news and own news close nobody', async (context) => {
  const scene = new Scene(context)
  const { live, seen } = scene.connect()
  const later = new Date(live.openedAt + 5).toISOString()
  const earlier = new Date(live.openedAt - 5).toISOString()
  scene.gateway.handle(moved('a', later))
  assert.equal(seen.closed, undefined, 'the log has it before ours')
  scene.gateway.handle(moved(live.id, new Date(live.openedAt).toISOString()))
  scene.gateway.handle(moved('b', earlier))
  assert.equal(seen.closed, undefined, 'a repeated announcement of an older connection')
  scene.gateway.handle(moved('c', later))
  assert.equal(seen.closed, 4409)
  assert.ok(!scene.kinds().includes('client-left'), 'the client is not gone')
})

test('missing chunks are asked of who has the part open, else of all clients of the session', async (context) => {
  const scene = new Scene(context)
  const [laptop, phone, stranger] = [scene.connect(), scene.connect(OTHER), scene.connect(CLIENT, 's-2')]
  laptop.says(openMessage(0, WEBCAM))
  const asked = (): boolean[] => [laptop, phone, stranger].map(({ seen }) => seen.messages.some(({ type }) => type === 'resend'))
  scene.gateway.handle({ type: 'resend-requested', session: 's-1', ...WEBCAM, from: 3, to: 4, at: '2026-03-01T12:00:00Z' })
  assert.deepEqual(asked(), [true, false, false])
  assert.deepEqual(last(laptop.seen.messages), { type: 'resend', ...WEBCAM, from: 3, to: 4 })
  scene.gateway.handle({ type: 'resend-requested', session: 's-1', ...SCREEN, from: 0, to: 0, at: '2026-03-01T12:00:00Z' })
  assert.deepEqual(asked(), [true, true, false])
})

test('the clients of a deleted session are closed with 4410', async (context) => {
  const scene = new Scene(context)
  const [laptop, phone, stranger] = [scene.connect(), scene.connect(OTHER), scene.connect(CLIENT, 's-2')]
  scene.gateway.handle({ type: 'clients-dismissed', session: 's-1', at: '2026-03-01T12:00:00Z' })
  assert.deepEqual([laptop, phone, stranger].map(({ seen }) => seen.closed), [4410, 4410, undefined])
})

test('a client that does not read is cut off', async (context) => {
  const scene = new Scene(context)
  const { says, seen } = scene.connect()
  seen.reads = false
  says({ type: 'ping', t: 1 })
  assert.equal(seen.closed, 1006)
})

test('time brings pings, news that a client is still connected, and the end of its token', async (context) => {
  const scene = new Scene(context)
  const { seen } = scene.connect()
  await scene.settle()
  const pass = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) context.mock.timers.tick(1000)
  }
  pass(60)
  assert.equal(seen.pings, 6)
  assert.deepEqual(scene.kinds(), ['client-connected'])
  pass(3540)
  assert.equal(seen.closed, 4401)
})

test('a drain refuses new clients, acks what is in flight, sends all away with 1012 and then ends', async (context) => {
  const scene = new Scene(context)
  const [busy, idle] = [scene.connect(), scene.connect(OTHER)]
  busy.says(openMessage(0, WEBCAM))
  busy.sends(1, bytes(10))
  const drained = scene.gateway.drain(5000)
  assert.deepEqual([busy.seen.closed, idle.seen.closed, scene.gateway.refusal()], [undefined, 1012, 'REC_RESTARTING'])
  await scene.settle()
  await drained
  assert.deepEqual(busy.seen.messages.slice(1).map(({ type }) => type), ['durable', 'ack', 'error'])
  assert.equal(busy.seen.closed, 1012)
})

test('a drain does not wait for Kafka for ever', async (context) => {
  const scene = new Scene(context)
  const { says, seen } = scene.connect()
  says(openMessage(0, WEBCAM))
  const drained = scene.gateway.drain(5000)
  assert.equal(seen.closed, undefined)
  context.mock.timers.tick(5000)
  await drained
  assert.equal(seen.closed, 1012)
  assert.ok(!seen.messages.some(({ type }) => type === 'durable'))
})

test('a wall clock that is set back holds up neither answers nor pings', async (context) => {
  const limits = { ...LIMITS, perSession: { ...LIMITS.perSession, records: { burst: 1, perSecond: 1 } } }
  let setBackMs = 0
  const scene = new Scene(context, { limits, steadyMs: () => Date.now() + setBackMs })
  const notSet = Date.now.bind(Date)
  context.mock.method(Date, 'now', () => notSet() - setBackMs)
  const { seen, says, sends } = scene.connect()
  says(openMessage(0, WEBCAM))
  sends(0, HEAD)
  setBackMs = 3_600_000
  await scene.settle()
  for (let second = 0; second < 15; second += 1) context.mock.timers.tick(1000)
  assert.deepEqual(seen.messages.filter(({ type }) => type === 'ack').map((message) => 'to' in message && message.to), [0])
  assert.equal(seen.pings, 1)
  // What is said of the time is said by the wall clock.
  says({ type: 'close', ...WEBCAM, chunks: 1, clean: true })
  const closed = scene.kafka.find(({ record }) => record.headers['kind'] === 'part-closed')!
  const { at } = JSON.parse(Buffer.from(closed.record.value).toString()) as { at: string }
  assert.equal(at, new Date(Date.now()).toISOString())
})

test('every end has a reason: ours, the client’s, or what broke the connection', () => {
  assert.equal(closeReason(1000, 'whatever a client says'), 'client')
  assert.equal(closeReason(1006, 'Received too big message'), 'too-long-frame')
  assert.equal(closeReason(1006, 'WebSocket timed out from inactivity'), 'silent')
  assert.equal(closeReason(1006, 'Received invalid UTF-8'), 'invalid-utf8')
  assert.equal(closeReason(1006, ''), 'broken')
})
