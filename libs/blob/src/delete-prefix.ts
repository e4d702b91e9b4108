import type { BlobStore, Call } from './store.ts'

const CONCURRENCY = 16

/**
 * Deletes all blobs below a prefix with their snapshots; resolves to how many there were. What was staged and never
 * committed cannot be listed or deleted: Azure drops it after seven days.
 * @param prefix ends with `/`, so that session `a` never takes session `ab` with it
 */
export async function deletePrefix(store: BlobStore, prefix: string, call: Call = {}): Promise<number> {
  if (!/^[^/].*\/$/.test(prefix)) throw new TypeError(`"${prefix}" is no prefix to delete: it must end with a slash and name something`)
  let deleted = 0
  let names: string[] = []
  const flush = async (): Promise<void> => {
    await Promise.all(names.map((name) => store.delete(name, { includeSnapshots: true, signal: call.signal })))
    deleted += names.length
    names = []
  }
  for await (const { name } of store.list(prefix, call)) {
    names.push(name)
    if (names.length === CONCURRENCY) await flush()
  }
  await flush()
  return deleted
}
