import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { LongtakeError } from '@longtake/contracts'
import { type SeenRequest, startHttpFaultProxy, testAzurite } from '@longtake/testkit'
import { type BlobStore, commitWithReadBack, newBlockIds } from '../src/index.ts'
import { azuriteOrigin, azuriteStore } from './azurite.ts'

const isCommit = ({ method, path }: SeenRequest) => method === 'PUT' && path.includes('comp=blocklist')
const isStage = ({ method, path }: SeenRequest) => method === 'PUT' && path.includes('comp=block&')
const isUpload = ({ method, headers }: SeenRequest) => method === 'PUT' && headers['x-ms-blob-type'] === 'BlockBlob'
const isRead = ({ method, path }: SeenRequest) => method === 'GET' && !path.includes('comp=')
const isHead = ({ method }: SeenRequest) => method === 'HEAD'

const described = (commitid: string) => ({ contentType: 'video/webm', metadata: { commitid } })
const unknownError = (error: unknown) => error instanceof LongtakeError && error.code === 'BLOB_UNAVAILABLE' && error.retryable

/** A store behind a proxy, and one beside it that sees the truth. */
async function setUp(options: { tryTimeoutMs?: number } = {}) {
  const proxy = await startHttpFaultProxy(azuriteOrigin())
  const container = `test-${randomUUID()}`
  const direct = await azuriteStore({ container })
  const store = await azuriteStore({ container, origin: proxy.origin, ...options })
  const count = (matches: (request: SeenRequest) => boolean) => proxy.requests.filter(matches).length
  return { proxy, store, direct, count, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

async function stageText(store: BlobStore, text: string, idFor = newBlockIds()): Promise<string> {
  const id = idFor(Buffer.from(text))
  await store.stageBlock('b', id, Buffer.from(text))
  return id
}

test('a commit whose answer is cut is unknown, was sent once, and is found by its id', async () => {
  await using it = await setUp()
  const id = await stageText(it.store, 'media')
  it.proxy.inject(isCommit, { kind: 'cut answer' })
  const answer = await it.store.commitBlockList('b', [id], { ifNoneMatch: '*', ...described('c-1') })
  assert.equal(answer.outcome, 'unknown')
  assert.ok(unknownError(answer.cause))
  assert.equal(it.count(isCommit), 1)
  assert.equal((await it.direct.properties('b'))?.metadata['commitid'], 'c-1')
})

test('a commit that never reached the server is unknown too, and nothing happened', async () => {
  await using it = await setUp()
  const id = await stageText(it.store, 'media')
  it.proxy.inject(isCommit, { kind: 'cut before' })
  const answer = await it.store.commitBlockList('b', [id], { ifNoneMatch: '*', ...described('c-1') })
  assert.equal(answer.outcome, 'unknown')
  assert.equal(it.count(isCommit), 1)
  assert.equal(await it.direct.properties('b'), null)
})

for (const status of [500, 503, 504, 408, 429]) {
  test(`a commit answered with ${status} is unknown and sent once`, async () => {
    await using it = await setUp()
    it.proxy.inject(isCommit, { kind: 'answer', status })
    assert.equal((await it.store.commitBlockList('b', [], { ifNoneMatch: '*', ...described('c-1') })).outcome, 'unknown')
    assert.equal(it.count(isCommit), 1)
  })
}

test('a commit that gets no answer in time is unknown', async () => {
  await using it = await setUp({ tryTimeoutMs: 200 })
  it.proxy.inject(isCommit, { kind: 'hold answer' })
  assert.equal((await it.store.commitBlockList('b', [], { ifNoneMatch: '*', ...described('c-1') })).outcome, 'unknown')
})

test('a commit refused because of a hold says so; other refusals are errors', async () => {
  await using it = await setUp()
  // Azurite knows no holds: this is what Azure answers.
  it.proxy.inject(isCommit, { kind: 'answer', status: 409, headers: { 'x-ms-error-code': 'BlobImmutableDueToPolicy' } })
  assert.deepEqual(await it.store.commitBlockList('b', [], { ifNoneMatch: '*', ...described('c-1') }), { outcome: 'held' })
  it.proxy.inject(isCommit, { kind: 'answer', status: 403, headers: { 'x-ms-error-code': 'AuthorizationPermissionMismatch', 'x-ms-request-id': 'r-7' } })
  await assert.rejects(
    it.store.commitBlockList('b', [], { ifNoneMatch: '*', ...described('c-1') }),
    (error) => error instanceof LongtakeError && error.code === 'BLOB_FORBIDDEN' && error.message.includes('AuthorizationPermissionMismatch') && error.message.includes('r-7'),
  )
})

// Azurite knows none of these: they are Azure's answers.
for (const [status, code, outcome] of [
  [409, 'BlobImmutableDueToLegalHold', 'held'],
  [409, 'BlobArchived', 'held'],
  [409, 'BlobBeingRehydrated', 'held'],
  [409, 'InvalidBlobType', 'held'],
  [409, 'BlockCountExceedsLimit', 'held'],
  [412, 'LeaseIdMissing', 'leased'],
  [412, 'LeaseIdMismatchWithBlobOperation', 'leased'],
  [412, 'ConditionNotMet', 'conflict'],
  [409, 'BlobAlreadyExists', 'conflict'],
  [404, 'BlobNotFound', 'conflict'],
  [400, 'InvalidBlockList', 'invalid-block-list'],
  [409, 'AccountBeingCreated', 'unknown'],
  [503, 'ServerBusy', 'unknown'],
] as const) {
  test(`a commit answered with ${code} is ${outcome}`, async () => {
    await using it = await setUp()
    it.proxy.inject(isCommit, { kind: 'answer', status, headers: { 'x-ms-error-code': code } })
    assert.equal((await it.store.commitBlockList('b', [], { ifMatch: '"0x1"', ...described('c-1') })).outcome, outcome)
    assert.equal(it.count(isCommit), 1)
  })
}

test('what concerns one blob has its own code, whatever the operation; what concerns account or container has another', async () => {
  await using it = await setUp()
  await it.direct.put('b', Buffer.from('x'), described('c-1'))
  const isDelete = ({ method }: SeenRequest) => method === 'DELETE'
  const refused = async (is: (request: SeenRequest) => boolean, status: number, code: string, run: () => Promise<unknown>): Promise<string> => {
    it.proxy.inject(is, { kind: 'answer', status, headers: { 'x-ms-error-code': code } })
    return run().then(() => 'nothing', (error: unknown) => (error instanceof LongtakeError ? error.code : String(error)))
  }
  assert.equal(await refused(isRead, 409, 'BlobArchived', () => it.store.readAll('b')), 'BLOB_HELD')
  assert.equal(await refused(isStage, 412, 'LeaseIdMissing', () => stageText(it.store, 'media')), 'BLOB_HELD')
  assert.equal(await refused(isDelete, 412, 'LeaseIdMissing', () => it.store.delete('b')), 'BLOB_HELD')
  assert.equal(await refused(isDelete, 409, 'BlobImmutableDueToPolicy', () => it.store.delete('b')), 'BLOB_HELD')
  assert.equal(await refused(isStage, 404, 'ContainerNotFound', () => stageText(it.store, 'media')), 'BLOB_CONTAINER_MISSING')
  assert.equal(await refused(isStage, 413, 'RequestBodyTooLarge', () => stageText(it.store, 'media')), 'BLOB_CONTENT_REFUSED')
  assert.equal(await refused(isStage, 403, 'AccountIsDisabled', () => stageText(it.store, 'media')), 'BLOB_FORBIDDEN')
})

test('read back: a commit whose answer was cut is committed, under the etag the blob has', async () => {
  await using it = await setUp()
  const first = await it.store.commitBlockList('b', [await stageText(it.store, 'old')], { ifNoneMatch: '*', ...described('c-1') })
  assert.equal(first.outcome, 'committed')
  const id = await stageText(it.store, 'new')
  it.proxy.inject(isCommit, { kind: 'cut answer' })
  const answer = await commitWithReadBack(it.store, 'b', [id], { ifMatch: first.etag, ...described('c-2'), retryDelayMs: 1 })
  assert.deepEqual(answer, { outcome: 'committed', etag: (await it.direct.properties('b'))?.etag, readBack: true })
  assert.equal((await it.direct.readAll('b'))?.bytes.toString(), 'new')
})

test('read back: a commit that did not happen is sent again until it does', async () => {
  await using it = await setUp()
  const id = await stageText(it.store, 'media')
  it.proxy.inject(isCommit, { kind: 'cut before' })
  it.proxy.inject(isCommit, { kind: 'answer', status: 503 })
  const answer = await commitWithReadBack(it.store, 'b', [id], { ifNoneMatch: '*', ...described('c-1'), retryDelayMs: 1 })
  assert.equal(answer.outcome, 'committed')
  assert.equal(it.count(isCommit), 3)
  assert.equal((await it.direct.readAll('b'))?.bytes.toString(), 'media')
})

test('read back: sent again after a first try that did happen and whose read-back came too early, it is committed once', async () => {
  await using it = await setUp()
  const id = await stageText(it.store, 'media')
  it.proxy.inject(isCommit, { kind: 'cut answer' })
  // As if the first try were still on its way when the blob is read back.
  it.proxy.inject(isHead, { kind: 'answer', status: 404 })
  const answer = await commitWithReadBack(it.store, 'b', [id], { ifNoneMatch: '*', ...described('c-1'), retryDelayMs: 1 })
  assert.deepEqual(answer, { outcome: 'committed', etag: (await it.direct.properties('b'))?.etag, readBack: true })
  assert.equal(it.count(isCommit), 2)
})

test('read back: a cut answer with another writer’s version in place is a conflict that shows it', async () => {
  await using it = await setUp()
  const first = await it.store.commitBlockList('b', [], { ifNoneMatch: '*', ...described('c-1') })
  assert.equal(first.outcome, 'committed')
  assert.equal((await it.direct.commitBlockList('b', [], { ifMatch: first.etag, ...described('other') })).outcome, 'committed')
  it.proxy.inject(isCommit, { kind: 'cut answer' })
  const answer = await commitWithReadBack(it.store, 'b', [], { ifMatch: first.etag, ...described('c-2'), retryDelayMs: 1 })
  assert.equal(answer.outcome, 'conflict')
  assert.equal(answer.found?.metadata['commitid'], 'other')
})

test('read back: what stays undecided is unknown after bounded tries', async () => {
  await using it = await setUp()
  it.proxy.inject(isCommit, { kind: 'answer', status: 503 }, 100)
  const answer = await commitWithReadBack(it.store, 'b', [], { ifNoneMatch: '*', ...described('c-1'), tries: 3, retryDelayMs: 1 })
  assert.equal(answer.outcome, 'unknown')
  assert.equal(it.count(isCommit), 3)
})

test('staging is tried again through cuts, errors and silence', async () => {
  await using it = await setUp({ tryTimeoutMs: 500 })
  it.proxy.inject(isStage, { kind: 'cut answer' })
  it.proxy.inject(isStage, { kind: 'answer', status: 503 })
  it.proxy.inject(isStage, { kind: 'hold answer' })
  const id = await stageText(it.store, 'media')
  assert.equal(it.count(isStage), 4)
  assert.equal((await it.store.commitBlockList('b', [id], { ifNoneMatch: '*', ...described('c-1') })).outcome, 'committed')
  assert.equal((await it.direct.readAll('b'))?.bytes.toString(), 'media')
})

test('tries are bounded, and a refusal is not tried again', async () => {
  await using it = await setUp()
  it.proxy.inject(isStage, { kind: 'answer', status: 500 }, 100)
  await assert.rejects(stageText(it.store, 'media'), unknownError)
  assert.equal(it.count(isStage), 4)
  it.proxy.inject(isHead, { kind: 'answer', status: 403 }, 100)
  await assert.rejects(it.store.properties('b'), { code: 'BLOB_FORBIDDEN' })
  assert.equal(it.count(isHead), 1)
})

test('a put whose answer is cut is written once, and still a conflict where another’s bytes are', async () => {
  await using it = await setUp()
  it.proxy.inject(isUpload, { kind: 'cut answer' })
  const answer = await it.store.put('side', Buffer.from('mine'), { ifNoneMatch: '*', ...described('c-1') })
  assert.deepEqual(answer, { outcome: 'written', etag: (await it.direct.properties('side'))?.etag })
  assert.equal(it.count(isUpload), 2)

  await it.direct.put('other', Buffer.from('theirs'), described('c-2'))
  it.proxy.inject(isUpload, { kind: 'cut before' })
  assert.deepEqual(await it.store.put('other', Buffer.from('mine'), { ifNoneMatch: '*', ...described('c-1') }), { outcome: 'conflict' })
})

test('a body that breaks off is resumed where it broke', async () => {
  await using it = await setUp()
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => i % 251))
  await it.direct.put('b', bytes, described('c-1'))
  it.proxy.inject(isRead, { kind: 'cut body', afterBytes: 200_000 })
  it.proxy.inject(isRead, { kind: 'answer', status: 503 })
  it.proxy.inject(isRead, { kind: 'cut body', afterBytes: 300_000 })
  const read = await it.store.readRange('b', { offset: 10, count: 900_000 })
  assert.equal(read.outcome, 'read')
  assert.ok((await buffer(read.body)).equals(bytes.subarray(10, 900_010)))
  assert.equal(it.count(isRead), 4)
})

