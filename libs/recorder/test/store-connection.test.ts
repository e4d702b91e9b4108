import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { deleteDB, openDB } from 'idb'
import { restorePart } from '../src/recovery/recovery-plan.ts'
import { SPOOL_DATABASE, spooledClients, withSpoolDatabase, WORK_PATIENCE_MS } from '../src/spool/spool-database.ts'
import { Spool, type NewChunk } from '../src/spool/spool.ts'
import { STORE_PATIENCE_MS, STORE_REST_MS } from '../src/spool/store-connection.ts'
import { settled } from './media-fakes.ts'
import { spoolKey } from './spool-key.ts'

const PART = '11111111-1111-4111-8111-111111111111'
const MIB = 1024 * 1024

/** By `performance.now()`. */
let now = 1000
let deadlines: { at: number; task: () => void }[] = []

beforeEach(() => {
  deadlines = []
  mock.method(performance, 'now', () => now)
  mock.method(globalThis, 'setTimeout', (task: () => void, ms: number) => deadlines.push({ at: now + ms, task }))
  mock.method(globalThis, 'clearTimeout', (id: number) => id !== undefined && (deadlines[id - 1]!.at = Infinity))
})
afterEach(() => mock.restoreAll())

const immediate = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await immediate()
}

/** Somebody has just begun to wait for the store, for so long, and the time passes. */
async function waits(ms: number): Promise<void> {
  await until(() => deadlines.some(({ at }) => at === now + ms))
  now += ms
  for (const deadline of deadlines.filter(({ at }) => at <= now)) {
    deadline.at = Infinity
    deadline.task()
  }
  await settled()
}

const chunk = (seq: number, bytes = 1024): NewChunk => ({ part: PART, seq, payload: new Uint8Array(bytes).fill(seq).buffer, capturedAt: 1000 + seq })

async function spoolWith(...seqs: number[]): Promise<{ spool: Spool; session: string }> {
  const session = randomUUID()
  const spool = await Spool.create({ session, client: 'c', ingestUrl: '', startedAt: 5 }, await spoolKey())
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  for (const seq of seqs) await spool.addChunk(chunk(seq))
  return { spool, session }
}

/** What a later page finds. */
async function left(session: string): Promise<{ here: number[]; lost: string[] }> {
  const client = (await withSpoolDatabase(spooledClients)).find((record) => record.session === session)!
  const found = await Spool.resume(client, await spoolKey())
  assert.ok(found !== 'wrong-key')
  const { chunks, lost } = restorePart(found.parts[0]!, found.chunks)
  return { here: chunks.map(({ seq }) => seq), lost: lost.map(({ from, to, cause }) => `${from}-${to} ${cause}`) }
}

/** Another tab that does not end what it began. @returns lets it end */
async function holdStore(): Promise<() => void> {
  const database = await openDB(SPOOL_DATABASE)
  const store = database.transaction('payloads', 'readwrite').objectStore('payloads')
  let held = true
  const hold = (): unknown => held && store.count().then(hold)
  void hold()
  return () => {
    held = false
    database.close()
  }
}

/** Chunk 1 has waited for a store in vain. @returns lets the store answer again */
async function silenceStore(spool: Spool): Promise<() => void> {
  const release = await holdStore()
  const first = spool.addChunk(chunk(1))
  await waits(STORE_PATIENCE_MS)
  await first
  return release
}

/** A request that ends as `error`, or never. */
function request(error: DOMException | null): IDBRequest {
  const fake = Object.assign(Object.create(IDBRequest.prototype) as IDBRequest, {
    addEventListener: (type: string, listener: () => void) => type === 'error' && error !== null && queueMicrotask(listener),
    removeEventListener: () => undefined,
  })
  return Object.defineProperty(fake, 'error', { value: error })
}

