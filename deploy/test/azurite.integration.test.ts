import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { BlobServiceClient } from '@azure/storage-blob'
import { startAzurite } from '../local/azurite.ts'

test('what Azurite has answered survives kill -9 and an orderly restart', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-azurite-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const azurite = await startAzurite({ dataDir })
  t.after(() => azurite.stop())
  const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('test')
  await container.create()
  const blob = container.getBlockBlobClient('session/webcam')
  const block = (n: number): string => Buffer.from(`block-${n}`).toString('base64')
  await blob.stageBlock(block(1), Buffer.alloc(100_000, 1), 100_000)
  await blob.commitBlockList([block(1)], { metadata: { commit: '1' } })

  azurite.kill()
  await azurite.restart()
  assert.equal((await blob.getProperties()).metadata?.['commit'], '1')
  assert.deepEqual(await blob.downloadToBuffer(), Buffer.alloc(100_000, 1))

  await blob.stageBlock(block(2), Buffer.alloc(50_000, 2), 50_000)
  await azurite.restart()
  await blob.commitBlockList([block(1), block(2)], { metadata: { commit: '2' } })
  const snapshot = await blob.createSnapshot()

  azurite.kill()
  await azurite.restart()
  assert.equal((await blob.getProperties()).contentLength, 150_000)
  assert.deepEqual(await blob.downloadToBuffer(), Buffer.concat([Buffer.alloc(100_000, 1), Buffer.alloc(50_000, 2)]))
  assert.equal((await blob.withSnapshot(snapshot.snapshot ?? '').getProperties()).metadata?.['commit'], '2')
})
