import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { commitWithReadBack, type BlobProperties, type BlobStore } from '@longtake/blob'
import { BLOBS, LongtakeError, type EventOf } from '@longtake/contracts'
import { patchClusterTimestamps } from '@longtake/webm'
import {
  commitEvent,
  decodeCheckpoint,
  METADATA,
  Track,
  TrackFile,
  writtenBy,
  type CommitEvent,
  type CommitPlan,
  type NewBlock,
  type TrackLimits,
} from './core/index.ts'
import { orUnwritable, Unwritable } from './unwritable.ts'

export type Committed = Omit<EventOf<'blocks-committed'>, 'at'>

/** A track as storage has it, with the etags that its next commits must match. */
export interface LoadedTrack {
  readonly track: Track
  readonly etags: Map<number, string>
  /** Each file's state and when it was committed, to be published again: its event may have been lost. */
  readonly states: readonly { readonly state: Committed; readonly at: Date }[]
}

/** A checkpoint that is gone belongs to a commit that is not the last any more: look again. */
const READS = 5
/** What no commit refers to for so long was left by a commit that failed for good. */
const ORPHAN_MS = 24 * 3_600_000

/** Names within a track's folder. */
const FILE = /^\d+$/
const SIDE = /^(pending|checkpoints)\//

/** Somebody else wrote the blob: what is in memory is not what follows from it. */
export class Superseded extends Error {}

const IMMUTABLE = { contentType: 'application/octet-stream', metadata: {} } as const

/** Reads and writes one track's blobs: files, checkpoints, pending chunks. */
export class TrackStorage {
  readonly #store: BlobStore
  readonly #newBlockId: (bytes: Uint8Array) => string
  readonly #session: string
  readonly #name: string

  constructor(store: BlobStore, newBlockId: (bytes: Uint8Array) => string, session: string, name: string) {
    this.#store = store
    this.#newBlockId = newBlockId
    this.#session = session
    this.#name = name
  }

