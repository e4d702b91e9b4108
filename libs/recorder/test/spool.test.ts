import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { deleteDB, openDB } from 'idb'
import { Spool, SPOOL_DATABASE, type NewChunk } from '../src/spool.ts'

const PART = '11111111-1111-4111-8111-111111111111'
const OTHER_PART = '22222222-2222-4222-8222-222222222222'

const open = (session: string, client = 'c'): Promise<Spool> => Spool.open({ session, client, ingestUrl: `ws://g/v1/ingest/${session}`, startedAt: 5 })
const chunk = (part: string, seq: number): NewChunk => ({ part, seq, payload: new Uint8Array([seq, 1, 2]).buffer, sha256: new Uint8Array(32).fill(seq), capturedAt: 1000 + seq })

/** All that a later page finds of a session, read without the class under test. */
async function found(session: string) {
  const database = await openDB(SPOOL_DATABASE)
  const of = async (store: string): Promise<unknown[]> => {
    const [keys, values] = await Promise.all([database.getAllKeys(store), database.getAll(store)])
    return values.filter((_, index) => (keys[index] as unknown[])[0] === session)
  }
  const content = { clients: await of('clients'), parts: await of('parts'), chunks: await of('chunks'), payloads: await of('payloads') }
  database.close()
  return content
}

test('a chunk is read as it was written, until it is forgotten', async () => {
  const session = randomUUID()
  const spool = await open(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  await spool.addChunk(chunk(PART, 0))
  assert.deepEqual(await spool.readChunk(PART, 0), chunk(PART, 0))
  assert.equal(await spool.readChunk(PART, 1), undefined)
  assert.equal(await spool.readChunk(OTHER_PART, 0), undefined)
  await spool.forgetChunks(PART, 0, 0, true)
  assert.equal(await spool.readChunk(PART, 0), undefined)
  await spool.close()
})

test('a later page finds everything that a recovery needs: what is kept, what was acknowledged, what was declared', async () => {
  const session = randomUUID()
  const spool = await open(session)
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  await spool.addPart({ part: OTHER_PART, track: 'screen', mimeType: 'video/webm', startedAt: 8 })
  for (let seq = 0; seq < 12; seq++) await spool.addChunk(chunk(PART, seq))
  await spool.addChunk(chunk(OTHER_PART, 0))
  await Promise.all([spool.forgetChunks(PART, 0, 1, true), spool.forgetChunks(PART, 4, 4, true), spool.forgetChunks(PART, 2, 2, true), spool.forgetChunks(PART, 9, 10, false)])
  await spool.closePart(PART, { chunks: 12, clean: true })
  await spool.finish({ webcam: [PART], screen: [OTHER_PART] })
  await spool.close()
  const { clients, parts, chunks, payloads } = await found(session)
  assert.deepEqual(clients, [{ session, client: 'c', ingestUrl: `ws://g/v1/ingest/${session}`, startedAt: 5, finish: { webcam: [PART], screen: [OTHER_PART] } }])
  const common = { session, client: 'c', mimeType: 'video/webm' }
  assert.deepEqual(parts, [
    { ...common, part: PART, track: 'webcam', startedAt: 7, acknowledged: [[0, 2], [4, 4]], closed: { chunks: 12, clean: true } },
    { ...common, part: OTHER_PART, track: 'screen', startedAt: 8, acknowledged: [], closed: null },
  ])
  const { payload: _payload, ...record } = chunk(PART, 3)
  assert.deepEqual(chunks[0], { session, client: 'c', ...record, bytes: 3 })
  // In the order of seq, not of its digits.
  assert.deepEqual((chunks as NewChunk[]).map(({ part, seq }) => [part, seq]), [...[3, 5, 6, 7, 8, 11].map((seq) => [PART, seq]), [OTHER_PART, 0]])
  assert.equal(payloads.length, chunks.length)
})

test('clearing takes all of this recorder and nothing of others, of the same session or not', async () => {
  const [session, neighbour] = [randomUUID(), randomUUID()]
  const spools = [await open(session, 'b'), await open(session, 'a'), await open(session, 'c'), await open(neighbour, 'b')] as const
  for (const spool of spools) {
    await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
    await spool.addChunk(chunk(PART, 0))
  }
  await spools[0].clear()
  assert.deepEqual((await found(session)).clients.map((record) => (record as { client: string }).client), ['a', 'c'])
  assert.equal((await found(session)).chunks.length, 2)
  assert.equal((await found(session)).payloads.length, 2)
  assert.equal((await found(neighbour)).chunks.length, 1)
  for (const spool of spools) await spool.close()
})

test('a store that the browser has taken away is opened again', async () => {
  const spool = await open(randomUUID())
  await spool.close()
  await deleteDB(SPOOL_DATABASE)
  await spool.addChunk(chunk(PART, 0))
  assert.deepEqual(await spool.readChunk(PART, 0), chunk(PART, 0))
  await spool.close()
})
