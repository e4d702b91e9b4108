import { LongtakeError } from '@longtake/contracts'
import type { BlobStore, Call } from './store.ts'

const CONCURRENCY = 16

/**
 * Deletes all blobs below a prefix with their snapshots; resolves to how many there were. What was staged and never
 * committed cannot be listed or deleted: Azure drops it after seven days. Throws `BLOB_HELD` where a blob may not be
 * deleted, once all others are.
 * @param prefix ends with `/`, so that session `a` never takes session `ab` with it
 */
export async function deletePrefix(store: BlobStore, prefix: string, call: Call = {}): Promise<number> {
  const { deleted, refused } = await deletePermitted(store, prefix, call)
  if (refused > 0) throw new LongtakeError('BLOB_HELD', `${refused} blobs of ${prefix} may not be deleted`)
  return deleted
}

/** The same for what may be deleted; counts what may not, by a hold, a policy or a lease. */
export async function deletePermitted(store: BlobStore, prefix: string, call: Call = {}): Promise<{ deleted: number; refused: number }> {
  if (!/^[^/].*\/$/.test(prefix)) throw new TypeError(`"${prefix}" is no prefix to delete: it must end with a slash and name something`)
  let deleted = 0
  let refused = 0
  let names: string[] = []
  const remove = async (name: string): Promise<void> => {
    try {
      await store.delete(name, { includeSnapshots: true, signal: call.signal })
      deleted++
    } catch (error) {
      if (!(error instanceof LongtakeError && error.code === 'BLOB_HELD')) throw error
      refused++
    }
  }
  const flush = async (): Promise<void> => {
    await Promise.all(names.map(remove))
    names = []
  }
  for await (const { name } of store.list(prefix, call)) {
    names.push(name)
    if (names.length === CONCURRENCY) await flush()
  }
  await flush()
  return { deleted, refused }
}
