import { hash } from 'node:crypto'
import type { BlobStore } from '@longtake/blob'
import { LongtakeError } from '@longtake/contracts'
import { Unwritable } from './unwritable.ts'

/** In the metadata of a side blob: the SHA-256 of its bytes, lower-case hex. Blobs of earlier versions have none. */
const DIGEST = 'sha256'

export type SideBlob =
  /** @param verified whether a digest proves the bytes */
  | { readonly state: 'intact'; readonly bytes: Uint8Array; readonly verified: boolean }
  /** Other bytes than were written. */
  | { readonly state: 'damaged' }
  | { readonly state: 'missing' }

export const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')

/** A hold, a policy or an archive tier: it concerns this blob alone. */
export const isHeld = (error: unknown): boolean => error instanceof LongtakeError && (error.code === 'BLOB_HELD' || error.code === 'BLOB_HAS_SNAPSHOTS')

/** Checkpoints and pending chunks: small immutable blobs beside a track's files, each with its digest. */
export class SideBlobs {
  readonly #store: BlobStore

  constructor(store: BlobStore) {
    this.#store = store
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    // Names are unique to their commit, so a blob that is there is this one: its first answer was lost.
    const { outcome } = await this.#store.put(name, bytes, { ifNoneMatch: '*', contentType: 'application/octet-stream', metadata: { [DIGEST]: digestOf(bytes) } })
    if (outcome === 'held') throw new LongtakeError('BLOB_HELD', `${name} may not be written`)
  }

  /**
   * Reads and verifies. A blob that cannot be read for what it is, as in the archive, makes its track unwritable only.
   * @param expected its digest where its own metadata is not all there is to prove it by
   */
  async read(name: string, expected?: string): Promise<SideBlob> {
    // Twice: bytes that were damaged on their way are not damaged for good.
    for (let last = false; ; last = true) {
      const found = await this.#readOnce(name)
      if (found === null) return { state: 'missing' }
      const digests = [found.properties.metadata[DIGEST], expected].filter((digest) => digest !== undefined)
      const actual = digests.length === 0 ? undefined : digestOf(found.bytes)
      if (digests.every((digest) => digest === actual)) return { state: 'intact', bytes: found.bytes, verified: digests.length > 0 }
      if (last) return { state: 'damaged' }
    }
  }

  async #readOnce(name: string): ReturnType<BlobStore['readAll']> {
    try {
      return await this.#store.readAll(name)
    } catch (error) {
      if (isHeld(error)) throw new Unwritable(`${name} cannot be read`, { cause: error })
      throw error
    }
  }

  /** What may not be deleted now is an orphan, which the next load tries to delete again. */
  async delete(name: string): Promise<void> {
    await this.#store.delete(name).catch((error: unknown) => {
      if (!isHeld(error)) throw error
    })
  }
}
