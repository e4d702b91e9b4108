import assert from 'node:assert/strict'
import { setImmediate as nextTick } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { partitionOf, type ClientRequest, type ServerMessage } from '@longtake/contracts'
import { createLogger } from '@longtake/service'
import { Gateway, type GatewayOptions } from '../src/gateway.ts'
import { LIMITS } from '../src/limits.ts'
import { closeReason, type LiveConnection } from '../src/live-connection.ts'
import { bytes, CLIENT, frame, HEAD, openMessage, SCREEN, WEBCAM } from './conversation.ts'

const OTHER = '6f8a1b54-8f0e-4a5c-9a51-3f1f5f3b7c22'
type Sent = Parameters<GatewayOptions['send']>[0]

/** A gateway with a Kafka that answers when told to, and clients whose sockets remember. */
class Scene {
  readonly gateway: Gateway
  readonly kafka: { record: Sent; resolve: () => void; reject: (error: Error) => void }[] = []

  constructor(context: TestContext, options: Partial<GatewayOptions> = {}) {
    context.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now: Date.parse('2026-03-01T12:00:00Z') })
    this.gateway = new Gateway({
      instance: 'gateway-1', partitions: 12, maxConnections: 10, inFlightBytes: 1_000_000, windowBytes: 200_000, backlogBytes: 100_000_000, limits: LIMITS,
      logger: createLogger({ service: 'gateway', level: 'silent' }),
      steadyMs: () => Date.now(),
      send: (record) => new Promise((resolve, reject) => this.kafka.push({ record, resolve: () => resolve(undefined), reject })),
      ...options,
    })
  }

  connect(client = CLIENT, session = 's-1') {
    const seen: { messages: ServerMessage[]; closed: number | undefined; pings: number; reads: boolean } = { messages: [], closed: undefined, pings: 0, reads: true }
    const closed = (code: number): void => {
      seen.closed = code
      live.gone(code)
    }
    const socket = {
      transport: 'websocket' as const,
      send: (text: string) => seen.reads && seen.messages.push(JSON.parse(text) as ServerMessage) > 0,
      ping: () => void (seen.pings += 1),
      end: closed,
      terminate: () => closed(1006),
      batch: (work: () => void) => work(),
    }
    const live: LiveConnection = this.gateway.connect(socket, { session, client, expiresAt: Date.now() + 3_600_000 })
    return { live, seen, says: (message: object) => live.receiveText(Buffer.from(JSON.stringify(message))), sends: (seq: number, payload: Uint8Array) => live.receiveBinary(frame(0, seq, payload)) }
  }

  kinds(): string[] {
    return this.kafka.map(({ record }) => record.headers['kind'] ?? '')
  }

  /** Kafka takes all that waits, and what follows from it has happened. */
  async settle(): Promise<void> {
    for (const { resolve } of this.kafka.splice(0)) resolve()
    await nextTick()
    await nextTick()
  }
}

const last = (messages: ServerMessage[]): ServerMessage | undefined => messages.at(-1)
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

test('while Kafka is slow windows go to 0, then senders are sent away and nobody new is taken in; all opens again after', async (context) => {
  const scene = new Scene(context, { maxConnections: 100 })
  const [laptop, phone] = [scene.connect(), scene.connect(OTHER)]
  for (const { says } of [laptop, phone]) says(openMessage(0, WEBCAM))
  await scene.settle()
  const windows = (): number[] => phone.seen.messages.flatMap((message) => (message.type === 'window' ? [message.windowBytes] : []))
  let held = 0
  for (let round = 0; held < 1_000_000 && round < 100; round += 1) {
    const client = scene.connect(`6f8a1b54-8f0e-4a5c-9a51-${String(round).padStart(12, '0')}`, 's-3')
    client.says(openMessage(0, WEBCAM))
    if (client.seen.closed === undefined) client.sends(1, bytes(90_000))
    held = scene.kafka.reduce((sum, { record }) => sum + record.value.length, 0)
    if (client.seen.closed === undefined) continue
    assert.equal(client.seen.closed, 4429)
    break
  }
  assert.deepEqual(windows(), [100_000, 50_000, 12_500, 0], 'first narrower as clients come, then as memory fills')
  assert.ok(held <= 1_000_000, 'what is held stays below the limit')
  assert.ok(held > 800_000)
  await scene.settle()
  assert.deepEqual(windows().slice(4), [12_500, 50_000])
  assert.equal(scene.gateway.refusal(), undefined)
})

