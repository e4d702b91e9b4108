import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeStreamFrame, OPCODES, type AnswerHead } from '@longtake/contracts'
import { LIMITS } from '../src/limits.ts'
import type { LiveConnection } from '../src/live-connection.ts'
import { PollingConnection, type Exchange } from '../src/polling-connection.ts'
import { bytes, CLIENT, NOW } from './conversation.ts'

class Answer implements Exchange {
  given: { status: number; head: AnswerHead; texts: string[] } | undefined

  answer(status: number, body: string): void {
    const [head = '', ...texts] = body.split('\n')
    this.given = { status, head: JSON.parse(head) as AnswerHead, texts }
  }
}

const tick = (): Promise<void> => Promise.resolve()

/** A connection that has been opened, with a protocol behind it that only records. */
async function scene() {
  const heard: unknown[] = []
  const live = {
    isOpen: true,
    receiveRequest: () => undefined,
    receiveRepeated: (count: number) => void (count > 0 && heard.push(['again', count])),
    receiveText: (frame: Uint8Array) => heard.push(Buffer.from(frame).toString()),
    receiveBinary: (frame: Uint8Array) => heard.push(frame.length),
    receiveTooLarge: (size: number) => heard.push(['too-large', size]),
    gone(code: number, reason: string) {
      live.isOpen = false
      heard.push(['gone', code, reason])
    },
  }
  const opening = new Answer()
  const connection = new PollingConnection(
    { session: 's-1', client: CLIENT, expiresAt: NOW + 1e6 },
    LIMITS,
    opening,
    NOW,
  )
  connection.attach(live as unknown as LiveConnection)
  connection.send('welcome')
  await tick()
  const poll = (after: number, now = NOW) => {
    const answer = new Answer()
    return { answer, refusal: connection.receive(after, answer, now) }
  }
  const text = (frame: string): Uint8Array => encodeStreamFrame(OPCODES.text, Buffer.from(frame))
  return { connection, heard, opening, poll, text }
}

test('the opening is answered with a key and the first frames', async () => {
  const { opening, connection } = await scene()
  assert.deepEqual(opening.given, { status: 200, head: { connection: connection.key, first: 0 }, texts: ['welcome'] })
  assert.match(connection.key, /^[\w-]{43}$/)
})

test('frames of one moment go out together, in the request that is held', async () => {
  const { connection, poll } = await scene()
  const { answer } = poll(1)
  connection.send('ack 1')
  connection.send('ack 2')
  assert.equal(answer.given, undefined)
  await tick()
  assert.deepEqual(answer.given, { status: 200, head: { first: 1 }, texts: ['ack 1', 'ack 2'] })
})

test('frames of a lost answer are sent again', async () => {
  const { connection, poll } = await scene()
  connection.send('ack 1')
  assert.deepEqual(poll(0).answer.given?.texts, ['welcome', 'ack 1'])
  assert.deepEqual(poll(1).answer.given, { status: 200, head: { first: 1 }, texts: ['ack 1'] })
  assert.equal(poll(2).answer.given, undefined)
  assert.equal(poll(3).refusal?.code, 'REC_MALFORMED')
})

test('a held request is answered without frames after the hold time, or when another arrives', async () => {
  const { connection, poll } = await scene()
  const first = poll(1).answer
  const second = poll(1).answer
  assert.deepEqual(first.given?.texts, [])
  connection.tick(NOW + LIMITS.pollHoldMs - 1)
  assert.equal(second.given, undefined)
  connection.tick(NOW + LIMITS.pollHoldMs)
  assert.deepEqual(second.given, { status: 200, head: { first: 1 }, texts: [] })
})

test('frames are kept when the client aborts the held request', async () => {
  const { connection, poll } = await scene()
  const broken = poll(1).answer
  connection.abandoned(broken)
  connection.send('ack 1')
  await tick()
  assert.equal(broken.given, undefined)
  assert.deepEqual(poll(1).answer.given?.texts, ['ack 1'])
})

test('repeated bytes are skipped and counted against the limits', async () => {
  const { connection, heard, text } = await scene()
  const body = Buffer.concat([text('a'), text('b'), encodeStreamFrame(OPCODES.binary, bytes(10))])
  connection.receiveBytes(0, body.subarray(0, 8), NOW)
  connection.receiveBytes(0, body, NOW)
  connection.receiveBytes(0, body, NOW)
  assert.deepEqual(heard, ['a', ['again', 8], 'b', 10, ['again', body.length]])
  assert.deepEqual(JSON.parse(connection.sendAnswer), { received: body.length })
})

test('bytes behind a hole are refused, and nothing of them is received', async () => {
  const { connection, heard, text } = await scene()
  assert.equal(connection.receiveBytes(1, text('a'), NOW)?.status, 409)
  assert.deepEqual(heard, [])
})

test('a close is reported by the next answers, after the frames that precede it', async () => {
  const { connection, heard, poll } = await scene()
  connection.send('error')
  connection.end(4429, 'REC_OVERLOADED')
  const closed = { code: 4429, reason: 'REC_OVERLOADED' }
  assert.deepEqual(heard, [['gone', 4429, 'REC_OVERLOADED']])
  assert.deepEqual(poll(1).answer.given, { status: 200, head: { first: 1, closed }, texts: ['error'] })
  assert.deepEqual(poll(1).answer.given?.head.closed, closed)
  assert.deepEqual(JSON.parse(connection.sendAnswer), { received: 0, closed })
  assert.equal(connection.tick(performance.now()), false)
  assert.equal(connection.tick(performance.now() + 60_000), true)
})

test('a close frame of the client ends the connection with its code', async () => {
  for (const [payload, code] of [
    [[0x03, 0xe8], 1000],
    [[], 1005],
  ] as const) {
    const { connection, heard } = await scene()
    connection.receiveBytes(0, encodeStreamFrame(OPCODES.close, Uint8Array.from(payload)), NOW)
    assert.deepEqual(heard, [['gone', code, '']])
  }
})

test('a client without a request for a while is disconnected; one that polls or uploads slowly is not', async () => {
  const { connection, heard, poll, text } = await scene()
  const { answer } = poll(1)
  let now = NOW
  const pass = (ms: number): void => {
    for (const end = now + ms; now < end; ) connection.tick((now += 1000))
  }
  pass(LIMITS.pollHoldMs - 1000)
  connection.abandoned(answer)
  pass(LIMITS.pollGapMs - 1000)
  connection.receiveBytes(0, text('slow').subarray(0, 3), now)
  pass(LIMITS.pollGapMs - 1000)
  assert.deepEqual(heard, [])
  pass(1000)
  assert.deepEqual(heard, [['gone', 1006, 'inactivity']])
})

test('unread frames of a client are bounded', async () => {
  const { connection } = await scene()
  const sent = Array.from({ length: 70 }, () => connection.send('x'.repeat(1024)))
  assert.equal(sent.filter(Boolean).length, 63)
})
