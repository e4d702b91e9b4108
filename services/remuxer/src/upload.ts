import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type BlobStore, COMMIT_ID, commitWithReadBack, newBlockIds } from '@longtake/blob'
import { BLOBS, LongtakeError } from '@longtake/contracts'
import type { PlannedRendition } from './plan.ts'

const BLOCK_BYTES = 4 * 1024 ** 2

/**
 * Publishes a file as the rendition's blob, at once or not at all, and returns its size. If another one came first,
 * that one stays: a rendition's blob never changes.
 */
export async function upload(store: BlobStore, path: string, { session, blob, version, mimeType }: PlannedRendition, signal: AbortSignal): Promise<number> {
  const idFor = newBlockIds()
  const ids: string[] = []
  let bytes = 0
  for await (const block of createReadStream(path, { highWaterMark: BLOCK_BYTES }) as AsyncIterable<Buffer>) {
    const id = idFor(block)
    await store.stageBlock(blob, id, block, { signal })
    ids.push(id)
    bytes += block.length
  }
  // The generation tells caches that another version's rendition, at the same address, has other bytes.
  const metadata = { [COMMIT_ID]: randomUUID(), generation: String(version) }
  const commit = await commitWithReadBack(store, blob, ids, { ifNoneMatch: '*', contentType: mimeType, metadata, signal })
  if (commit.outcome === 'committed') {
    // Whoever erases the session may have been here before it was committed.
    if ((await store.properties(BLOBS.tombstone(session), { signal })) !== null) await store.delete(blob, { signal })
    return bytes
  }
  const existing = await store.properties(blob, { signal })
  if (existing !== null) return existing.bytes
  throw new LongtakeError('BLOB_UNAVAILABLE', `publishing ${blob}: ${commit.outcome}`, commit.outcome === 'unknown' ? { cause: commit.cause } : {})
}