test('of more clients than windows fit, all that send at once stay within the limit: who finds it full is sent away, comes again and gets through', async (context) => {
  // A tenth of 10,000 clients in a tenth of 256 MiB, each with a chunk as large as its window.
  const [clients, limit, chunk] = [1000, Math.floor((256 * 1024 * 1024) / 10), bytes(64 * 1024)]
  const scene = new Scene(context, { maxConnections: clients, inFlightBytes: limit, windowBytes: 4 * 1024 * 1024, limits: { ...LIMITS, maxChunkBytes: chunk.length } })
  const held = (): number => scene.kafka.reduce((sum, { record }) => sum + record.value.length, 0)
  const acknowledged = ({ seen }: ReturnType<Scene['connect']>): boolean => seen.messages.some(({ type }) => type === 'ack')
  let left = Array.from({ length: clients }, (_, i) => `session-${i}`)
  for (let round = 0; left.length > 0; round += 1) {
    assert.ok(round < 10, `${left.length} clients never get through`)
    const connected = left.map((session) => ({ session, client: scene.connect(CLIENT, session) }))
    await scene.settle()
    for (const { client } of connected) client.says(openMessage(0, WEBCAM))
    await scene.settle()
    if (round === 0) assert.deepEqual(last(connected[0]!.client.seen.messages.filter(({ type }) => type === 'window')), { type: 'window', windowBytes: 64 * 1024 })
    for (const { client } of connected) client.sends(1, chunk)
    assert.ok(held() <= limit, `${held()} bytes are held`)
    const away = connected.filter(({ client }) => client.seen.closed !== undefined)
    assert.ok(round > 0 || away.length > 0, 'the first time it is too much')
    assert.ok(away.every(({ client }) => client.seen.closed === 4429))
    await scene.settle()
    for (const { client } of connected) assert.equal(acknowledged(client), client.seen.closed === undefined)
    left = away.map(({ session }) => session)
  }
  assert.equal(scene.gateway.refusal(), 'REC_OVERLOADED', 'as many as it takes are connected')
})