test('a body that breaks off while the blob gets a new version ends in an error, never in mixed bytes', async () => {
  await using it = await setUp()
  await it.direct.put('b', Buffer.alloc(1_000_000, 1), described('c-1'))
  it.proxy.inject(isRead, { kind: 'cut body', afterBytes: 200_000 })
  const read = await it.store.readRange('b', { offset: 0 })
  assert.equal(read.outcome, 'read')
  await it.direct.put('b', Buffer.alloc(1_000_000, 2), described('c-2'))
  await assert.rejects(buffer(read.body), unknownError)
})

test('an abort ends a running call and a running body with its reason', async () => {
  await using it = await setUp()
  const reason = new Error('the viewer left')
  it.proxy.inject(isStage, { kind: 'hold answer' })
  const staging = new AbortController()
  const id = newBlockIds()(Buffer.from('x'))
  const staged = it.store.stageBlock('b', id, Buffer.from('x'), { signal: staging.signal })
  while (it.count(isStage) === 0) await new Promise((resolve) => setImmediate(resolve))
  staging.abort(reason)
  await assert.rejects(staged, (error) => error === reason)

  await it.direct.put('b', Buffer.alloc(8_000_000), described('c-1'))
  const reading = new AbortController()
  const read = await it.store.readRange('b', { offset: 0, signal: reading.signal })
  assert.equal(read.outcome, 'read')
  reading.abort(reason)
  await assert.rejects(buffer(read.body), (error) => error === reason)
})

