import { BLOBS, TOMBSTONE_DELETED_AT, type RecordingEvent } from '@longtake/contracts'
import { deletePermitted, type BlobStore } from '@longtake/blob'
import type { Logger } from '@longtake/service'
import type { Clock } from './clock.ts'

/** Holds last for months, and each try costs a list and a delete per blob. */
const RETRY_MS = 3_600_000
/** Not at once, so that a partition that changes its owner again and again costs nothing. */
const FIRST_RETRY_MS = 300_000

const EMPTY = { contentType: 'text/plain', metadata: {} } as const

/** Whether a session was deleted, so that its late chunks are dropped. */
export const isErased = async (store: BlobStore, session: string): Promise<boolean> => (await store.properties(BLOBS.tombstone(session))) !== null

/**
 * Deletes all that a session has in storage, for good; may be repeated. `held`: something may not be deleted yet, which is
 * recorded in storage for `HeldErasures`.
 * @param deletedAt of the request to delete it; absent where a deletion goes on, whose tombstone is there
 */
export async function eraseSession(
  store: BlobStore,
  partition: number,
  session: string,
  deletedAt?: string,
): Promise<'erased' | 'held'> {
  // First, so that whoever writes meanwhile finds it and stops. The first one stays: it names the deletion.
  const metadata = deletedAt === undefined ? {} : { [TOMBSTONE_DELETED_AT]: deletedAt }
  await store.put(BLOBS.tombstone(session), new Uint8Array(0), { ...EMPTY, metadata, ifNoneMatch: '*' })
  const { refused } = await deletePermitted(store, BLOBS.session(session))
  if (refused === 0) return 'erased'
  await store.put(BLOBS.heldErasure(partition, session), new Uint8Array(0), EMPTY)
  return 'held'
}

export interface HeldErasuresDeps {
  readonly store: BlobStore
  readonly clock: Clock
  readonly logger: Logger
  publish(event: RecordingEvent): Promise<void>
}

/** Finishes deletions of a partition's sessions that a legal hold or a policy forbade, when that has ended; also those of earlier owners. */
export class HeldErasures {
  readonly #partition: number
  readonly #deps: HeldErasuresDeps
  #cancel: () => void
  #stopped = false

  constructor(partition: number, deps: HeldErasuresDeps) {
    this.#partition = partition
    this.#deps = deps
    this.#cancel = this.#after(FIRST_RETRY_MS)
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #after(ms: number): () => void {
    return this.#deps.clock.after(ms, () => void this.#retryAll())
  }

  async #retryAll(): Promise<void> {
    const { store, logger } = this.#deps
    const prefix = BLOBS.heldErasures(this.#partition)
    try {
      for await (const { name } of store.list(prefix)) {
        if (this.#stopped) return
        await this.#retry(name.slice(prefix.length), name)
      }
    } catch (error) {
      logger.warn({ error, waitMs: RETRY_MS }, 'held deletions could not be checked, retrying')
    }
    if (!this.#stopped) this.#cancel = this.#after(RETRY_MS)
  }

  async #retry(session: string, record: string): Promise<void> {
    const { store, clock, logger } = this.#deps
    // Without a tombstone the session's deletion was completed and forgotten: the id may be in use again.
    if (await isErased(store, session)) {
      if ((await eraseSession(store, this.#partition, session)) === 'held') return
      await this.#deps.publish({ type: 'session-erased', session, at: new Date(clock.now()).toISOString() })
      logger.info({ session }, 'deletion completed after its hold ended')
    }
    await store.delete(record)
  }
}
