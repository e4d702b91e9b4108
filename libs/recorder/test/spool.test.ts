import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { mock, test } from 'node:test'
import { deleteDB, openDB, type IDBPDatabase } from 'idb'
import { restorePart } from '../src/recovery/recovery-plan.ts'
import { SPOOL_DATABASE, spooledClients, withSpoolDatabase, type ClientRecord } from '../src/spool/spool-database.ts'
import { Spool, type NewChunk, type ReadChunk } from '../src/spool/spool.ts'
import { OTHER_SPOOL_KEY, spoolKey } from './spool-key.ts'

const PART = '11111111-1111-4111-8111-111111111111'
const OTHER_PART = '22222222-2222-4222-8222-222222222222'

const create = async (session: string, client = 'c'): Promise<Spool> => Spool.create({ session, client, ingestUrl: `ws://g/v1/ingest/${session}`, startedAt: 5 }, await spoolKey())
const chunk = (part: string, seq: number): NewChunk => ({ part, seq, payload: new Uint8Array([seq, 1, 2]).buffer, capturedAt: 1000 + seq })
const asRead = ({ payload }: NewChunk): ReadChunk => ({ payload, sha256: new Uint8Array(createHash('sha256').update(new Uint8Array(payload)).digest()) })
const clientOf = async (session: string): Promise<ClientRecord> => (await withSpoolDatabase(spooledClients)).find((record) => record.session === session)!

/** What a later page finds. */
async function resumed(session: string, key?: string) {
  const found = await Spool.resume(await clientOf(session), await spoolKey(key))
  assert.ok(typeof found === 'object', 'the key fits')
  return found
}

/** Opens the database as anything but the class under test would. */
async function withDatabase<T>(work: (database: IDBPDatabase) => Promise<T>): Promise<T> {
  const database = await openDB(SPOOL_DATABASE)
  try {
    return await work(database)
  } finally {
    database.close()
  }
}