  async load(limits: TrackLimits, now: number): Promise<LoadedTrack> {
    const track = new Track(this.#session, this.#name, limits)
    const etags = new Map<number, string>()
    const restored: { file: TrackFile; properties: BlobProperties; nextOffset: string }[] = []
    const prefix = BLOBS.track(this.#session, this.#name)
    const files: number[] = []
    const side: { name: string; age: number }[] = []
    for await (const { name, lastModified } of this.#store.list(prefix)) {
      const rest = name.slice(prefix.length)
      if (FILE.test(rest)) files.push(Number(rest))
      // A track may be called as a folder of the session, where others keep their blobs.
      else if (SIDE.test(rest)) side.push({ name, age: now - lastModified.getTime() })
    }
    for (const number of files.toSorted((a, b) => a - b)) {
      const { checkpoint, name, properties } = await this.#readCheckpoint(number)
      const file = TrackFile.restore(number, checkpoint, checkpoint.parts, name)
      track.addFile(file, checkpoint.parts)
      etags.set(number, properties.etag)
      restored.push({ file, properties, nextOffset: checkpoint.nextOffset })
    }
    if (files.length > 0) await this.#expectFiles(files.length)
    const states: { state: Committed; at: Date }[] = []
    for (const { file, properties, nextOffset } of restored) {
      const lists = await this.#store.blockList(BLOBS.file(this.#session, this.#name, file.number))
      const ids = lists?.committed.map(({ id }) => id) ?? []
      states.push({ state: withBlocks(commitEvent(track, file, properties.contentType, nextOffset), ids), at: properties.lastModified })
    }
    await this.#deleteOrphans(track, side)
    return { track, etags, states }
  }

  /**
   * A part that file 0 lacks by now may have moved into a file that another writer began after the list was made: loading
   * without it would lose the part, and delete its pending blobs as nobody's.
   */
  async #expectFiles(count: number): Promise<void> {
    const prefix = BLOBS.track(this.#session, this.#name)
    let found = 0
    for await (const { name } of this.#store.list(prefix)) if (FILE.test(name.slice(prefix.length))) found++
    if (found !== count) throw new Superseded(`a file of ${prefix} was begun while it was loaded`)
  }

  async #readCheckpoint(number: number): Promise<{ checkpoint: ReturnType<typeof decodeCheckpoint>; name: string; properties: BlobProperties }> {
    const blob = BLOBS.file(this.#session, this.#name, number)
    for (let read = 0; read < READS; read++) {
      const properties = await this.#store.properties(blob)
      const name = properties?.metadata[METADATA.checkpoint]
      if (properties === null || name === undefined) throw new Unwritable(`${blob} has no checkpoint`)
      const found = await this.#store.readAll(name)
      if (found === null) continue
      return { checkpoint: orUnwritable(() => decodeCheckpoint(found.bytes)), name, properties }
    }
    throw new Unwritable(`${blob} names a checkpoint that does not exist`)
  }

  /** What was written for commits that failed, or not deleted by one that was cut short. */
  async #deleteOrphans(track: Track, side: readonly { name: string; age: number }[]): Promise<void> {
    const needed = new Set(track.files.flatMap((file) => [...file.pendingBlobs, ...file.checkpoints]))
    for (const { name, age } of side) {
      if (needed.has(name)) continue
      const by = writtenBy(name)
      const last = by === null ? undefined : track.files[by.file]?.commitNumber
      // A commit of that number or a lower one can never succeed any more; one of a higher number may be under way.
      const isOver = by !== null && last !== undefined && by.number <= last
      if (isOver || age > ORPHAN_MS) await this.#store.delete(name)
    }
  }

  /** The bytes of a pending blob. */
  async readPending(name: string): Promise<Uint8Array> {
    const found = await this.#store.readAll(name)
    if (found === null) throw new Unwritable(`the pending blob ${name} does not exist`)
    return found.bytes
  }

  /** Carries out a planned commit. Throws `Superseded` when the blob is not what the plan began from; whatever it throws, load again. */
  async commit(plan: CommitPlan, etag: string | null): Promise<{ etag: string; state: Committed; readBack: boolean; obsolete: string[]; bytes: number }> {
    await Promise.all(plan.pending.map(async ({ name, parts }) => this.#putNew(name, Buffer.concat(parts))))
    const ids: string[] = []
    let bytes = 0
    for (const block of plan.blocks) {
      ids.push(await this.#stage(plan.blob, await this.#bytesOf(plan, block, etag)))
      bytes += block.length
    }
    const sealed = orUnwritable(() => plan.seal(ids))
    const headerIds = sealed.header === null ? [] : [await this.#stage(plan.blob, sealed.header)]
    await this.#putNew(sealed.checkpoint.name, sealed.checkpoint.bytes)
    const blockIds = [...headerIds, ...sealed.blockIds]
    const { contentType, metadata } = sealed
    const condition = etag === null ? ({ ifNoneMatch: '*' } as const) : { ifMatch: etag }
    const outcome = await commitWithReadBack(this.#store, plan.blob, blockIds, { ...condition, contentType, metadata })
    switch (outcome.outcome) {
      case 'committed':
        return { etag: outcome.etag, state: withBlocks(sealed.event, blockIds), readBack: outcome.readBack, obsolete: sealed.obsolete(), bytes }
      case 'conflict':
        throw new Superseded(`${plan.blob} was written by somebody else`)
      case 'invalid-block-list':
        // Another's commit, or seven days, have discarded what was staged: it is staged anew after loading.
        throw new Superseded(`blocks staged for ${plan.blob} are gone`)
      case 'held':
        throw new LongtakeError('UNAVAILABLE', `${plan.blob} may not be changed: a hold or a policy protects it`)
      case 'unknown':
        throw outcome.cause
      default:
        return outcome satisfies never
    }
  }

  /** Deletes side blobs that nothing refers to any more. */
  async deleteAll(names: readonly string[]): Promise<void> {
    await Promise.all(names.map(async (name) => this.#store.delete(name)))
  }

  async #stage(blob: string, bytes: Uint8Array): Promise<string> {
    const id = this.#newBlockId(bytes)
    await this.#store.stageBlock(blob, id, bytes)
    return id
  }

  async #bytesOf(plan: CommitPlan, block: NewBlock, etag: string | null): Promise<Uint8Array> {
    if (block.kind === 'bytes') return block.parts.length === 1 ? block.parts[0]! : Buffer.concat(block.parts)
    const read = await this.#store.readRange(plan.blob, { offset: plan.offsetOf(block.id), count: block.length, ifMatch: etag ?? undefined })
    if (read.outcome !== 'read') throw new Superseded(`${plan.blob} has changed while it was read`)
    const bytes = await buffer(read.body)
    orUnwritable(() => patchClusterTimestamps(bytes, block.deltaMs))
    return bytes
  }

  async #putNew(name: string, bytes: Uint8Array): Promise<void> {
    // Names are unique to their commit, so a blob that is there is this one: its first answer was lost.
    await this.#store.put(name, bytes, { ifNoneMatch: '*', ...IMMUTABLE })
  }
}

function withBlocks(event: CommitEvent, ids: readonly string[]): Committed {
  return { ...event, blocks: { count: ids.length, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') } }
}
