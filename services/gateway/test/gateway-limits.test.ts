import assert from 'node:assert/strict'
import { setImmediate as nextTick } from 'node:timers/promises'
import { test } from 'node:test'
import { LIMITS } from '../src/limits.ts'
import { bytes, CLIENT, HEAD, openMessage, WEBCAM } from './conversation.ts'
import { last, OTHER, Scene } from './scene.ts'

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
