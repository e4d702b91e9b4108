import type { BlobStore } from '@longtake/blob'
import { LongtakeError } from '@longtake/contracts'
import { isHeld } from './side-blobs.ts'
import { Unwritable } from './unwritable.ts'

/** Storage takes no change of this file's blob, while it takes others: by a hold, a policy, an archive tier, or because it is gone. */
export class FileRefused extends Error {
  readonly why: 'held' | 'leased' | 'gone'

  constructor(why: FileRefused['why'], message: string) {
    super(message)
    this.why = why
  }
}

/** Whether storage refuses this very call, so that the same again will not help; whom that concerns is to be found out. */
export const isRefused = (error: unknown): error is LongtakeError => isHeld(error) || (error instanceof LongtakeError && (error.code === 'BLOB_REFUSED' || error.code === 'BLOB_CONTENT_REFUSED'))

/** What is staged to learn whether a blob takes anything at all. It is in no commit, so the next one or time discards it. */
const PROBE = Uint8Array.of(0)
const DESCRIBED = { contentType: 'application/octet-stream', metadata: {} } as const

/** Finds out what refused requests of a commit concern: storage's code alone does not say so reliably, what it takes instead does. */
export class Refusals {
  readonly #store: BlobStore
  readonly #newBlockId: (bytes: Uint8Array) => string

  constructor(store: BlobStore, newBlockId: (bytes: Uint8Array) => string) {
    this.#store = store
    this.#newBlockId = newBlockId
  }

  /**
   * What to throw: `FileRefused` where the file's blob takes nothing and another one does, `Unwritable` where it takes other
   * content, else the error itself.
   * @param etag of the blob; null where it is to be begun
   * @param other name of a blob that is of no use to anybody else
   */
  async explain(error: LongtakeError, blob: string, etag: string | null, other: string): Promise<Error> {
    if (error.code === 'BLOB_CONTENT_REFUSED') return new Unwritable(error.message, { cause: error })
    const refusal = await this.#refusalOf(blob, etag)
    if (refusal === 'gone') return error
    // A side blob that is held has a new name at the next try.
    if (refusal === null) return isHeld(error) || !(await this.#takesPut(other)) ? error : new Unwritable(error.message, { cause: error })
    return (await this.#takesCommit(other)) ? new FileRefused(refusal, `${blob} may not be changed: ${error.message}`) : error
  }

  /** Why a blob takes nothing; null if it does. Commits what it is already. */
  async #refusalOf(blob: string, etag: string | null): Promise<FileRefused['why'] | null> {
    if (etag !== null) {
      const refusal = await this.#refusalToCommit(blob, etag)
      if (refusal !== null) return refusal
    }
    return (await this.#takesBlocks(blob)) ? null : 'held'
  }

  async #refusalToCommit(blob: string, etag: string): Promise<FileRefused['why'] | null> {
    const [properties, lists] = [await this.#store.properties(blob), await this.#store.blockList(blob)]
    if (properties === null || lists === null) return 'gone'
    const { contentType, metadata } = properties
    try {
      const { outcome } = await this.#store.commitBlockList(blob, lists.committed.map(({ id }) => id), { ifMatch: etag, contentType, metadata })
      return outcome === 'held' || outcome === 'leased' ? outcome : null
    } catch (error) {
      if (isRefused(error)) return 'held'
      throw error
    }
  }

  async #takesBlocks(blob: string): Promise<boolean> {
    return this.#isTaken(async () => this.#store.stageBlock(blob, this.#newBlockId(PROBE), PROBE))
  }

  async #takesCommit(blob: string): Promise<boolean> {
    return (await this.#takesBlocks(blob)) && this.#isTakenAndDeleted(blob, async () => this.#store.commitBlockList(blob, [], { ifNoneMatch: '*', ...DESCRIBED }))
  }

  async #takesPut(blob: string): Promise<boolean> {
    return this.#isTakenAndDeleted(blob, async () => this.#store.put(blob, PROBE, DESCRIBED))
  }

  async #isTakenAndDeleted(blob: string, write: () => Promise<{ outcome: string }>): Promise<boolean> {
    let isHeldThere = false
    const isTaken = await this.#isTaken(async () => {
      isHeldThere = (await write()).outcome === 'held'
      await this.#store.delete(blob)
    })
    return isTaken && !isHeldThere
  }

  async #isTaken(request: () => Promise<void>): Promise<boolean> {
    try {
      await request()
      return true
    } catch (error) {
      if (isRefused(error)) return false
      throw error
    }
  }
}