/** @param which of the reads ends as `error`, or never */
function spoilReads(which: (store: string, seq: number) => boolean, error: DOMException | null) {
  const get = Reflect.get(IDBObjectStore.prototype, 'get') as (key: IDBValidKey) => IDBRequest
  return mock.method(IDBObjectStore.prototype, 'get', function (this: IDBObjectStore, key: IDBValidKey) {
    return which(this.name, (key as number[])[3]!) ? request(error) : get.call(this, key)
  })
}

const isReadable = (spool: Spool, seq: number): Promise<boolean> => spool.readChunk(PART, seq).then((read) => typeof read === 'object', () => false)

test('a write that never ends holds up one chunk for a while, the next ones not at all, and the store is used again when it is back', async () => {
  const { spool, session } = await spoolWith(0)
  const release = await silenceStore(spool)
  await spool.addChunk(chunk(2))
  for (const seq of [1, 2]) assert.ok(await isReadable(spool, seq), 'it is in memory')
  await assert.rejects(spool.readChunk(PART, 0), { code: 'spool-failed' }, 'and nobody says what became of the others')
  release()
  now += STORE_REST_MS
  await until(() => isReadable(spool, 0))
  assert.deepEqual(await left(session), { here: [0], lost: ['1-2 store-failed'] }, 'whoever comes after the page counts them as lost')
  await spool.addChunk(chunk(3))
  await until(() => !spool.overflows)
  await spool.close()
  assert.deepEqual(await left(session), { here: [0, 1, 2, 3], lost: [] }, 'until the store takes them after all')
})

test('a store that stays away is tried again now and then, and nobody waits for it', async () => {
  const { spool, session } = await spoolWith(0)
  const release = await silenceStore(spool)
  for (let seq = 2; seq < 5; seq++) {
    now += STORE_REST_MS
    await spool.addChunk(chunk(seq))
    await waits(STORE_PATIENCE_MS)
  }
  release()
  now += STORE_REST_MS
  await until(() => isReadable(spool, 0))
  await spool.addChunk(chunk(5))
  await spool.close()
  assert.deepEqual((await left(session)).here, [0, 1, 2, 3, 4, 5])
})

test('a store that is taken away and does not open again costs one wait, and memory stays bounded', async () => {
  const { spool } = await spoolWith(0)
  await deleteDB(SPOOL_DATABASE)
  const opening = mock.method(IDBFactory.prototype, 'open', () => request(null))
  const first = spool.addChunk(chunk(1, 3 * MIB))
  await waits(10_000)
  await first
  await spool.addChunk(chunk(2, 3 * MIB))
  await assert.rejects(spool.addChunk(chunk(3, 3 * MIB)), { code: 'spool-failed' })
  assert.equal(opening.mock.callCount(), 1)
  opening.mock.restore()
  now += STORE_REST_MS
  await until(() => spool.addChunk(chunk(4, 3 * MIB)).then(() => true, () => false))
  assert.ok(await isReadable(spool, 4))
  await spool.close()
})

test('a store that a later page takes away just as it is back is opened once more', async () => {
  const { spool, session } = await spoolWith(0)
  const release = await silenceStore(spool)
  now += STORE_REST_MS
  const opening = mock.method(IDBFactory.prototype, 'open')
  await spool.addChunk(chunk(2))
  await until(() => opening.mock.callCount() === 1)
  await settled()
  const later = openDB(SPOOL_DATABASE, 7)
  await settled()
  release()
  ;(await later).close()
  now += STORE_REST_MS
  await until(() => isReadable(spool, 0))
  await spool.addChunk(chunk(3))
  await spool.close()
  assert.deepEqual((await left(session)).here, [0, 1, 2, 3])
})

test('a device that slept in the middle of a write does not take its store for silent', async () => {
  const { spool, session } = await spoolWith(0)
  const release = await holdStore()
  const adding = spool.addChunk(chunk(1))
  await until(() => deadlines.some(({ at }) => at === now + STORE_PATIENCE_MS))
  const deadline = deadlines.find(({ at }) => at === now + STORE_PATIENCE_MS)!
  now += 3_600_000
  deadline.at = Infinity
  deadline.task()
  release()
  await adding
  assert.equal(spool.overflows, false)
  await spool.close()
  assert.deepEqual(await left(session), { here: [0, 1], lost: [] })
})

