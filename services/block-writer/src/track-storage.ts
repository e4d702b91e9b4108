import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { commitWithReadBack, type BlobProperties, type BlobStore } from '@longtake/blob'
import { BLOBS, type EventOf } from '@longtake/contracts'
import { patchClusterTimestamps } from '@longtake/webm'
import {
  blobsOf,
  commitEvent,
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
import { FileRefused, isRefused, Refusals } from './refusals.ts'
import { digestOf, isHeld, SideBlobs } from './side-blobs.ts'
import { takeOver } from './gone-files.ts'
import { fallBack, filesWithCheckpoints, ownCheckpoints, restoreGone, StoredCheckpoints, type Fallback } from './stored-checkpoints.ts'
import { orUnwritable } from './unwritable.ts'
import { Writing } from './writing.ts'

export type Committed = Omit<EventOf<'blocks-committed'>, 'at'>

/** A track as storage has it, with the etags that its next commits must match. */
export interface LoadedTrack {
  readonly track: Track
  readonly etags: Map<number, string>
  /** Files whose newest checkpoint is damaged: what it held beside the earlier one must be taken again. */
  readonly fallbacks: readonly Fallback[]
  /** Pending blobs that only the last checkpoint of a file without a blob names: the next commit writes their chunks anew. */
  readonly takenOver: readonly string[]
  /** Each file's state and when it was committed, to be published again: its event may have been lost. */
  readonly states: readonly { readonly state: Committed; readonly at: Date }[]
}

/** What no commit refers to and is older than the track's newest side blob by so much was left by a commit that failed for good. */
const ORPHAN_MS = 24 * 3_600_000

/** Names within a track's folder. */
const FILE = /^\d+$/
const SIDE = /^(pending|checkpoints)\//

/** Somebody else wrote the blob: what is in memory is not what follows from it. */
export class Superseded extends Error {}

/** A side blob as listed; when it was written, ms since the epoch. */
interface SideName {
  readonly name: string
  readonly modifiedAt: number
}

interface LoadedFile {
  readonly file: TrackFile
  /** Null when the file is gone. */
  readonly properties: BlobProperties | null
  readonly blockIds: readonly string[]
}

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
  readonly #side: SideBlobs
  readonly #checkpoints: StoredCheckpoints
  readonly #refusals: Refusals
  readonly #newBlockId: (bytes: Uint8Array) => string
  readonly #session: string
  readonly #name: string
  readonly #wait: (ms: number) => Promise<void>

  /** @param wait waits that many milliseconds before a commit is sent again */
  constructor(store: BlobStore, newBlockId: (bytes: Uint8Array) => string, session: string, name: string, wait: (ms: number) => Promise<void>) {
    this.#store = store
    this.#side = new SideBlobs(store)
    this.#checkpoints = new StoredCheckpoints(store, this.#side, session, name)
    this.#refusals = new Refusals(store, newBlockId)
    this.#newBlockId = newBlockId
    this.#session = session
    this.#name = name
    this.#wait = wait
  }

  /** @param refused files that storage is known to take no change of */
  async load(limits: TrackLimits, now: number, refused: ReadonlySet<number> = new Set()): Promise<LoadedTrack> {
    const track = new Track(this.#session, this.#name, limits)
    const closed = new Set(refused)
    const etags = new Map<number, string>()
    const restored = new Map<number, LoadedFile>()
    const fallbacks: Fallback[] = []
    const prefix = BLOBS.track(this.#session, this.#name)
    const files = new Map<number, BlobProperties>()
    const side: SideName[] = []
    for await (const { name, snapshot: _snapshot, ...properties } of this.#store.list(prefix)) {
      const rest = name.slice(prefix.length)
      if (FILE.test(rest)) files.set(Number(rest), properties)
      // A track may be called as a folder of the session, where others keep their blobs.
      else if (SIDE.test(rest)) side.push({ name, modifiedAt: properties.lastModified.getTime() })
    }
    const names = side.map(({ name }) => name)
    const last: Checkpoint[] = []
    for (const number of new Set([...files.keys(), ...filesWithCheckpoints(names)])) {
      const [found, lists] = await Promise.all([this.#checkpoints.read(number, files.get(number) ?? null, names), this.#store.blockList(BLOBS.file(this.#session, this.#name, number))])
      if (found === null) {
        const gone = await this.#checkpoints.readGone(number, names, files.has(number))
        last.push(...gone.last)
        if (gone.isClosed) closed.add(number)
        for (const other of gone.base?.checkpoint.closedFiles ?? []) closed.add(other)
        restored.set(number, { file: restoreGone(number, gone), properties: null, blockIds: [] })
        continue
      }
      const { checkpoint, name } = found
      for (const other of checkpoint.closedFiles ?? []) closed.add(other)
      etags.set(number, found.properties.etag)
      const file = TrackFile.restore(number, checkpoint, checkpoint.parts, name)
      file.checkpoints = [...ownCheckpoints(number, names).filter((own) => own.number === file.commitNumber - 1).map((own) => own.name), name]
      const blockIds = lists?.committed.map(({ id }) => id) ?? []
      if (found.damaged !== null) fallbacks.push(fallBack(file, found, blockIds))
      restored.set(number, { file, properties: found.properties, blockIds })
    }
    const inOrder = [...restored.values()].toSorted((a, b) => a.file.number - b.file.number)
    track.restore(inOrder.map(({ file }) => file), closed)
    const foreign = [...files].filter(([number]) => !etags.has(number)).map(([number, { etag }]): [number, string] => [number, etag])
    if (files.size > 0) await this.#expectFiles(new Map([...etags, ...foreign]))
    const states = statesOf(track, inOrder)
    const takenOver: string[] = []
    for (const checkpoint of last) takenOver.push(...(await takeOver(track, checkpoint, now, async (blob, length) => this.readPending(blob, length))))
    await this.#deleteOrphans(track, etags, side, takenOver)
    return { track, etags, fallbacks, takenOver, states }
  }

  /**
   * Lists the files again, as storage changes them one at a time: a part that file 0 lacks by now may have moved into a file that
   * another writer began after the first list, and loading without it would lose the part, and delete its pending blobs as
   * nobody's. And a checkpoint and a block list that were read on both sides of a commit do not belong together.
   * @param loaded etags of the files as they were read
   */
  async #expectFiles(loaded: ReadonlyMap<number, string>): Promise<void> {
    const prefix = BLOBS.track(this.#session, this.#name)
    const left = new Map(loaded)
    for await (const { name, etag } of this.#store.list(prefix)) {
      const number = name.slice(prefix.length)
      if (!FILE.test(number)) continue
      if (left.get(Number(number)) !== etag) throw new Superseded(`${name} was written while it was loaded`)
      left.delete(Number(number))
    }
    if (left.size > 0) throw new Superseded(`a file of ${prefix} was deleted while it was loaded`)
  }

  /** What was written for commits that failed, or not deleted by one that was cut short. */
  async #deleteOrphans(track: Track, etags: ReadonlyMap<number, string>, side: readonly SideName[], takenOver: readonly string[]): Promise<void> {
    const needed = new Set([...track.files.flatMap((file) => [...file.pendingBlobs, ...file.retained, ...file.checkpoints]), ...blobsOf(track.parts), ...takenOver])
    // By storage's clock alone: that of this process may be wrong, and another writer's commit may be under way.
    const newest = side.reduce((latest, { modifiedAt }) => Math.max(latest, modifiedAt), 0)
    for (const { name, modifiedAt } of side) {
      if (needed.has(name)) continue
      const by = writtenBy(name)
      const file = by === null ? undefined : track.files[by.file]
      const isBegun = file !== undefined && (etags.has(file.number) || file.closed)
      // A commit of that number or a lower one can never succeed any more; one of a higher number may be under way.
      const isOver = isBegun && by!.number <= file.commitNumber
      if (isOver || newest - modifiedAt > ORPHAN_MS) await this.#side.delete(name)
    }
  }

  /** The bytes of a pending blob; null when they are not there any more as they were written. */
  async readPending(name: string, length: number): Promise<Uint8Array | null> {
    const found = await this.#side.read(name)
    return found.state === 'intact' && found.bytes.length === length ? found.bytes : null
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
   * @param endOffset offset in recordings.chunks from which on it covers nothing
   */
  async commit(plan: CommitPlan, etag: string | null, endOffset: bigint): Promise<CommitResult> {
    try {
      return await this.#commit(plan, etag, endOffset)
    } catch (error) {
      throw isRefused(error) ? await this.#refusals.explain(error, plan.blob, etag, `${BLOBS.pendingPrefix(this.#session, this.#name)}probe`) : error
    }
  }

  async #commit(plan: CommitPlan, etag: string | null, endOffset: bigint): Promise<CommitResult> {
    const ids: string[] = []
    let bytes = 0
    // Nothing of it counts before the block list is put, so all is written side by side.
    await using writing = new Writing()
    for (const { name, parts } of plan.pending) await writing.add(async () => this.#side.put(name, Buffer.concat(parts)))
    for (const block of plan.blocks) {
      const content = await this.#bytesOf(plan, block, etag)
      ids.push(await this.#stage(plan.blob, content, writing))
      bytes += block.length
    }
    const sealed = orUnwritable(() => plan.seal(ids))
    const headerIds = sealed.header === null ? [] : [await this.#stage(plan.blob, sealed.header, writing)]
    await writing.add(async () => this.#side.put(sealed.checkpoint.name, sealed.checkpoint.bytes))
    await writing.done()
    const blockIds = [...headerIds, ...sealed.blockIds]
    const { contentType } = sealed
    const metadata = { ...sealed.metadata, [METADATA.checkpointDigest]: digestOf(sealed.checkpoint.bytes), [METADATA.nextOffset]: sealed.event.nextOffset, [METADATA.endOffset]: String(endOffset) }
    const condition = etag === null ? ({ ifNoneMatch: '*' } as const) : { ifMatch: etag }
    const outcome = await commitWithReadBack(this.#store, plan.blob, blockIds, { ...condition, contentType, metadata, pause: this.#wait })
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
    for (const name of names) await deleting.add(async () => this.#side.delete(name))
    await deleting.done()
  }

  /** Deletes what only the checkpoints before the last ones refer to, where those prove to be readable. */
  async deleteRetained(track: Track): Promise<void> {
    for (const file of track.files) {
      const last = file.checkpoints.at(-1)
      if (file.retained.length === 0 || last === undefined || (await this.#side.read(last)).state !== 'intact') continue
      await this.deleteAll(file.retained)
      file.retained = []
    }
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
}

const isNotOurs = (found: BlobProperties | null): boolean => found?.metadata[METADATA.checkpoint] === undefined

function withBlocks(event: CommitEvent, ids: readonly string[]): Committed {
  return { ...event, blocks: { count: ids.length, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') } }
}

function statesOf(track: Track, files: readonly LoadedFile[]): { state: Committed; at: Date }[] {
  const states: { state: Committed; at: Date }[] = []
  for (const { file, properties, blockIds } of files) {
    if (properties === null) continue
    states.push({ state: withBlocks(commitEvent(track, file, properties.contentType), blockIds), at: properties.lastModified })
  }
  return states
}
