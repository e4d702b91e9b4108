import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { commitWithReadBack, type BlobProperties, type BlobStore } from '@longtake/blob'
import { BLOBS, LongtakeError, type EventOf } from '@longtake/contracts'
import { patchClusterTimestamps } from '@longtake/webm'
import {
  commitEvent,
  decodeCheckpoint,
  METADATA,
  offsetIn,
  Track,
  TrackFile,
  writtenBy,
  type Checkpoint,
  type CommitEvent,
  type CommitPlan,
  type LeadIn,
  type NewBlock,
  type TrackLimits,
} from './core/index.ts'
import { orUnwritable, Unwritable } from './unwritable.ts'
import { Writing } from './writing.ts'

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

/** Storage takes no change of this file's blob, while it takes others: by a hold, a policy, an archive tier, or because it is gone. */
export class FileRefused extends Error {
  readonly why: 'held' | 'leased' | 'gone'

  constructor(why: FileRefused['why'], message: string) {
    super(message)
    this.why = why
  }
}

interface LoadedFile {
  readonly file: TrackFile
  /** Null when the file is gone. */
  readonly properties: BlobProperties | null
  readonly nextOffset: string
  readonly blockIds: readonly string[]
}

const IMMUTABLE = { contentType: 'application/octet-stream', metadata: {} } as const

