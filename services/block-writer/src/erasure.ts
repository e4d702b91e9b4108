import { BLOBS } from '@longtake/contracts'
import { deletePrefix, type BlobStore } from '@longtake/blob'

/**
 * Says that a session was deleted, so that its late chunks are dropped. Stands outside of the session's own folder, which is
 * emptied, and under a name that no session can have.
 */
const tombstone = (session: string): string => `.deleted/${session}`

export const isErased = async (store: BlobStore, session: string): Promise<boolean> => (await store.properties(tombstone(session))) !== null

/** Deletes all that a session has in storage, for good; may be repeated. */
export async function eraseSession(store: BlobStore, session: string): Promise<void> {
  // First, so that whoever writes meanwhile finds it and stops.
  await store.put(tombstone(session), new Uint8Array(0), { contentType: 'text/plain', metadata: {} })
  await deletePrefix(store, BLOBS.session(session))
}
