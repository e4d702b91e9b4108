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

/**
 * Removes the tombstone, unless a blob of the session is left: then block-writer is to complete the deletion, which it does
 * once that is permitted, and publishes. False if so.
 */
export async function removeTombstone(
  store: BlobStore,
  { session }: SessionState,
  partition: number,
  signal: AbortSignal,
): Promise<boolean> {
  for await (const _ of store.list(BLOBS.session(session), { snapshots: true, signal })) {
    await store.put(BLOBS.heldErasure(partition, session), new Uint8Array(0), { contentType: 'text/plain', metadata: {}, signal })
    return false
  }
  await store.delete(BLOBS.tombstone(session), { signal })
  return true
}
