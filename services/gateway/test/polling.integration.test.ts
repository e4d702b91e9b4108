import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import {
  decodeChunksRecord,
  encodeStreamFrame,
  OPCODES,
  pollingPath,
  type AnswerHead,
  type PollingOperation,
} from '@longtake/contracts'
import { ConnectionRefused } from '@longtake/testkit'
import { bytes, frame, HEAD, openMessage, WEBCAM } from './conversation.ts'
import { newSession, prepareTopics, recordsOf, startGateway, tokenFor, type TestGateway } from './running-gateway.ts'

const WEBM = { track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' }
let gateway: TestGateway

before(async () => {
  await prepareTopics()
  gateway = await startGateway({ env: { LONGTAKE_GATEWAY_WINDOW: '256KiB' } })
})
after(() => gateway[Symbol.asyncDispose]())

interface Answered {
  status: number
  head: AnswerHead & { code?: string }
  frames: { type: string }[]
}

/** A client that sends single requests, right ones or not. */
class RawClient {
  readonly session: string
  readonly client: string = randomUUID()
  connection = ''

  constructor(session = newSession()) {
    this.session = session
  }

  async ask(operation: PollingOperation, head: object | string, body: Uint8Array = Buffer.alloc(0)): Promise<Answered> {
    const text = typeof head === 'string' ? head : `${JSON.stringify(head)}\n`
    const url = `${gateway.url.replace('ws:', 'http:')}${pollingPath(this.session, this.client, operation)}`
    const response = await fetch(url, { method: 'POST', body: Buffer.concat([Buffer.from(text), body]) })
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    assert.equal(response.headers.get('cache-control'), 'no-store')
    const [first = '', ...lines] = (await response.text()).split('\n')
    return {
      status: response.status,
      head: JSON.parse(first) as Answered['head'],
      frames: lines.map((line) => JSON.parse(line) as { type: string }),
    }
  }

  async open(): Promise<Answered> {
    const answer = await this.ask('open', { token: await tokenFor(this.session) })
    this.connection = answer.head.connection ?? ''
    return answer
  }

  send(offset: number, body: Uint8Array): Promise<Answered> {
    return this.ask('send', { connection: this.connection, offset }, body)
  }

  receive(after: number): Promise<Answered> {
    return this.ask('receive', { connection: this.connection, after })
  }
}

const text = (message: object): Uint8Array => encodeStreamFrame(OPCODES.text, Buffer.from(JSON.stringify(message)))
const chunk = (seq: number, payload: Uint8Array): Uint8Array =>
  encodeStreamFrame(OPCODES.binary, frame(0, seq, payload))

test('what is acknowledged over HTTP polling is in Kafka', async () => {
  const session = newSession()
  const client = await gateway.connect({ session, transport: 'polling' })
  const part = await client.open(WEBM)
  const chunks = [HEAD, bytes(900_000, 1), ...Array.from({ length: 40 }, (_, i) => bytes(50_000, i))]
  await client.sendAll(part, chunks)
  await client.allAcknowledged()
  await client.close(part)
  await client.finish()
  await client.disconnect()
  assert.deepEqual(client.violations, [])
  assert.deepEqual(client.closes, [{ code: 1000, reason: '' }])
  const stored = (await recordsOf(session, 'chunks')).map((record) =>
    decodeChunksRecord({ ...record, headers: { ...record.headers } }),
  )
  const payloads = stored.flatMap((record) => ('kind' in record ? [record] : []))
  assert.deepEqual(
    payloads.map(({ payload }) => Buffer.from(payload).equals(chunks.shift()!)),
    Array.from({ length: 42 }, () => true),
  )
})

test('a connection is opened only with a good token', async () => {
  const session = newSession()
  const refused = (status: number) => (error: unknown) => error instanceof ConnectionRefused && error.status === status
  const open = (token: string, client: string = randomUUID()) =>
    gateway.connect({ session, token, client, transport: 'polling' })
  await assert.rejects(open('no-token'), refused(401))
  await assert.rejects(open(await tokenFor(newSession())), refused(401))
  await assert.rejects(open(await tokenFor(session, { scope: 'watch' })), refused(401))
  await assert.rejects(open(await tokenFor(session, { seconds: -1 })), refused(401))
  await assert.rejects(open(await tokenFor(session), 'no-uuid'), refused(400))
})

test('a connection belongs to the session and client that opened it', async () => {
  const mine = new RawClient()
  await mine.open()
  const others = [new RawClient(mine.session), new RawClient()]
  for (const other of others) {
    other.connection = mine.connection
    for (const answer of [await other.send(0, text({ type: 'ping', t: 1 })), await other.receive(0)]) {
      assert.deepEqual([answer.status, answer.head.code], [404, 'REC_UNKNOWN_CONNECTION'])
    }
  }
  mine.connection = 'guessed'
  assert.equal((await mine.receive(0)).status, 404)
})

test('a repeated request changes nothing, and a lost answer is given again', async () => {
  const client = new RawClient()
  const opened = await client.open()
  assert.deepEqual(
    opened.frames.map(({ type }) => type),
    ['welcome'],
  )
  const body = Buffer.concat([text(openMessage(0, WEBCAM)), chunk(0, HEAD), chunk(1, bytes(1000))])
  for (let time = 0; time < 3; time++) assert.deepEqual((await client.send(0, body)).head, { received: body.length })
  const answers: Answered[] = []
  const acked = ({ frames }: Answered): boolean => JSON.stringify(frames.at(-1)).includes('"to":1')
  while (!answers.some(acked)) answers.push(await client.receive(1))
  assert.deepEqual((await client.receive(1)).frames, answers.at(-1)?.frames)
  assert.deepEqual(
    answers.at(-1)?.frames.map(({ type }) => type),
    ['durable', 'ack'],
  )
  const records = await recordsOf(client.session, 'chunks')
  assert.deepEqual(
    records.map(({ headers }) => headers['kind']),
    ['part-opened', 'chunk', 'chunk'],
  )
})

test('a request that breaks off midway loses nothing of what has arrived', async () => {
  const client = new RawClient()
  await client.open()
  const body = Buffer.concat([text({ type: 'ping', t: 1 }), text({ type: 'ping', t: 2 })])
  const half = body.length - 5
  const head = `${JSON.stringify({ connection: client.connection, offset: 0 })}\n`
  const socket = connect(gateway.port, '127.0.0.1')
  await once(socket, 'connect')
  const path = pollingPath(client.session, client.client, 'send')
  socket.write(`POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-length: ${head.length + body.length}\r\n\r\n${head}`)
  socket.write(body.subarray(0, half))
  assert.deepEqual((await client.receive(1)).frames, [{ type: 'pong', t: 1 }])
  socket.destroy()
  assert.deepEqual((await client.send(half, body.subarray(half))).head, { received: body.length })
  assert.deepEqual((await client.receive(2)).frames, [{ type: 'pong', t: 2 }])
})

test('requests that are not of the protocol are refused with a documented code', async () => {
  const client = new RawClient()
  await client.open()
  const { connection } = client
  const refusals: [number, string, Promise<Answered>][] = [
    [400, 'REC_MALFORMED', client.ask('send', 'no json')],
    [400, 'REC_MALFORMED', client.ask('send', '')],
    [400, 'REC_MALFORMED', client.ask('receive', `${' '.repeat(9000)}\n`)],
    [400, 'REC_MALFORMED', client.ask('send', { connection })],
    [400, 'REC_MALFORMED', client.ask('send', { connection, offset: -1 })],
    [400, 'REC_MALFORMED', client.ask('receive', { connection, after: 1.5 })],
    [400, 'REC_MALFORMED', client.ask('receive', { connection, after: 100 })],
    [404, 'REC_UNKNOWN_CONNECTION', client.ask('send', {})],
    [404, 'REC_UNKNOWN_CONNECTION', client.ask('receive', '[]')],
    [409, 'REC_MALFORMED', client.send(10, bytes(10))],
    [413, 'REC_TOO_LARGE', client.send(0, encodeStreamFrame(OPCODES.binary, bytes(520 * 1024)))],
    [401, 'REC_UNAUTHORIZED', client.ask('open', '{}')],
  ]
  for (const [status, code, asked] of refusals) {
    const answer = await asked
    assert.deepEqual([answer.status, answer.head.code], [status, code])
  }
})

test('a fault of the client closes the connection as it would close a WebSocket', async () => {
  const client = await gateway.connect({ transport: 'polling' })
  const part = await client.open(WEBM)
  client.send(part, 1, bytes(1_048_577))
  await client.closed()
  assert.deepEqual(client.closes, [{ code: 4413, reason: 'REC_TOO_LARGE' }])
  assert.equal(client.errors.at(-1)?.code, 'REC_TOO_LARGE')
  const other = new RawClient()
  await other.open()
  const { head } = await other.send(0, Uint8Array.of(9, 0, 0, 0, 0))
  assert.deepEqual(head.closed, { code: 4400, reason: 'REC_MALFORMED' })
})

test('a newer connection of the client takes over, whichever transport each has', async () => {
  const session = newSession()
  const id = randomUUID()
  const first = await gateway.connect({ session, client: id, transport: 'polling' })
  const second = await gateway.connect({ session, client: id })
  await first.closed()
  const third = await gateway.connect({ session, client: id, transport: 'polling' })
  await second.closed()
  assert.deepEqual([first.closes[0]?.code, second.closes[0]?.code, third.connected], [4409, 4409, true])
  await third.disconnect()
})

test('limits of a session hold, and a gateway that ends refuses and releases its clients', async () => {
  const session = newSession()
  const own = await startGateway({ limits: { pollHoldMs: 600_000 } })
  const client = await own.connect({ session, transport: 'polling' })
  const others = await Promise.all(Array.from({ length: 15 }, () => own.connect({ session, transport: 'polling' })))
  await assert.rejects(own.connect({ session, transport: 'polling' }), /4429 REC_TOO_MANY_CONNECTIONS/)
  await own[Symbol.asyncDispose]()
  for (const released of [client, ...others]) await released.closed()
  assert.ok([client, ...others].every(({ closes }) => closes[0]?.code === 1012))
})
