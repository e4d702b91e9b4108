import { Readable } from 'node:stream'
import { LongtakeError } from '@longtake/contracts'
import { checkBlock, checkBlockList, checkContentType, checkMetadata, checkRange } from './checks.ts'
import type {
  BlobProperties,
  BlobStore,
  BlockLists,
  Call,
  CommitOutcome,
  Condition,
  Description,
  ListedBlob,
  Metadata,
  PutOutcome,
  ReadOutcome,
  SnapshotOutcome,
} from './store.ts'

interface Version {
  /** Null: written by `put`, which makes no blocks. */
  blocks: { id: string; bytes: Buffer }[] | null
  pieces: readonly Buffer[]
  properties: BlobProperties
}
interface Entry {
  current: Version | null
  staged: Map<string, Buffer>
  snapshots: Map<string, Version>
}

export interface MemoryFaults {
  /**
   * Called before and after each change takes effect. Throwing makes it fail there: a commit then answers `unknown`,
   * other calls throw what was thrown. Waiting holds it up.
   */
  at?: (moment: 'before' | 'after', change: 'stage block' | 'commit blocks' | 'put' | 'snapshot' | 'delete', blob: string) => void | Promise<void>
  /**
   * Asked before `at`: why this blob itself refuses the operation. `held` is a hold or policy (only what changes the blob
   * should be refused then), an archive tier (reads and changes) or the like; `leased` a lease.
   */
  refuses?: (blob: string, operation: 'stage block' | 'commit blocks' | 'put' | 'delete' | 'read') => 'held' | 'leased' | null
}

/** The port in memory, for unit tests: keeps the same rules as Azure, proven by the same suite. */
export class MemoryBlobStore implements BlobStore {
  readonly #entries = new Map<string, Entry>()
  /** Of the entries, in order. */
  readonly #names: string[] = []
  readonly #at: NonNullable<MemoryFaults['at']>
  readonly #refuses: NonNullable<MemoryFaults['refuses']>
  #ticks = 0

  constructor(faults: MemoryFaults = {}) {
    this.#at = faults.at ?? (() => undefined)
    this.#refuses = faults.refuses ?? (() => null)
  }

  async stageBlock(blob: string, blockId: string, bytes: Uint8Array, call: Call = {}): Promise<void> {
    call.signal?.throwIfAborted()
    checkBlock(blockId, bytes)
    this.#throwIfRefused(blob, 'stage block')
    await this.#at('before', 'stage block', blob)
    const entry = this.#entry(blob)
    const other = entry.staged.keys().next().value ?? entry.current?.blocks?.[0]?.id
    if (other !== undefined && other.length !== blockId.length) throw new LongtakeError('BLOB_REFUSED', 'all block ids of a blob have one length')
    entry.staged.set(blockId, Buffer.from(bytes))
    await this.#at('after', 'stage block', blob)
  }

  async commitBlockList(blob: string, blockIds: readonly string[], options: Condition & Description & Call): Promise<CommitOutcome> {
    options.signal?.throwIfAborted()
    checkBlockList(blockIds)
    checkContentType(options.contentType)
    checkMetadata(options.metadata)
    const refusal = this.#refuses(blob, 'commit blocks')
    if (refusal !== null) return { outcome: refusal }
    try {
      await this.#at('before', 'commit blocks', blob)
      const outcome = this.#commit(blob, blockIds, options)
      await this.#at('after', 'commit blocks', blob)
      return outcome
    } catch (error) {
      return { outcome: 'unknown', cause: new LongtakeError('BLOB_UNAVAILABLE', `commit blocks of ${blob} failed`, { cause: error }) }
    }
  }

  #commit(blob: string, blockIds: readonly string[], options: Condition & Description): CommitOutcome {
    const current = this.#entries.get(blob)?.current ?? null
    if (!holds(current, options)) return { outcome: 'conflict' }
    const entry = this.#entry(blob)
    const committed = new Map(current?.blocks?.map(({ id, bytes }) => [id, bytes]))
    const blocks: { id: string; bytes: Buffer }[] = []
    for (const id of blockIds) {
      const bytes = entry.staged.get(id) ?? committed.get(id)
      if (bytes === undefined) return { outcome: 'invalid-block-list' }
      blocks.push({ id, bytes })
    }
    return { outcome: 'committed', etag: this.#write(entry, blocks, blocks.map(({ bytes }) => bytes), options) }
  }

