import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { BlobServiceClient, generateBlobSASQueryParameters, BlobSASPermissions, StorageSharedKeyCredential } from '@azure/storage-blob'
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

/** So many bodies Azurite writes at the same time. */
const WRITE_SLOTS = 50

test('uploads whose clients go away take nothing with them: Azurite goes on writing, and every blob has its own bytes', { timeout: 60_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-azurite-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const azurite = await startAzurite({ dataDir })
  t.after(() => azurite.stop())
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString)
  const container = service.getContainerClient('test')
  await container.create()

  const begin = async (label: string, sent: number): Promise<Socket[]> => {
    const sockets = await Promise.all(Array.from({ length: WRITE_SLOTS }, async (_, n) => beginUpload(uploadUrl(azurite.url, service, `${label}-${n}`), 300_000, sent)))
    // Azurite has seen them once it has answered what came later.
    for (let i = 0; i < 10; i++) await container.getProperties()
    return sockets
  }
  const abandon = async (sockets: readonly Socket[]): Promise<void> => {
    await Promise.all(sockets.map(async (socket) => once(socket.destroy(), 'close')))
    for (let i = 0; i < 10; i++) await container.getProperties()
  }
  const written = await begin('written', 200_000)
  await abandon(await begin('waiting', 10_000))
  await abandon(written)

  const bodies = Array.from({ length: 20 }, (_, n) => Buffer.alloc(300_000, n + 1))
  await Promise.all(bodies.map(async (body, n) => container.getBlockBlobClient(`whole-${n}`).upload(body, body.length)))
  for (const [n, body] of bodies.entries()) assert.ok((await container.getBlockBlobClient(`whole-${n}`).downloadToBuffer()).equals(body), `whole-${n}`)
})

function uploadUrl(account: string, service: BlobServiceClient, blobName: string): URL {
  assert.ok(service.credential instanceof StorageSharedKeyCredential)
  const expiresOn = new Date(Date.now() + 3_600_000)
  const query = generateBlobSASQueryParameters({ containerName: 'test', blobName, permissions: BlobSASPermissions.parse('cw'), expiresOn }, service.credential)
  return new URL(`${account}/test/${blobName}?${query.toString()}`)
}

/** Puts a blob of `bytes`, of which it sends only `sent`; resolves when they have left. */
async function beginUpload({ hostname, port, pathname, search }: URL, bytes: number, sent: number): Promise<Socket> {
  const socket = connect(Number(port), hostname).on('error', () => {})
  await once(socket, 'connect')
  const head = [`PUT ${pathname}${search} HTTP/1.1`, `Host: ${hostname}:${port}`, 'x-ms-blob-type: BlockBlob', 'x-ms-version: 2024-11-04', `Content-Length: ${bytes}`]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  await new Promise<void>((resolve) => socket.write(Buffer.alloc(sent, 0xee), () => resolve()))
  return socket
}
