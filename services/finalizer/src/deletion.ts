import { type BlobStore, deletePermitted } from '@longtake/blob'
import { BLOBS, type SessionState, TOMBSTONE_DELETED_AT } from '@longtake/contracts'

/**
 * missing: no deletion is under way, or it was completed: what storage has under this id is not of the deleted session ·
 * later: the id was used and deleted again since · standing: that of this deletion.
 */
export type Tombstone = 'missing' | 'later' | 'standing'

/** Which deletion of the session storage knows of. */
export async function findTombstone(
  store: BlobStore,
  { session, deletion }: SessionState,
  signal: AbortSignal,
): Promise<Tombstone> {
  const found = await store.properties(BLOBS.tombstone(session), { signal })
  if (found === null) return 'missing'
  const deletedAt = Date.parse(found.metadata[TOMBSTONE_DELETED_AT] ?? '')
  // The id is free again only behind the expiry. Requests to delete it may be repeated, but none comes as late as that.
  return deletion?.expiredAt !== undefined && deletedAt > Date.parse(deletion.expiredAt) ? 'later' : 'standing'
}

/** Deletes the manifests of a deleted session; what is held, block-writer retries. Resolves with how many there were. */
export async function deleteManifests(store: BlobStore, session: string, signal: AbortSignal): Promise<number> {
  return (await deletePermitted(store, BLOBS.manifestPrefix(session), { signal })).deleted
}

/** Whether storage has anything under the session's id, of the deleted one or of another that was created since. */
export async function hasBlobs(store: BlobStore, session: string, signal: AbortSignal): Promise<boolean> {
  for await (const _ of store.list(BLOBS.session(session), { snapshots: true, signal })) return true
  return false
}

/** Leaves a deletion to block-writer, which completes it once that is permitted, and publishes. */
export async function handOver(store: BlobStore, session: string, partition: number, signal: AbortSignal): Promise<void> {
  const blob = BLOBS.heldErasure(partition, session)
  await store.put(blob, new Uint8Array(0), { contentType: 'text/plain', metadata: {}, signal })
}