  async properties(blob: string, options: { snapshot?: string | undefined } & Call = {}): Promise<BlobProperties | null> {
    options.signal?.throwIfAborted()
    return this.#version(blob, options.snapshot)?.properties ?? null
  }

  async blockList(blob: string, call: Call = {}): Promise<BlockLists | null> {
    call.signal?.throwIfAborted()
    const entry = this.#entries.get(blob)
    if (!entry || (!entry.current && entry.staged.size === 0)) return null
    return {
      committed: entry.current?.blocks?.map(({ id, bytes }) => ({ id, bytes: bytes.length })) ?? [],
      uncommitted: [...entry.staged].map(([id, bytes]) => ({ id, bytes: bytes.length })),
    }
  }

  async readRange(
    blob: string,
    range: { offset: number; count?: number | undefined; ifMatch?: string | undefined; snapshot?: string | undefined } & Call,
  ): Promise<ReadOutcome> {
    const { offset, count, ifMatch, snapshot, signal } = range
    signal?.throwIfAborted()
    checkRange(offset, count)
    const version = this.#version(blob, snapshot)
    if (!version) return { outcome: 'not-found' }
    this.#throwIfRefused(blob, 'read')
    if (ifMatch !== undefined && ifMatch !== version.properties.etag) return { outcome: 'changed' }
    const wantsAll = offset === 0 && count === undefined
    if (offset >= version.properties.bytes && !wantsAll) return { outcome: 'out-of-range' }
    const bytes = contentOf(version).subarray(offset, count === undefined ? undefined : offset + count)
    const body = Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
    return { outcome: 'read', body, bodyBytes: bytes.length, properties: version.properties }
  }

  async readAll(blob: string, options: { snapshot?: string | undefined } & Call = {}): Promise<{ bytes: Buffer; properties: BlobProperties } | null> {
    options.signal?.throwIfAborted()
    const version = this.#version(blob, options.snapshot)
    if (version !== null) this.#throwIfRefused(blob, 'read')
    return version === null ? null : { bytes: Buffer.from(contentOf(version)), properties: version.properties }
  }

