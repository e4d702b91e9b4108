import type { BlobProperties, BlobStore } from '@longtake/blob'
import { BLOBS } from '@longtake/contracts'
import { decodeCheckpoint, METADATA, writtenBy, type Checkpoint, type TrackFile } from './core/index.ts'
import type { SideBlobs } from './side-blobs.ts'
import { Unwritable } from './unwritable.ts'

/** A checkpoint that is gone belongs to a commit that is not the last any more: look again. */
const READS = 5
/** A file was restored from an earlier checkpoint than its last commit's. */
export interface Fallback {
  readonly file: number
  /** Names of the checkpoint that cannot be used, and of the one that was. */
  readonly damaged: string
  readonly used: string
  /** Offsets in recordings.chunks that the damaged one covers and the earlier one does not; no end where that is not known. */
  readonly from: bigint
  readonly to: bigint | null
}

export interface FoundCheckpoint {
  readonly checkpoint: Checkpoint
  readonly name: string
  /** Of the file. */
  readonly properties: BlobProperties
  /** Name of the last commit's checkpoint where it cannot be used. */
  readonly damaged: string | null
}

/** Finds the checkpoint from which a file goes on: its last commit's, or the one before where that is damaged. */
export class StoredCheckpoints {
  readonly #store: BlobStore
  readonly #side: SideBlobs
  readonly #session: string
  readonly #name: string

  constructor(store: BlobStore, side: SideBlobs, session: string, name: string) {
    this.#store = store
    this.#side = side
    this.#session = session
    this.#name = name
  }

  /**
   * Null when the file is gone, or was overwritten by somebody who is no writer of ours.
   * @param listed the file as the list has just shown it; null if it was not there
   * @param names side blobs of the track
   */
  async read(number: number, listed: BlobProperties | null, names: readonly string[]): Promise<FoundCheckpoint | null> {
    const blob = BLOBS.file(this.#session, this.#name, number)
    let damaged: { name: string; properties: BlobProperties } | null = null
    for (let read = 0; read < READS; read++) {
      const properties = read === 0 ? listed : await this.#store.properties(blob)
      const name = properties?.metadata[METADATA.checkpoint]
      if (properties === null || name === undefined) return null
      damaged = { name, properties }
      const found = await this.#side.read(name, properties.metadata[METADATA.checkpointDigest])
      if (found.state === 'missing') continue
      const checkpoint = found.state === 'intact' ? decoded(found) : null
      if (checkpoint === null) break
      return { checkpoint, name, properties, damaged: null }
    }
    const { name, properties } = damaged!
    const before = ownCheckpoints(number, names).filter((own) => own.number < writtenBy(name)!.number)
    const earlier = await this.#newestIntact(before)
    if (earlier === null) throw new Unwritable(`${name}, the checkpoint of ${blob}, is damaged, and no earlier one is left`)
    return { ...earlier, properties, damaged: name }
  }

  /** A checkpoint of a file whose blob is gone: it says what was in it. The newest may be of a commit that found it gone. */
  async readLast(number: number, names: readonly string[]): Promise<{ checkpoint: Checkpoint; name: string }> {
    const own = ownCheckpoints(number, names)
    const older = own.filter((one) => one.number < own[0]!.number)
    const found = await this.#newestIntact(older.length > 0 ? older : own)
    if (found === null) throw new Unwritable(`file ${number} of ${this.#session}/${this.#name} is gone, and so are its checkpoints`)
    return found
  }

  async #newestIntact(candidates: readonly { readonly name: string }[]): Promise<{ checkpoint: Checkpoint; name: string } | null> {
    for (const { name } of candidates) {
      const found = await this.#side.read(name)
      const checkpoint = found.state === 'intact' ? decoded(found) : null
      if (checkpoint !== null) return { checkpoint, name }
    }
    return null
  }
}

/** Null where bytes without a digest are no checkpoint; with one they are as written, of a version unknown here. */
function decoded({ bytes, verified }: { bytes: Uint8Array; verified: boolean }): Checkpoint | null {
  try {
    return decodeCheckpoint(bytes)
  } catch (cause) {
    if (verified) throw new Unwritable(String(cause), { cause })
    return null
  }
}

/** A file's checkpoints, the newest first. */
function ownCheckpoints(file: number, names: readonly string[]): { name: string; number: number }[] {
  const own = names.flatMap((name) => {
    const by = name.includes('/checkpoints/') ? writtenBy(name) : null
    return by?.file === file ? [{ name, number: by.number }] : []
  })
  return own.toSorted((a, b) => b.number - a.number)
}

/** Makes a file, restored from an earlier checkpoint, the one that the next commit follows. */
export function fallBack(file: TrackFile, { checkpoint, name, properties, damaged }: FoundCheckpoint, blockIds: readonly string[]): Fallback {
  const { metadata } = properties
  const present = new Set(blockIds)
  for (const { id } of file.committed.flatMap((blocks) => [...blocks])) {
    if (!present.has(id)) throw new Unwritable(`${damaged} is damaged, and ${name} names a block that the file has not any more`)
  }
  file.commitNumber = Number(metadata[METADATA.number])
  // What the lost commit added is written anew, perhaps in other places.
  file.generation = Number(metadata[METADATA.generation]) + 1
  file.checkpoints = [name, damaged!]
  file.dirty = true
  const to = metadata[METADATA.nextOffset]
  return { file: file.number, damaged: damaged!, used: name, from: BigInt(checkpoint.nextOffset), to: to === undefined ? null : BigInt(to) }
}

/** Numbers of files that had a second commit, by their checkpoints: the one of a first commit may be there without a file. */
export function committedFiles(names: readonly string[]): number[] {
  return names.flatMap((name) => {
    const by = name.includes('/checkpoints/') ? writtenBy(name) : null
    return by !== null && by.number > 1 ? [by.file] : []
  })
}