test('a chunk is read as it was written, until it is forgotten', async () => {
  const session = randomUUID()
  const spool = await create(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  await spool.addChunk(chunk(PART, 0))
  assert.deepEqual(await spool.readChunk(PART, 0), asRead(chunk(PART, 0)))
  assert.equal(await spool.readChunk(PART, 1), 'spool-cleared')
  assert.equal(await spool.readChunk(OTHER_PART, 0), 'spool-cleared')
  await spool.forgetChunks(PART, 0, 0, 'acknowledged')
  assert.equal(await spool.readChunk(PART, 0), 'spool-cleared')
  await spool.close()
})

test('a later page finds everything that a recovery needs: what is kept, acknowledged, lost, declared, and how it was told', async () => {
  const session = randomUUID()
  const spool = await create(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  await spool.addPart({ part: OTHER_PART, track: 'screen', mimeType: 'video/webm', startedAt: 8 })
  for (let seq = 0; seq < 12; seq++) await spool.addChunk(chunk(PART, seq))
  await spool.addChunk(chunk(OTHER_PART, 0))
  await Promise.all([
    spool.forgetChunks(PART, 0, 1, 'acknowledged'),
    spool.forgetChunks(PART, 4, 4, 'acknowledged'),
    spool.forgetChunks(PART, 2, 2, 'acknowledged'),
    spool.forgetChunks(PART, 9, 10, 'corrupt'),
    spool.noteOpened(PART, { startedAt: '2026-03-01T10:00:00.000Z', clockAheadMs: 500 }),
    spool.noteLost(PART, 12, 'quota'),
    spool.noteLost(PART, 13, 'quota'),
  ])
  await spool.closePart(PART, { chunks: 14, clean: true })
  await spool.noteStopped()
  await spool.close()
  const { keyProof: _keyProof, ...client } = await clientOf(session)
  assert.deepEqual(client, { session, client: 'c', ingestUrl: `ws://g/v1/ingest/${session}`, startedAt: 5, stopped: true })
  const { parts, chunks } = await resumed(session)
  const common = { session, client: 'c', mimeType: 'video/webm' }
  const lost = [
    { from: 9, to: 10, cause: 'corrupt', declared: true },
    { from: 12, to: 13, cause: 'quota', declared: false },
  ]
  assert.deepEqual(parts, [
    { ...common, part: PART, track: 'webcam', startedAt: 7, opened: { startedAt: '2026-03-01T10:00:00.000Z', clockAheadMs: 500 }, acknowledged: [[0, 2], [4, 4]], lost, closed: { chunks: 14, clean: true } },
    { ...common, part: OTHER_PART, track: 'screen', startedAt: 8, opened: null, acknowledged: [], lost: [], closed: null },
  ])
  assert.deepEqual(chunks[0], { session, client: 'c', part: PART, seq: 3, bytes: 3, capturedAt: 1003 })
  // In the order of seq, not of its digits.
  assert.deepEqual(chunks.map(({ part, seq }) => [part, seq]), [...[3, 5, 6, 7, 8, 11].map((seq) => [PART, seq]), [OTHER_PART, 0]])
})

test('an acknowledged chunk that has left is never told as lost, whatever becomes of another write at that moment', async (t) => {
  const session = randomUUID()
  const spool = await create(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  for (const seq of [0, 1, 2]) await spool.addChunk(chunk(PART, seq))
  const remove = Reflect.get(IDBObjectStore.prototype, 'delete') as (range: IDBKeyRange) => IDBRequest
  const removing = t.mock.method(IDBObjectStore.prototype, 'delete', function (this: IDBObjectStore, range: IDBKeyRange) {
    if (removing.mock.callCount() === 0) queueMicrotask(() => this.transaction.abort())
    return remove.call(this, range)
  })
  const [aborted, written] = await Promise.allSettled([spool.forgetChunks(PART, 0, 0, 'acknowledged'), spool.forgetChunks(PART, 1, 1, 'acknowledged')])
  assert.deepEqual([aborted.status, written.status], ['rejected', 'fulfilled'])
  await spool.close()
  const { parts, chunks } = await resumed(session)
  assert.deepEqual(restorePart(parts[0]!, chunks).lost, [])
})

test('what lies in the store cannot be read without the key, nor told from other bytes', async () => {
  const session = randomUUID()
  const spool = await create(session)
  const payload = new TextEncoder().encode('what the camera saw '.repeat(20)).buffer
  for (const seq of [0, 1]) await spool.addChunk({ part: PART, seq, payload, capturedAt: 1 })
  await spool.close()
  const records = await withDatabase(async (database) => [...(await database.getAll('payloads')), ...(await database.getAll('chunks'))])
  const stored = JSON.stringify(records, (_key, value: unknown) => (value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? Buffer.from(value as Uint8Array).toString('latin1') : value))
  assert.ok(stored.length > 2 * payload.byteLength)
  assert.doesNotMatch(stored, /camera/)
  assert.equal(stored.includes(createHash('sha256').update(new Uint8Array(payload)).digest().toString('latin1')), false)
  assert.equal(await Spool.resume(await clientOf(session), await spoolKey(OTHER_SPOOL_KEY)), 'wrong-key')
  const { spool: later } = await resumed(session)
  assert.deepEqual(await later.readChunk(PART, 1), asRead({ part: PART, seq: 1, payload, capturedAt: 1 }))
  await later.close()
})

test('bytes that were changed, or put in the place of others, sealed or not, are corrupt', async () => {
  const session = randomUUID()
  const spool = await create(session)
  for (const seq of [0, 1, 2, 3]) await spool.addChunk(chunk(PART, seq))
  await withDatabase(async (database) => {
    const [first, second] = await Promise.all([database.get('payloads', [session, 'c', PART, 0]), database.get('payloads', [session, 'c', PART, 1])])
    new Uint8Array(first.sealed)[0]! ^= 1
    await database.put('payloads', first, [session, 'c', PART, 0])
    await database.put('payloads', second, [session, 'c', PART, 2])
    await database.put('payloads', chunk(PART, 3).payload, [session, 'c', PART, 3])
    await database.delete('payloads', [session, 'c', PART, 1])
  })
  assert.deepEqual(await Promise.all([0, 1, 2, 3].map((seq) => spool.readChunk(PART, seq))), ['corrupt', 'spool-cleared', 'corrupt', 'corrupt'])
  await spool.close()
})

test('clearing takes all of this recorder and nothing of others, of the same session or not', async () => {
  const [session, neighbour] = [randomUUID(), randomUUID()]
  const spools = [await create(session, 'b'), await create(session, 'a'), await create(session, 'c'), await create(neighbour, 'b')] as const
  for (const spool of spools) {
    await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
    await spool.addChunk(chunk(PART, 0))
  }
  await spools[0].clear()
  for (const store of ['clients', 'parts', 'chunks', 'payloads']) {
    const keys = (await withDatabase((database) => database.getAllKeys(store))) as string[][]
    const left = keys.filter(([owner]) => owner === session || owner === neighbour).map(([owner, client]) => `${owner === session ? 'here' : 'there'} ${client}`)
    assert.deepEqual(left.toSorted(), ['here a', 'here c', 'there b'], store)
  }
  for (const spool of spools) await spool.close()
})

test('a store that was taken away is opened again, and makes sense to a later page', async () => {
  const session = randomUUID()
  const spool = await create(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  await spool.addChunk(chunk(PART, 0))
  await spool.forgetChunks(PART, 0, 0, 'acknowledged')
  await deleteDB(SPOOL_DATABASE)
  await spool.addChunk(chunk(PART, 1))
  assert.deepEqual(await spool.readChunk(PART, 1), asRead(chunk(PART, 1)))
  await spool.close()
  const { parts, chunks } = await resumed(session)
  assert.deepEqual(parts.map(({ part, acknowledged }) => [part, acknowledged]), [[PART, [[0, 0]]]])
  assert.deepEqual(chunks.map(({ seq }) => seq), [1])
})

test('a page with a later format waits for nobody, and the recorder that it finds goes on', async () => {
  const session = randomUUID()
  const spool = await create(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  const writing = spool.addChunk(chunk(PART, 0))
  const later = await openDB(SPOOL_DATABASE, 3, { upgrade: (database) => void database.createObjectStore('of-later-pages') })
  later.close()
  await writing
  await spool.addChunk(chunk(PART, 1))
  assert.deepEqual(await spool.readChunk(PART, 0), asRead(chunk(PART, 0)))
  await spool.close()
  // A page of this version that comes after the later one finds its way, too.
  assert.equal((await resumed(session)).chunks.length, 2)
  await deleteDB(SPOOL_DATABASE)
})

test('what a page with format 1 left is read by this one', async () => {
  await deleteDB(SPOOL_DATABASE)
  const session = randomUUID()
  const of = { session, client: 'c' }
  const payload = new Uint8Array([1, 2, 3]).buffer
  const { sha256 } = asRead({ ...chunk(PART, 0), payload })
  const old = await openDB(SPOOL_DATABASE, 1, {
    upgrade(database) {
      database.createObjectStore('clients', { keyPath: ['session', 'client'] })
      database.createObjectStore('parts', { keyPath: ['session', 'client', 'part'] })
      database.createObjectStore('chunks', { keyPath: ['session', 'client', 'part', 'seq'] })
      database.createObjectStore('payloads')
    },
  })
  await old.put('clients', { ...of, ingestUrl: 'ws://g/v1/ingest/s', startedAt: 5, finish: { webcam: [PART] } })
  await old.put('parts', { ...of, part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7, acknowledged: [[0, 0]], closed: null })
  for (const [seq, digest] of [[1, sha256], [2, new Uint8Array(32)]] as const) {
    await old.put('chunks', { ...of, part: PART, seq, bytes: 3, capturedAt: 9, sha256: digest })
    await old.put('payloads', payload, [session, 'c', PART, seq])
  }
  old.close()
  assert.equal((await clientOf(session)).stopped, true)
  const { spool, parts } = await resumed(session)
  assert.deepEqual(parts, [{ ...of, part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7, opened: null, acknowledged: [[0, 0]], lost: [], closed: null }])
  assert.deepEqual(await spool.readChunk(PART, 1), { payload, sha256 })
  assert.equal(await spool.readChunk(PART, 2), 'corrupt')
  await spool.close()
})

for (const [name, cause] of [
  ['QuotaExceededError', 'quota'],
  ['UnknownError', 'store-failed'],
] as const) {
  test(`a chunk that the store refuses with ${name} is kept in memory and sent, but whoever comes after the page counts it as lost`, async () => {
    const session = randomUUID()
    const spool = await create(session)
    await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
    const refusing = mock.method(IDBDatabase.prototype, 'transaction', () => {
      throw new DOMException('no', name)
    })
    assert.equal(spool.overflows, false)
    for (const seq of [0, 1]) await spool.addChunk(chunk(PART, seq))
    refusing.mock.restore()
    assert.deepEqual(await spool.readChunk(PART, 1), asRead(chunk(PART, 1)))
    await spool.forgetChunks(PART, 0, 0, 'acknowledged')
    assert.equal(spool.overflows, true)
    await spool.close()
    const { parts, chunks } = await resumed(session)
    assert.deepEqual(chunks, [])
    assert.deepEqual(restorePart(parts[0]!, []).lost, [{ from: 1, to: 1, cause, declared: false }])
  })
}

test('a chunk that is acknowledged just as it goes from memory into the store does not stay there', async () => {
  for (let steps = 0; steps < 20; steps++) {
    const session = randomUUID()
    const spool = await create(session)
    await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
    const refusing = mock.method(IDBDatabase.prototype, 'transaction', () => {
      throw new DOMException('no', 'UnknownError')
    })
    for (const seq of [0, 1]) await spool.addChunk(chunk(PART, seq))
    refusing.mock.restore()
    await spool.addChunk(chunk(PART, 2))
    for (let step = 0; step < steps; step++) await new Promise((resolve) => setImmediate(resolve))
    await spool.forgetChunks(PART, 0, 1, 'acknowledged')
    await spool.close()
    const { parts, chunks } = await resumed(session)
    assert.deepEqual(chunks.map(({ seq }) => seq), [2], `after ${steps} steps`)
    assert.deepEqual(restorePart(parts[0]!, chunks).lost, [])
  }
})