  async put(blob: string, bytes: Uint8Array, options: Partial<Condition> & Description & Call): Promise<PutOutcome> {
    options.signal?.throwIfAborted()
    checkContentType(options.contentType)
    checkMetadata(options.metadata)
    if (this.#refuses(blob, 'put') !== null) return { outcome: 'held' }
    await this.#at('before', 'put', blob)
    if (!holds(this.#entries.get(blob)?.current ?? null, options)) return { outcome: 'conflict' }
    const etag = this.#write(this.#entry(blob), null, [Buffer.from(bytes)], options)
    await this.#at('after', 'put', blob)
    return { outcome: 'written', etag }
  }

  async snapshot(blob: string, options: { ifMatch: string; metadata: Metadata } & Call): Promise<SnapshotOutcome> {
    options.signal?.throwIfAborted()
    checkMetadata(options.metadata)
    await this.#at('before', 'snapshot', blob)
    const entry = this.#entries.get(blob)
    if (!entry?.current || entry.current.properties.etag !== options.ifMatch) return { outcome: 'conflict' }
    const snapshot = this.#now().toISOString()
    const metadata = Object.keys(options.metadata).length === 0 ? entry.current.properties.metadata : { ...options.metadata }
    entry.snapshots.set(snapshot, { ...entry.current, properties: { ...entry.current.properties, metadata } })
    await this.#at('after', 'snapshot', blob)
    return { outcome: 'taken', snapshot }
  }

  async delete(blob: string, options: { includeSnapshots?: boolean } & Call = {}): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#entries.get(blob)?.current) this.#throwIfRefused(blob, 'delete')
    await this.#at('before', 'delete', blob)
    const entry = this.#entries.get(blob)
    if (entry?.current) {
      if (entry.snapshots.size > 0 && !options.includeSnapshots) throw new LongtakeError('BLOB_HAS_SNAPSHOTS', `${blob} has snapshots`)
      this.#entries.delete(blob)
      this.#names.splice(this.#position(blob), 1)
    }
    await this.#at('after', 'delete', blob)
  }

  async *list(prefix: string, options: { snapshots?: boolean } & Call = {}): AsyncGenerator<ListedBlob> {
    options.signal?.throwIfAborted()
    const first = this.#position(prefix)
    const end = this.#names.findIndex((name, position) => position >= first && !name.startsWith(prefix))
    for (const name of this.#names.slice(first, end < 0 ? undefined : end)) {
      const entry = this.#entries.get(name)
      if (options.snapshots) for (const [snapshot, { properties }] of entry?.snapshots ?? []) yield { name, snapshot, ...properties }
      if (entry?.current) yield { name, ...entry.current.properties }
    }
  }

  async ping(call: Call = {}): Promise<void> {
    call.signal?.throwIfAborted()
  }

  async ensureContainer(call: Call = {}): Promise<void> {
    call.signal?.throwIfAborted()
  }

  /**
   * Changes one bit of a blob, as a failing disk does: name, length, etag, block ids and snapshots stay as they are.
   * @param at an offset within the blob
   */
  decay(blob: string, at: number): void {
    const version = this.#version(blob, undefined)
    if (version === null || at >= version.properties.bytes) throw new RangeError(`${blob} has no byte ${at}`)
    version.pieces = [changedAt(contentOf(version), at)]
    let before = 0
    for (const block of version.blocks ?? []) {
      if (at >= before && at < before + block.bytes.length) block.bytes = changedAt(block.bytes, at - before)
      before += block.bytes.length
    }
  }

  #throwIfRefused(blob: string, operation: 'stage block' | 'delete' | 'read'): void {
    const refusal = this.#refuses(blob, operation)
    if (refusal !== null) throw new LongtakeError('BLOB_HELD', `${operation} of ${blob} is refused: it is ${refusal}`)
  }

  #entry(blob: string): Entry {
    let entry = this.#entries.get(blob)
    if (!entry) {
      entry = { current: null, staged: new Map(), snapshots: new Map() }
      this.#entries.set(blob, entry)
      this.#names.splice(this.#position(blob), 0, blob)
    }
    return entry
  }

  /** Where a name stands, or would, among the names. */
  #position(name: string): number {
    let [low, high] = [0, this.#names.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#names[middle]! < name) low = middle + 1
      else high = middle
    }
    return low
  }

  #version(blob: string, snapshot: string | undefined): Version | null {
    const entry = this.#entries.get(blob)
    return (snapshot === undefined ? entry?.current : entry?.snapshots.get(snapshot)) ?? null
  }

  #write(entry: Entry, blocks: Version['blocks'], pieces: Version['pieces'], { contentType, metadata }: Description): string {
    const lastModified = this.#now()
    const etag = `"0x${lastModified.getTime().toString(16)}"`
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
    entry.current = { blocks, pieces, properties: { etag, bytes, contentType, metadata: { ...metadata }, lastModified } }
    entry.staged.clear()
    return etag
  }

  /** Never twice the same: etags and snapshot ids are made of it. */
  #now(): Date {
    this.#ticks = Math.max(this.#ticks + 1, Date.now())
    return new Date(this.#ticks)
  }
}

function changedAt(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  changed[at]! ^= 1
  return changed
}

/** Joined when it is read, not at each of the many commits of a long recording. */
function contentOf(version: Version): Buffer {
  if (version.pieces.length !== 1) version.pieces = [Buffer.concat(version.pieces)]
  return version.pieces[0]!
}

function holds(current: Version | null, { ifMatch, ifNoneMatch }: Partial<Condition>): boolean {
  if (ifNoneMatch !== undefined) return current === null
  return ifMatch === undefined || ifMatch === current?.properties.etag
}