export interface CommitResult {
  readonly etag: string
  readonly state: Committed
  /** Whether the answer was lost, and the blob had to be asked. */
  readonly readBack: boolean
  /** Side blobs that nothing needs any more. */
  readonly obsolete: string[]
  /** Of media blocks that were staged. */
  readonly bytes: number
}

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

  /** @param refused files that storage is known to take no change of */
  async load(limits: TrackLimits, now: number, refused: ReadonlySet<number> = new Set()): Promise<LoadedTrack> {
    const track = new Track(this.#session, this.#name, limits)
    const closed = new Set(refused)
    const etags = new Map<number, string>()
    const restored = new Map<number, LoadedFile>()
    const prefix = BLOBS.track(this.#session, this.#name)
    const files = new Map<number, BlobProperties>()
    const side: { name: string; age: number }[] = []
    for await (const { name, snapshot: _snapshot, ...properties } of this.#store.list(prefix)) {
      const rest = name.slice(prefix.length)
      if (FILE.test(rest)) files.set(Number(rest), properties)
      // A track may be called as a folder of the session, where others keep their blobs.
      else if (SIDE.test(rest)) side.push({ name, age: now - properties.lastModified.getTime() })
    }
    const names = side.map(({ name }) => name)
    for (const number of new Set([...files.keys(), ...committedFiles(names)])) {
      const [found, lists] = await Promise.all([this.#readCheckpoint(number, files.get(number) ?? null), this.#store.blockList(BLOBS.file(this.#session, this.#name, number))])
      if (found === null) closed.add(number)
      const { checkpoint, name } = found ?? (await this.#lastCheckpoint(number, names))
      for (const other of checkpoint.closedFiles ?? []) closed.add(other)
      if (found !== null) etags.set(number, found.properties.etag)
      const file = TrackFile.restore(number, checkpoint, checkpoint.parts, name)
      const blockIds = lists?.committed.map(({ id }) => id) ?? []
      restored.set(number, { file, properties: found?.properties ?? null, nextOffset: checkpoint.nextOffset, blockIds })
    }
    const inOrder = [...restored.values()].toSorted((a, b) => a.file.number - b.file.number)
    track.restore(inOrder.map(({ file }) => file), closed)
    if (files.size > 0) await this.#expectFiles(files.size)
    const states = statesOf(track, inOrder)
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

  /**
   * Null when the file is gone, or was overwritten by somebody who is no writer of ours.
   * @param listed the file as the list has just shown it; null if it was not there
   */
  async #readCheckpoint(number: number, listed: BlobProperties | null): Promise<{ checkpoint: Checkpoint; name: string; properties: BlobProperties } | null> {
    const blob = BLOBS.file(this.#session, this.#name, number)
    for (let read = 0; read < READS; read++) {
      const properties = read === 0 ? listed : await this.#store.properties(blob)
      const name = properties?.metadata[METADATA.checkpoint]
      if (properties === null || name === undefined) return null
      const found = await this.#readSide(name)
      if (found === null) continue
      return { checkpoint: orUnwritable(() => decodeCheckpoint(found)), name, properties }
    }
    throw new Unwritable(`${blob} names a checkpoint that does not exist`)
  }

  /** A checkpoint of a file whose blob is gone: it says what was in it. The newest may be of a commit that found it gone. */
  async #lastCheckpoint(number: number, names: readonly string[]): Promise<{ checkpoint: Checkpoint; name: string }> {
    const own = names.map((name) => ({ name, by: writtenBy(name) })).filter(({ name, by }) => name.includes('/checkpoints/') && by?.file === number)
    const newest = Math.max(...own.map(({ by }) => by!.number))
    const older = own.filter(({ by }) => by!.number < newest)
    for (const { name } of (older.length > 0 ? older : own).toSorted((a, b) => b.by!.number - a.by!.number)) {
      const found = await this.#readSide(name)
      if (found !== null) return { checkpoint: orUnwritable(() => decodeCheckpoint(found)), name }
    }
    throw new Unwritable(`file ${number} of ${this.#session}/${this.#name} is gone, and so are its checkpoints`)
  }

  /** A side blob's bytes; null if there is none. One that cannot be read for what it is, as in the archive, makes its track unwritable only. */
  async #readSide(name: string): Promise<Uint8Array | null> {
    try {
      return (await this.#store.readAll(name))?.bytes ?? null
    } catch (error) {
      if (isHeld(error)) throw new Unwritable(`${name} cannot be read`, { cause: error })
      throw error
    }
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
      if (isOver || age > ORPHAN_MS) await this.#delete(name)
    }
  }

  /** The bytes of a pending blob. */
  async readPending(name: string): Promise<Uint8Array> {
    const found = await this.#readSide(name)
    if (found === null) throw new Unwritable(`the pending blob ${name} does not exist`)
    return found
  }

  /** Committed media of a file; undefined where it cannot be read any more. @param etags of the files as they are loaded */
  async readMedia(track: Track, { file, block, skip, length }: LeadIn, etags: ReadonlyMap<number, string>): Promise<Uint8Array | undefined> {
    const from = track.files[file]
    if (from === undefined || !from.committed.some((blocks) => blocks.rowOf(block) >= 0)) return undefined
    try {
      const read = await this.#store.readRange(BLOBS.file(this.#session, this.#name, file), { offset: offsetIn(from, block) + skip, count: length, ifMatch: etags.get(file) })
      return read.outcome === 'read' ? await buffer(read.body) : undefined
    } catch (error) {
      if (isHeld(error)) return undefined
      throw error
    }
  }

  /**
   * Carries out a planned commit. Throws `Superseded` when the blob is not what the plan began from, `FileRefused` when it
   * takes no change; whatever it throws, load again.
   */
  async commit(plan: CommitPlan, etag: string | null): Promise<CommitResult> {
    try {
      return await this.#commit(plan, etag)
    } catch (error) {
      if (!isHeld(error) || etag === null) throw error
      // A block was refused, which may have other reasons: what is asked of the blob itself decides.
      const why = await this.#refusalOf(plan.blob, etag)
      throw why === null ? error : new FileRefused(why, `${plan.blob} takes no blocks`)
    }
  }

  /** Why a blob takes no commit; null if it does. Commits what it is already. */
  async #refusalOf(blob: string, etag: string): Promise<'held' | 'leased' | null> {
    const [properties, lists] = [await this.#store.properties(blob), await this.#store.blockList(blob)]
    if (properties === null || lists === null) return null
    const { contentType, metadata } = properties
    const { outcome } = await this.#store.commitBlockList(blob, lists.committed.map(({ id }) => id), { ifMatch: etag, contentType, metadata })
    return outcome === 'held' || outcome === 'leased' ? outcome : null
  }

  async #commit(plan: CommitPlan, etag: string | null): Promise<CommitResult> {
    const ids: string[] = []
    let bytes = 0
    // Nothing of it counts before the block list is put, so all is written side by side.
    await using writing = new Writing()
    for (const { name, parts } of plan.pending) await writing.add(async () => this.#putNew(name, Buffer.concat(parts)))
    for (const block of plan.blocks) {
      const content = await this.#bytesOf(plan, block, etag)
      ids.push(await this.#stage(plan.blob, content, writing))
      bytes += block.length
    }
    const sealed = orUnwritable(() => plan.seal(ids))
    const headerIds = sealed.header === null ? [] : [await this.#stage(plan.blob, sealed.header, writing)]
    await writing.add(async () => this.#putNew(sealed.checkpoint.name, sealed.checkpoint.bytes))
    await writing.done()
    const blockIds = [...headerIds, ...sealed.blockIds]
    const { contentType, metadata } = sealed
    const condition = etag === null ? ({ ifNoneMatch: '*' } as const) : { ifMatch: etag }
    const outcome = await commitWithReadBack(this.#store, plan.blob, blockIds, { ...condition, contentType, metadata })
    switch (outcome.outcome) {
      case 'committed':
        return { etag: outcome.etag, state: withBlocks(sealed.event, blockIds), readBack: outcome.readBack, obsolete: sealed.obsolete(), bytes }
      case 'conflict':
        if (etag !== null && isNotOurs(outcome.found)) throw new FileRefused('gone', `${plan.blob} is gone`)
        throw new Superseded(`${plan.blob} was written by somebody else`)
      case 'invalid-block-list':
        // Another's commit, or seven days, have discarded what was staged: it is staged anew after loading.
        throw new Superseded(`blocks staged for ${plan.blob} are gone`)
      case 'held':
      case 'leased':
        throw new FileRefused(outcome.outcome, `${plan.blob} may not be changed: it is ${outcome.outcome}`)
      case 'unknown':
        throw outcome.cause
      default:
        return outcome satisfies never
    }
  }

  /** Deletes side blobs that nothing refers to any more. */
  async deleteAll(names: readonly string[]): Promise<void> {
    await using deleting = new Writing()
    for (const name of names) await deleting.add(async () => this.#delete(name))
    await deleting.done()
  }

  /** What may not be deleted now is an orphan, which the next load tries to delete again. */
  async #delete(name: string): Promise<void> {
    await this.#store.delete(name).catch((error: unknown) => {
      if (!isHeld(error)) throw error
    })
  }

  async #stage(blob: string, bytes: Uint8Array, writing: Writing): Promise<string> {
    const id = this.#newBlockId(bytes)
    await writing.add(async () => this.#store.stageBlock(blob, id, bytes))
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

const isHeld = (error: unknown): boolean => error instanceof LongtakeError && (error.code === 'BLOB_HELD' || error.code === 'BLOB_HAS_SNAPSHOTS')
const isNotOurs = (found: BlobProperties | null): boolean => found?.metadata[METADATA.checkpoint] === undefined

/** Numbers of files that had a second commit, by their checkpoints: the one of a first commit may be there without a file. */
function committedFiles(names: readonly string[]): number[] {
  return names.flatMap((name) => {
    const by = name.includes('/checkpoints/') ? writtenBy(name) : null
    return by !== null && by.number > 1 ? [by.file] : []
  })
}

function withBlocks(event: CommitEvent, ids: readonly string[]): Committed {
  return { ...event, blocks: { count: ids.length, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') } }
}

function statesOf(track: Track, files: readonly LoadedFile[]): { state: Committed; at: Date }[] {
  const states: { state: Committed; at: Date }[] = []
  for (const { file, properties, nextOffset, blockIds } of files) {
    if (properties === null) continue
    states.push({ state: withBlocks(commitEvent(track, file, properties.contentType, nextOffset), blockIds), at: properties.lastModified })
  }
  return states
}
