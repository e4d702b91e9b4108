import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { PollingTransport } from '../src/upload/polling-transport.ts'
import { FakeTimers, settled } from './media-fakes.ts'
import { PollingGateway } from './polling-gateway.ts'

let timers: FakeTimers
let gateway: PollingGateway
beforeEach(() => {
  timers = new FakeTimers()
  gateway = new PollingGateway()
})
afterEach(() => {
  timers.restore()
  gateway.restore()
})

async function opened() {
  const seen: { frames: string[]; closed: number[] } = { frames: [], closed: [] }
  const events = { text: (frame: string) => seen.frames.push(frame), closed: (code: number) => seen.closed.push(code) }
  const transport = new PollingTransport('wss://g/pre/v1/ingest/s?client=c', 'jwt', events, timers.worker)
  await settled()
  return { transport, seen }
}
/** Lets requests and their answers happen, and every pause between them. */
const pass = async (): Promise<void> => timers.pass(10_000)

test('frames go in order to the address of the WebSocket, and answers come back as they were said', async () => {
  gateway.says({ type: 'welcome' })
  const { transport, seen } = await opened()
  assert.deepEqual([gateway.url, gateway.token], ['https://g/pre/v1/ingest/s/http/receive?client=c', 'jwt'])
  transport.send('one')
  transport.send(new Uint8Array(100_000))
  transport.send('two')
  gateway.says({ type: 'ack' })
  await pass()
  assert.deepEqual(gateway.frames, ['one', 100_000, 'two'])
  assert.equal(transport.bufferedBytes, 0)
  assert.deepEqual(seen, { frames: ['{"type":"welcome"}', '{"type":"ack"}'], closed: [] })
  transport.close()
})

test('what was sent before the connection is open goes out once it is', async () => {
  const { transport } = await opened()
  transport.send('early')
  await pass()
  assert.deepEqual(gateway.frames, ['early'])
  transport.close()
})

test('requests and answers that get lost, and pages that stand in their place, are made up for', async () => {
  const { transport, seen } = await opened()
  gateway.next = ['lost', 'refuse', 'html', 'lost']
  transport.send('one')
  gateway.says({ type: 'pong' })
  await pass()
  transport.send('two')
  gateway.says({ type: 'ack' })
  await pass()
  assert.deepEqual(gateway.frames, ['one', 'two'])
  assert.deepEqual(seen, { frames: ['{"type":"pong"}', '{"type":"ack"}'], closed: [] })
  transport.close()
})

test('a network that stays away ends the connection, once', async () => {
  const { transport, seen } = await opened()
  gateway.next = Array.from({ length: 50 }, () => 'refuse')
  transport.send('one')
  gateway.says({ type: 'ack' })
  await timers.pass(60_000)
  assert.deepEqual(seen.closed, [1006])
  transport.send('nothing any more')
  assert.ok(gateway.operations.length < 15)
})

test('a request without an answer is given up', async () => {
  const { seen } = await opened()
  await timers.pass(300_000)
  assert.ok(gateway.operations.filter((operation) => operation === 'receive').length > 1)
  assert.deepEqual(seen.closed, [1006])
})

test('the code of the server is the code of the end, behind what it said before', async () => {
  const { seen } = await opened()
  gateway.says({ type: 'error' })
  gateway.closes(4429)
  await pass()
  assert.deepEqual(seen, { frames: ['{"type":"error"}'], closed: [4429] })
})

test('a refusal is reported as the error and close code that it is', async () => {
  gateway.next = [{ status: 401, code: 'REC_EXPIRED' }]
  const { seen } = await opened()
  assert.deepEqual(seen, { frames: ['{"type":"error","code":"REC_EXPIRED","message":"no"}'], closed: [4401] })
  const second = await opened()
  gateway.next = [{ status: 404, code: 'REC_UNKNOWN_CONNECTION' }]
  second.transport.send('one')
  await pass()
  assert.deepEqual(second.seen.closed, [4404])
})

test('a proxy that answers for a server that is away is no refusal', async () => {
  const { transport, seen } = await opened()
  gateway.next = [{ status: 503, code: 'unavailable' }]
  transport.send('one')
  await pass()
  assert.deepEqual([gateway.frames, seen.closed], [['one'], []])
  transport.close()
})

test('a page that opens where the gateway should be is no connection', async () => {
  gateway.next = ['html']
  const { seen } = await opened()
  assert.deepEqual(seen, { frames: [], closed: [1006] })
})

test('small requests outlive the page, and so does the close', async () => {
  const { transport, seen } = await opened()
  transport.send('the page is closed')
  await pass()
  assert.equal(gateway.keepalive, true)
  transport.send(new Uint8Array(10_000))
  await pass()
  assert.equal(gateway.keepalive, false)
  transport.close()
  await pass()
  assert.deepEqual(gateway.frames, ['the page is closed', 10_000, 'close'])
  assert.equal(gateway.keepalive, true)
  assert.deepEqual(seen.closed, [], 'whoever closes is not told')
})

test('closed with frames under way it sends nothing any more', async () => {
  const { transport } = await opened()
  gateway.next = ['refuse']
  transport.send('one')
  transport.close()
  await pass()
  assert.deepEqual(gateway.frames, [])
})
