import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { RecorderError } from '../src/api.ts'
import { deferred } from '../src/deferred.ts'
import { PartRun, READ_PATIENCE_MS } from '../src/capture/part-run.ts'
import { Spool } from '../src/spool/spool.ts'
import type { Action } from '../src/upload/action.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { spoolKey } from './spool-key.ts'

const STARTED = { mimeType: 'video/webm', startedAt: 1000 }

async function running(opened: Promise<typeof STARTED> = Promise.resolve(STARTED)) {
  const session = new UploadSession()
  session.connecting(0)
  session.message({ type: 'welcome', session: 's', serverTime: new Date(0).toISOString(), maxChunkBytes: 1000, windowBytes: 1_000_000, heartbeatMs: 10_000 }, 0)
  const spool = await Spool.create({ session: randomUUID(), client: 'c', ingestUrl: '', startedAt: 0 }, await spoolKey())
  const actions: Action[] = []
  const errors: RecorderError[] = []
  const run = new PartRun('webcam', opened, { session, spool, perform: (more) => void actions.push(...more), error: (error) => void errors.push(error) })
  return { run, session, spool, actions, errors }
}

const kinds = (actions: Action[]): string[] => actions.map((action) => (action.do === 'send' ? action.message.type : action.do))

test('what the browser hands over is numbered, cut and sent in its order, however long the digests take', async () => {
  const { run, spool, actions, errors } = await running()
  const bytes = new Uint8Array(2600).map((_, index) => index % 253)
  run.add(new Blob([bytes.subarray(0, 2500)]), 10)
  run.add(new Blob([]), 15)
  run.add(new Blob([bytes.subarray(2500, 2501)]), 20)
  run.add(new Blob([bytes.subarray(2501)]), 30)
  await run.close(true)
  assert.deepEqual(kinds(actions), ['note-opened', 'open', ...Array.from({ length: 5 }, () => 'send-chunk'), 'close'])
  const sent = actions.filter((action) => action.do === 'send-chunk')
  assert.deepEqual(sent.map(({ seq, capturedAt }) => [seq, capturedAt]), [[0, 10], [1, 10], [2, 10], [3, 20], [4, 30]])
  const kept = (await Promise.all(sent.map(({ part, seq }) => spool.readChunk(part, seq)))).filter((chunk) => typeof chunk === 'object')
  assert.deepEqual(new Uint8Array(await new Blob(kept.map((chunk) => chunk.payload)).arrayBuffer()), bytes)
  for (const chunk of kept) assert.deepEqual(Buffer.from(chunk.sha256), createHash('sha256').update(Buffer.from(chunk.payload)).digest())
  const last = actions.at(-1)
  assert.ok(last?.do === 'send' && last.message.type === 'close' && last.message.chunks === 5 && last.message.clean)
  assert.deepEqual(errors, [])
  await spool.close()
})

test('nothing is said of a part before it is opened', async () => {
  const opened = deferred<typeof STARTED>()
  const { run, spool, actions } = await running(opened.promise)
  run.add(new Blob(['a']), 10)
  const closed = run.close(true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(actions, [])
  opened.resolve(STARTED)
  await closed
  assert.deepEqual(kinds(actions), ['note-opened', 'open', 'send-chunk', 'close'])
  await spool.close()
})

for (const [name, cause] of [
  ['QuotaExceededError', 'quota'],
  ['UnknownError', 'store-failed'],
] as const) {
  test(`a chunk that the store refuses with ${name} is declared lost, and the next ones go on`, async () => {
    const { run, spool, actions, errors } = await running()
    const addChunk = spool.addChunk.bind(spool)
    spool.addChunk = (chunk) => (chunk.seq === 1 ? Promise.reject(new DOMException('full', name)) : addChunk(chunk))
    for (const text of ['a', 'b', 'c']) run.add(new Blob([text]), 0)
    await run.close(true)
    assert.deepEqual(kinds(actions), ['note-opened', 'open', 'send-chunk', 'lost', 'send-chunk', 'close'])
    const lost = actions.find((action) => action.do === 'send' && action.message.type === 'lost')
    assert.ok(lost?.do === 'send' && lost.message.type === 'lost' && lost.message.from === 1 && lost.message.to === 1 && lost.message.cause === cause)
    assert.deepEqual(errors.map(({ code }) => code), ['spool-failed'])
    await spool.close()
  })
}

test('a blob whose bytes the browser never gives is declared lost in time, and the next ones go on', async (t) => {
  const { run, spool, actions, errors } = await running()
  const deaf = new Blob(['b'])
  const waiting = deferred<void>()
  deaf.arrayBuffer = () => {
    waiting.resolve()
    return new Promise(() => undefined)
  }
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const blob of [new Blob(['a']), deaf, new Blob(['c'])]) run.add(blob, 0)
  const closed = run.close(true)
  await waiting.promise
  t.mock.timers.tick(READ_PATIENCE_MS)
  await closed
  assert.deepEqual(kinds(actions), ['note-opened', 'open', 'send-chunk', 'lost', 'send-chunk', 'close'])
  const lost = actions.find((action) => action.do === 'send' && action.message.type === 'lost')
  assert.ok(lost?.do === 'send' && lost.message.type === 'lost' && lost.message.cause === 'store-failed')
  assert.deepEqual(errors.map(({ code }) => code), ['spool-failed'])
  t.mock.timers.reset()
  await spool.close()
})
