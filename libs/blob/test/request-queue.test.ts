import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CongestionWindow } from '../src/congestion-window.ts'
import { MAX_QUEUED, RequestQueue, type Lane, type Slot } from '../src/request-queue.ts'

/** A queue of two requests and 1,000 bytes at once that records in which order requests are sent. */
function given(limits = { initial: 2, min: 2, max: 2, maxBytes: 1_000 }) {
  const queue = new RequestQueue(new CongestionWindow(limits), () => 0)
  const sent: string[] = []
  const slots = new Map<string, Slot>()
  return {
    queue,
    sent,
    async ask(name: string, lane: Lane = 'upload', bytes = 1, signal?: AbortSignal): Promise<void> {
      const slot = await queue.slot(lane, bytes, signal)
      sent.push(name)
      slots.set(name, slot)
    },
    async answer(name: string): Promise<void> {
      slots.get(name)!.release('abandoned')
      await settled()
    },
  }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('no more requests are under way than the window allows; the others follow in their order', async () => {
  const it = given()
  for (const name of ['a', 'b', 'c', 'd']) void it.ask(name)
  await settled()
  assert.deepEqual(it.sent, ['a', 'b'])
  await it.answer('b')
  assert.deepEqual(it.sent, ['a', 'b', 'c'])
  assert.deepEqual([it.queue.inFlight, it.queue.queued], [2, 1])
})

test('no more bytes are under way than the window allows; one larger request goes alone', async () => {
  const it = given()
  void it.ask('large', 'upload', 5_000)
  void it.ask('small', 'upload', 10)
  await settled()
  assert.deepEqual(it.sent, ['large'])
  await it.answer('large')
  assert.deepEqual(it.sent, ['large', 'small'])
})

test('a commit does not wait for uploads under way, and the room for that is bounded', async () => {
  const it = given()
  for (const name of ['a', 'b', 'c']) void it.ask(name)
  for (const name of ['commit 1', 'commit 2']) void it.ask(name, 'control')
  await settled()
  assert.deepEqual(it.sent, ['a', 'b', 'commit 1'])
})

test('uploads and reads do not starve behind any number of control requests, nor one behind the other', async () => {
  const it = given({ initial: 1, min: 1, max: 1, maxBytes: 1_000 })
  for (let n = 0; n < 30; n++) void it.ask(`control ${n}`, 'control')
  for (let n = 0; n < 2; n++) void it.ask(`upload ${n}`)
  for (let n = 0; n < 2; n++) void it.ask(`read ${n}`, 'read')
  await settled()
  while (it.sent.length < 20) for (const name of it.sent.slice()) await it.answer(name)
  for (const name of ['upload 0', 'upload 1', 'read 0', 'read 1', 'control 9']) assert.ok(it.sent.slice(0, 20).includes(name), `${name} in ${it.sent.join()}`)
})

test('an abort takes a request out of the queue with its reason and lets those behind it go', async () => {
  const it = given()
  const leaving = new AbortController()
  void it.ask('a', 'upload', 900)
  const left = it.ask('left', 'upload', 500, leaving.signal)
  void it.ask('b', 'upload', 50)
  await settled()
  assert.deepEqual(it.sent, ['a'])
  const reason = new Error('not needed any more')
  leaving.abort(reason)
  await assert.rejects(left, (error) => error === reason)
  await settled()
  assert.deepEqual(it.sent, ['a', 'b'])
  await assert.rejects(it.ask('late', 'upload', 1, leaving.signal), (error) => error === reason)
})

test('a full queue refuses at once, counts it, and says that trying again may help', async () => {
  const it = given()
  for (let n = 0; n < 2 + MAX_QUEUED; n++) void it.ask(`${n}`)
  await assert.rejects(it.ask('one too many'), { code: 'BLOB_UNAVAILABLE', retryable: true })
  assert.equal(it.queue.rejected, 1)
})

test('a slot that is released twice counts once', async () => {
  const it = given()
  for (const name of ['a', 'b', 'c', 'd']) void it.ask(name)
  await settled()
  await it.answer('a')
  await it.answer('a')
  assert.equal(it.queue.inFlight, 2)
})
