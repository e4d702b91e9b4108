import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MemoryBlobStore } from '@longtake/blob'
import { BLOBS } from '@longtake/contracts'
import { missingRenditions } from '../src/plan.ts'
import { upload } from '../src/upload.ts'
import { finalizedState, recordingFile } from './support.ts'

test('a rendition made by one who did not hear of a deletion does not stay', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'upload-'))
  try {
    const path = join(folder, 'output')
    writeFileSync(path, 'a picture')
    const [planned] = missingRenditions(finalizedState([recordingFile('chrome-screen-vp9', ['V_VP9'])]))
    assert.ok(planned)
    const store = new MemoryBlobStore()
    const { signal } = new AbortController()
    await upload(store, path, planned, signal)
    assert.equal((await store.properties(planned.blob))?.bytes, 9)
    await store.delete(planned.blob)
    await store.put(BLOBS.tombstone(planned.session), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
    await upload(store, path, planned, signal)
    assert.equal(await store.properties(planned.blob), null)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
