import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blobConformance } from '../src/conformance.ts'
import { MemoryBlobStore } from '../src/index.ts'

blobConformance('memory', async () => new MemoryBlobStore())

test('a bit that decays changes what is read, and nothing else', async () => {
  const store = new MemoryBlobStore()
  const [idA, idB] = ['AAAA', 'BBBB']
  await store.stageBlock('b', idA, Buffer.from('one'))
  await store.stageBlock('b', idB, Buffer.from('two'))
  const committed = await store.commitBlockList('b', [idA, idB], { ifNoneMatch: '*', contentType: 'video/webm', metadata: {} })
  assert.ok(committed.outcome === 'committed')
  const taken = await store.snapshot('b', { ifMatch: committed.etag, metadata: {} })
  assert.ok(taken.outcome === 'taken')
  store.decay('b', 4)
  const { bytes, properties } = (await store.readAll('b'))!
  assert.deepEqual([bytes.toString(), properties.etag], ['onetvo', committed.etag])
  assert.equal((await store.readAll('b', { snapshot: taken.snapshot }))!.bytes.toString(), 'onetwo')
  const again = await store.commitBlockList('b', [idB], { ifMatch: committed.etag, contentType: 'video/webm', metadata: {} })
  assert.equal(again.outcome, 'committed')
  assert.equal((await store.readAll('b'))!.bytes.toString(), 'tvo')
})
