import type { BlobProperties, BlobStore } from '@longtake/blob'
import { BLOBS } from '@longtake/contracts'
import { decodeCheckpoint, METADATA, TrackFile, writtenBy, type Checkpoint } from './core/index.ts'
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

export interface GoneCheckpoints {
  /** Of a commit that was made for certain, or the only one there is; null where the first commit may never have been made. */
  readonly base: { readonly checkpoint: Checkpoint; readonly name: string } | null
  /** Of the last commit, made or not, as its writers left them. */
  readonly last: readonly Checkpoint[]
  /** Of all of them, the newest first. */
  readonly names: readonly string[]
  /** Whether nothing may be written under the file's name any more. */
  readonly isClosed: boolean
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
   * Null when the file is gone, was overwritten by somebody who is no writer of ours, or was never committed.
   * @param listed the file as the list has just shown it; null if it was not there
   * @param names side blobs of the track
   */
  async read(number: number, listed: BlobProperties | null, names: readonly string[]): Promise<FoundCheckpoint | null> {
    const blob = BLOBS.file(this.#session, this.#name, number)
    let damaged: { name: string; properties: BlobProperties } | null = null
    for (let read = 0; read < READS; read++) {
      const properties = (read === 0 ? listed : null) ?? (await this.#store.properties(blob))
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

  /**
   * The checkpoints of a file that has no blob of ours. The newest may be of a commit that was never made: it found the file gone, or
   * its writer was killed.
   * @param overwritten somebody else's blob has its name, so that no commit can be made there
   */
  async readGone(number: number, names: readonly string[], overwritten: boolean): Promise<GoneCheckpoints> {
    const own = ownCheckpoints(number, names)
    const newest = own.filter((one) => one.number === own[0]!.number)
    const earlier = await this.#newestIntact(own.slice(newest.length))
    const found = await Promise.all(newest.map(async (one) => this.#newestIntact([one])))
    const last = found.filter((one) => one !== null)
    const isCommitted = own.length > newest.length || (own[0]?.number ?? 0) > 1
    const base = earlier ?? (isCommitted || overwritten ? (last[0] ?? null) : null)
    if (base === null && isCommitted) throw new Unwritable(`file ${number} of ${this.#session}/${this.#name} is gone, and so are its checkpoints`)
    return { base, last: last.map(({ checkpoint }) => checkpoint), names: own.map(({ name }) => name), isClosed: base !== null || overwritten }
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
export function ownCheckpoints(file: number, names: readonly string[]): { name: string; number: number }[] {
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
  // The one that can be read stays until the commit after the next.
  file.checkpoints = [damaged!, name]
  file.dirty = true
  const to = metadata[METADATA.endOffset] ?? metadata[METADATA.nextOffset]
  return { file: file.number, damaged: damaged!, used: name, from: BigInt(checkpoint.nextOffset), to: to === undefined ? null : BigInt(to) }
}

/** A file without a blob: as it was, or where its first commit may never have been made, as one that is still to be begun. */
export function restoreGone(number: number, { base, last, names }: GoneCheckpoints): TrackFile {
  const file = base === null ? new TrackFile(number) : TrackFile.restore(number, base.checkpoint, base.checkpoint.parts, base.name)
  // Should it have been made, the bytes of the next one are others. Its number is the first again: that there is a second
  // proves that the first was made.
  if (base === null) file.generation = Math.max(0, ...last.map(({ generation }) => generation)) + 1
  // Which of them was committed is not known: none is deleted before the file is there again.
  file.checkpoints = names.toReversed()
  return file
}

/** Numbers of the files that have checkpoints. */
export function filesWithCheckpoints(names: readonly string[]): number[] {
  return names.flatMap((name) => (name.includes('/checkpoints/') ? (writtenBy(name)?.file ?? []) : []))
}
