import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { forceCloseDatabase } from 'fake-indexeddb'
import { completed, done, openDatabase, type TypedDatabase } from '../src/spool/indexed-db.ts'

interface Books {
  books: { key: string; value: string }
}

const create = (database: IDBDatabase): void => void database.createObjectStore('books')

/** A database with one record, and what it has been told. */
async function library(name: string = randomUUID()): Promise<{ name: string; database: TypedDatabase<Books>; told: string[] }> {
  const told: string[] = []
  const database = await openDatabase<Books>(name, 1, { upgrade: create, lost: () => told.push('lost') })
  const transaction = database.transaction(['books'], 'readwrite')
  transaction.objectStore('books').put('Moby-Dick', 'whale')
  await completed(transaction)
  return { name, database, told }
}

test('what is written is read, and nothing where there is nothing', async () => {
  const { database } = await library()
  const books = database.transaction(['books'], 'readonly').objectStore('books')
  assert.deepEqual(await Promise.all([done(books.get('whale')), done(books.get('none')), done(books.getAll())]), ['Moby-Dick', undefined, ['Moby-Dick']])
  database.close()
})

test('a transaction fails with the error of the request that failed, though nobody asks the request', async () => {
  const { database } = await library()
  const transaction = database.transaction(['books'], 'readwrite')
  ;(transaction.objectStore('books') as unknown as IDBObjectStore).add('another', 'whale')
  await assert.rejects(completed(transaction), { name: 'ConstraintError' })
  database.close()
})

test('an aborted transaction and its requests fail with AbortError, and nothing is written', async () => {
  const { database } = await library()
  const transaction = database.transaction(['books'], 'readwrite')
  const request = done(transaction.objectStore('books').put('Jaws', 'whale'))
  const ended = completed(transaction)
  transaction.abort()
  await assert.rejects(request, { name: 'AbortError' })
  await assert.rejects(ended, { name: 'AbortError' })
  assert.equal(await done(database.transaction(['books'], 'readonly').objectStore('books').get('whale')), 'Moby-Dick')
  database.close()
})

test('a connection makes room for an upgrade and for a deletion, says so first, and is of no use afterwards', async () => {
  const { name, database, told } = await library()
  const upgraded: number[] = []
  const later = await openDatabase<Books>(name, 2, { upgrade: (_database, from) => void upgraded.push(from), lost: () => told.push('later lost') })
  assert.deepEqual([told, upgraded], [['lost'], [1]])
  assert.throws(() => database.transaction(['books'], 'readonly'), { name: 'InvalidStateError' })
  await done(indexedDB.deleteDatabase(name))
  assert.deepEqual(told, ['lost', 'later lost'])
  assert.throws(() => later.transaction(['books'], 'readonly'), { name: 'InvalidStateError' })
})

test('a connection that the browser closes says so', async () => {
  const { database, told } = await library()
  forceCloseDatabase(database as never)
  await new Promise(setImmediate)
  assert.deepEqual(told, ['lost'])
})

test('opening waits for a connection that does not make room at once', async () => {
  const { name, database } = await library()
  database.close()
  const stubborn = await done(indexedDB.open(name))
  const opening = openDatabase<Books>(name, 2, { upgrade: () => undefined, lost: () => undefined })
  stubborn.addEventListener('versionchange', () => setImmediate(() => stubborn.close()))
  ;(await opening).close()
})

test('an upgrade that fails leaves the database as it was, and an earlier version does not open a later one', async () => {
  const { name, database } = await library()
  database.close()
  const failing = (requestsThatFail: (transaction: IDBTransaction) => void): Promise<unknown> =>
    openDatabase<Books>(name, 2, { upgrade: (_database, _from, transaction) => requestsThatFail(transaction), lost: () => undefined })
  await assert.rejects(failing((transaction) => void transaction.objectStore('books').add('another', 'whale')), { name: 'AbortError' })
  await assert.rejects(failing((transaction) => transaction.abort()), { name: 'AbortError' })
  const after = await openDatabase<Books>(name, undefined, { upgrade: () => assert.fail('there is nothing to upgrade'), lost: () => undefined })
  assert.equal(await done(after.transaction(['books'], 'readonly').objectStore('books').get('whale')), 'Moby-Dick')
  after.close()
  ;(await openDatabase<Books>(name, 3, { upgrade: () => undefined, lost: () => undefined })).close()
  await assert.rejects(openDatabase<Books>(name, 2, { upgrade: () => undefined, lost: () => undefined }), { name: 'VersionError' })
})
