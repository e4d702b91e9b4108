import { BLOBS } from '@longtake/contracts'
import { deletePrefix, type BlobStore } from '@longtake/blob'

/** Whether a session was deleted, so that its late chunks are dropped. */
export const isErased = async (store: BlobStore, session: string): Promise<boolean> => (await store.properties(BLOBS.tombstone(session))) !== null

/** Deletes all that a session has in storage, for good; may be repeated. */
export async function eraseSession(store: BlobStore, session: string): Promise<void> {
  // First, so that whoever writes meanwhile finds it and stops.
  await store.put(BLOBS.tombstone(session), new Uint8Array(0), { contentType: 'text/plain', metadata: {} })
  await deletePrefix(store, BLOBS.session(session))
}