test('a read that never ends is given up in time, and takes nothing else with it', async () => {
  const { spool } = await spoolWith(0, 1)
  spoilReads((store, seq) => store === 'payloads' && seq === 0, null)
  const refused = assert.rejects(spool.readChunk(PART, 0), { code: 'spool-failed' })
  await until(() => deadlines.some(({ at }) => at < Infinity))
  now += 1000
  await spool.addChunk(chunk(2))
  await waits(STORE_PATIENCE_MS - 1000)
  await refused
  for (const seq of [1, 2]) assert.ok(await isReadable(spool, seq))
  await spool.close()
})

test('bytes that the store does not give, though it tells of their chunk, are unreadable; where it tells nothing, it is the store', async () => {
  const { spool } = await spoolWith(0, 1)
  const fault = new DOMException('internal error', 'UnknownError')
  const spoiled = spoilReads((store, seq) => store === 'payloads' && seq === 0, fault)
  assert.equal(await spool.readChunk(PART, 0), 'unreadable')
  assert.ok(await isReadable(spool, 1))
  spoiled.mock.restore()
  spoilReads(() => true, fault)
  await assert.rejects(spool.readChunk(PART, 0), { name: 'UnknownError' })
  await spool.close()
})

for (const [name, is] of [['NotReadableError', 'corrupt'], ['DataError', 'unreadable']] as const) {
  test(`bytes that are not given with ${name} are ${is}`, async () => {
    const { spool } = await spoolWith(0)
    spoilReads((store) => store === 'payloads', new DOMException('Failed to read large IndexedDB value', name))
    assert.equal(await spool.readChunk(PART, 0), is)
    await spool.close()
  })
}

test('who looks for what was left does not wait for ever', async () => {
  const refused = assert.rejects(withSpoolDatabase(() => new Promise(() => undefined)), { code: 'spool-failed' })
  await waits(WORK_PATIENCE_MS)
  await refused
})

test('a connection that was closed without an event is opened again, and no chunk waits in memory for that', async () => {
  const connections: IDBDatabase[] = []
  const transaction = Reflect.get(IDBDatabase.prototype, 'transaction') as (...options: unknown[]) => IDBTransaction
  mock.method(IDBDatabase.prototype, 'transaction', function (this: IDBDatabase, ...options: unknown[]) {
    if (connections.at(-1) !== this) connections.push(this)
    return transaction.apply(this, options)
  })
  const { spool, session } = await spoolWith(0)
  connections.at(-1)!.close()
  await spool.addChunk(chunk(1))
  assert.equal(spool.overflows, false)
  connections.at(-1)!.close()
  await assert.rejects(spool.readChunk(PART, 0), { name: 'InvalidStateError' }, 'the upload reads it again')
  assert.ok(await isReadable(spool, 0))
  await spool.close()
  assert.deepEqual(await left(session), { here: [0, 1], lost: [] })
})

test('where every connection is closed at once recording goes on in memory, until one stays open', async () => {
  const { spool, session } = await spoolWith(0)
  const closing = mock.method(IDBDatabase.prototype, 'transaction', () => {
    throw new DOMException('The database connection is closing.', 'InvalidStateError')
  })
  for (const seq of [1, 2, 3]) {
    await spool.addChunk(chunk(seq))
    now += STORE_REST_MS
  }
  assert.ok(await isReadable(spool, 2))
  closing.mock.restore()
  await settled()
  now += STORE_REST_MS
  await until(() => isReadable(spool, 0))
  await spool.addChunk(chunk(4))
  await spool.close()
  assert.deepEqual(await left(session), { here: [0, 1, 2, 3, 4], lost: [] })
})