test('a body that falls silent is resumed, and one whose reader is slow is not', async () => {
  await using it = await setUp({ tryTimeoutMs: 200 })
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => i % 251))
  await it.direct.put('b', bytes, described('c-1'))
  it.proxy.inject(isRead, { kind: 'stall body', afterBytes: 200_000 })
  const read = await it.store.readRange('b', { offset: 0 })
  assert.equal(read.outcome, 'read')
  assert.ok((await buffer(read.body)).equals(bytes))
  assert.equal(it.count(isRead), 2)

  const slow = await it.store.readRange('b', { offset: 0 })
  assert.equal(slow.outcome, 'read')
  // Longer than the bound for silence: the reader's own pause must not count.
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.ok((await buffer(slow.body)).equals(bytes))
  assert.equal(it.count(isRead), 3)
})

test('a silent body is let go at once when its reader goes', { timeout: 30_000 }, async () => {
  await using it = await setUp({ tryTimeoutMs: 3_600_000 })
  await it.direct.put('b', Buffer.alloc(1_000_000), described('c-1'))
  it.proxy.inject(isRead, { kind: 'stall body', afterBytes: 200_000 })
  const read = await it.store.readRange('b', { offset: 0 })
  assert.equal(read.outcome, 'read')
  let got = 0
  for await (const piece of read.body as AsyncIterable<Buffer>) if ((got += piece.length) === 200_000) break
  while (it.proxy.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(it.count(isRead), 1)
})

test('a wrong key, a missing container and a dead server have their codes', async () => {
  const key = Buffer.from('wrong').toString('base64')
  await assert.rejects(azuriteStore({ connectionString: testAzurite().replace(/AccountKey=[^;]+/, `AccountKey=${key}`) }), { code: 'BLOB_FORBIDDEN' })

  const nowhere = await azuriteStore({ create: false })
  await assert.rejects(stageText(nowhere, 'x'), { code: 'BLOB_CONTAINER_MISSING' })
  await assert.rejects(nowhere.commitBlockList('b', [], { ifNoneMatch: '*', ...described('c-1') }), { code: 'BLOB_CONTAINER_MISSING' })

  const it = await setUp()
  await it[Symbol.asyncDispose]()
  await assert.rejects(it.store.ping(), unknownError)
})

test('an error tells what failed and nothing of the request’s headers', async () => {
  await using it = await setUp()
  it.proxy.inject(isHead, { kind: 'answer', status: 400, headers: { 'x-ms-error-code': 'InvalidHeaderValue' } })
  const error: unknown = await it.store.properties('s-1/webcam.webm').catch((caught: unknown) => caught)
  assert.ok(error instanceof LongtakeError)
  assert.equal(error.code, 'BLOB_REFUSED')
  assert.match(error.message, /^properties of s-1\/webcam\.webm failed: .*InvalidHeaderValue/)
  assert.doesNotMatch(inspect(error, { depth: 9 }), /SharedKey|authorization/i)
})