test('above its number of connections a gateway refuses', async (context) => {
  const scene = new Scene(context, { maxConnections: 1 })
  const { live } = scene.connect()
  assert.equal(scene.gateway.refusal(), 'REC_OVERLOADED')
  live.gone(1000)
  assert.equal(scene.gateway.refusal(), undefined)
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

test('a backlog near its limit shuts windows, one at the limit refuses chunks and connections, and both end by themselves', async (context) => {
  const scene = new Scene(context, { backlogBytes: 1000 * 64 * 1024 })
  const { live, seen, says, sends } = scene.connect()
  says(openMessage(0, WEBCAM))
  await scene.settle()
  assert.equal(scene.gateway.backlogReason, undefined)

  scene.gateway.sawBacklog(900)
  assert.deepEqual(last(seen.messages), { type: 'window', windowBytes: 0 })
  assert.match(scene.gateway.backlogReason ?? '', /send windows are closed/)
  assert.equal(scene.gateway.refusal(), undefined)

  scene.gateway.sawBacklog(1100)
  assert.equal(scene.gateway.refusal(), 'REC_BACKLOG_FULL')
  // What ends a recording still gets through: a few bytes.
  says({ type: 'report', event: 'paused', track: 'webcam', at: '2026-03-01T12:00:00Z' })
  assert.equal(live.isOpen, true)
  sends(0, bytes(10))
  assert.equal(seen.closed, 4429)
  assert.ok(seen.messages.some((message) => message.type === 'error' && message.code === 'REC_BACKLOG_FULL'))
  assert.ok(!scene.kinds().includes('chunk'), 'what is refused is not sent to Kafka')

  scene.gateway.sawBacklog(100)
  assert.equal(scene.gateway.refusal(), undefined)
  const again = scene.connect()
  const [welcome] = again.seen.messages
  assert.ok(welcome?.type === 'welcome' && welcome.windowBytes > 1)
})

test('a backlog that is full while only the progress of block-writer cannot be read ends with what the log holds', async (context) => {
  const scene = new Scene(context, { backlogBytes: 1000 * 64 * 1024 })
  scene.gateway.sawBacklog(1100)
  assert.equal(scene.gateway.refusal(), 'REC_BACKLOG_FULL')
  scene.gateway.missedBacklog('Kafka is away')
  assert.equal(scene.gateway.refusal(), 'REC_BACKLOG_FULL')
  scene.gateway.sawBacklog(100, 'Group authorization failed')
  assert.equal(scene.gateway.refusal(), undefined)
  assert.deepEqual(scene.gateway.checkBacklog(), { ready: true, reason: 'Group authorization failed' })
})

test('chunks of a session that has parked all that it may are refused before they are acknowledged, for an hour', async (context) => {
  const scene = new Scene(context)
  const part = openMessage(0, WEBCAM)
  const before = scene.connect()
  before.says(part)
  before.sends(1, bytes(10))
  await scene.settle()
  assert.equal(last(before.seen.messages)?.type, 'ack')
  scene.gateway.handle({ type: 'parking-full', session: 's-1', at: '2026-03-01T12:00:00Z' })
  before.sends(2, bytes(10))
  assert.deepEqual([before.seen.closed, last(before.seen.messages)].map((it) => (typeof it === 'object' && 'code' in it ? it.code : it)), [4429, 'REC_PARKING_FULL'])
  await scene.settle()

  const again = scene.connect()
  again.says(part)
  again.says({ type: 'close', ...WEBCAM, chunks: 3, clean: true })
  await scene.settle()
  assert.equal(last(again.seen.messages)?.type, 'durable', 'what ends a recording gets through')
  again.sends(2, bytes(10))
  assert.equal(again.seen.closed, 4429)
  const other = scene.connect(CLIENT, 's-2')
  other.says(part)
  other.sends(2, bytes(10))
  assert.equal(other.live.isOpen, true)
  assert.equal(scene.kinds().filter((kind) => kind === 'chunk').length, 1)
  await scene.settle()

  for (let minute = 0; minute < 59; minute += 1) context.mock.timers.tick(60_000)
  const late = scene.connect()
  late.says(part)
  context.mock.timers.tick(60_000)
  late.sends(2, bytes(10))
  assert.equal(late.live.isOpen, true)
})

test('one session can take no more connections than its share, and what is refused leaves no trace in Kafka', async (context) => {
  const scene = new Scene(context, { maxConnections: 100 })
  const clients = Array.from({ length: 30 }, (_, i) => `6f8a1b54-8f0e-4a5c-9a51-${String(i).padStart(12, '0')}`)
  const connected = clients.map((client) => scene.connect(client))
  await nextTick()
  const { maxConnections } = LIMITS.perSession
  assert.equal(connected.filter(({ live }) => live.isOpen).length, maxConnections)
  for (const { seen } of connected.slice(maxConnections)) {
    assert.deepEqual([seen.closed, seen.messages.map((message) => message.type === 'error' && message.code)], [4429, ['REC_TOO_MANY_CONNECTIONS']])
  }
  assert.deepEqual(scene.kinds(), Array.from({ length: maxConnections }, () => 'client-connected'))

  assert.equal(scene.gateway.refusal(), undefined)
  const other = scene.connect(CLIENT, 's-2')
  assert.equal(other.live.isOpen, true)
  // A connection that ends makes room.
  connected[0]!.live.end('REC_MALFORMED')
  assert.equal(scene.connect(OTHER).live.isOpen, true)
})

test('answers above the rate of a session come as time passes, without a frame of the client', async (context) => {
  const limits = { ...LIMITS, perSession: { ...LIMITS.perSession, records: { burst: 1, perSecond: 1 } } }
  const scene = new Scene(context, { limits })
  const { seen, says, sends } = scene.connect()
  says(openMessage(0, WEBCAM))
  sends(0, HEAD)
  sends(1, bytes(10))
  await scene.settle()
  const acknowledged = (): number => Math.max(-1, ...seen.messages.map((message) => (message.type === 'ack' ? message.to : -1)))
  assert.equal(acknowledged(), -1)
  context.mock.timers.tick(1050)
  assert.equal(acknowledged(), 0)
  context.mock.timers.tick(1050)
  assert.equal(acknowledged(), 1)
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
