import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBlobStore } from '@longtake/blob'
import { storedRecordings } from '../src/stored-recordings.ts'

test('how far a commit rewrites a blob is what the blob says, and all of one that does not', async () => {
  const store = new MemoryBlobStore()
  const recordings = storedRecordings(store)
  const bytes = Buffer.alloc(100)
  await store.put('said', bytes, { contentType: 'video/webm', metadata: { generation: '2', number: '9', headerbytes: '40' } })
  await store.put('unsaid', bytes, { contentType: 'video/mp4', metadata: {} })
  const [said, unsaid] = [await recordings.properties('said'), await recordings.properties('unsaid')]
  assert.deepEqual([said?.headerBytes, said?.generation, said?.commit], [40, 2, 9])
  assert.equal(unsaid?.headerBytes, 100)
  assert.equal(await recordings.properties('none'), undefined)
})
