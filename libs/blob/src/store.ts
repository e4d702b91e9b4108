import type { Readable } from 'node:stream'
import type { LongtakeError } from '@longtake/contracts'

/** Names `[a-z][a-z0-9_]*` (Azure knows no case and wants identifiers), printable ASCII values, 8 KiB together. */
export type Metadata = Readonly<Record<string, string>>

export interface Call {
  /** Ends the call with the signal's reason. A change it interrupts may or may not have happened. */
  signal?: AbortSignal | undefined
}

/** What the blob must be like for a change to happen: this very version, or absent. */
export type Condition = { ifMatch: string; ifNoneMatch?: never } | { ifNoneMatch: '*'; ifMatch?: never }

/** Both are set anew by every write: Azure keeps neither from the version before. */
export interface Description {
  contentType: string
  metadata: Metadata
}

export type CommitOutcome =
  | { outcome: 'committed'; etag: string }
  /** The condition did not hold: somebody else wrote, or the answer to an earlier identical commit was lost. */
  | { outcome: 'conflict' }
  /** A listed block is neither staged nor in the blob: another's commit discarded it, or it expired after 7 days. */
  | { outcome: 'invalid-block-list' }
  /** The blob itself takes no change: legal hold, immutability policy, archive tier, other type. Another blob can be written. */
  | { outcome: 'held' }
  /** Somebody holds a lease on the blob; most last a minute at most. */
  | { outcome: 'leased' }
  /** No answer, or one of a server in trouble: it may have happened, or may yet happen. Read the blob back. */
  | { outcome: 'unknown'; cause: LongtakeError }

export type PutOutcome = { outcome: 'written'; etag: string } | { outcome: 'conflict' } | { outcome: 'held' }
/** `conflict`: another version is there, or no blob at all. */
export type SnapshotOutcome = { outcome: 'taken'; snapshot: string } | { outcome: 'conflict' }

export interface BlobProperties extends Description {
  etag: string
  bytes: number
  lastModified: Date
}

export type ReadOutcome =
  /** `properties` come from the response that carries the bytes, so both are of one version. */
  | { outcome: 'read'; body: Readable; bodyBytes: number; properties: BlobProperties }
  | { outcome: 'not-found' }
  /** `ifMatch` named another version; perhaps of a blob that is gone. */
  | { outcome: 'changed' }
  /** `offset` is at or behind the end. */
  | { outcome: 'out-of-range' }

export interface Block {
  id: string
  bytes: number
}

export interface BlockLists {
  committed: Block[]
  /** Staged since the last commit; the next commit discards those that it does not list. */
  uncommitted: Block[]
}

export interface ListedBlob extends BlobProperties {
  name: string
  /** Set when this entry is a snapshot of `name`. */
  snapshot?: string
}

/**
 * A container of blobs. Reads and idempotent writes are retried within bounds; what stays wrong is a `LongtakeError`
 * with a `BLOB_` code. Commits are tried once and what is to be expected of them comes as a value.
 */
export interface BlobStore {
  /** Uploads one block (1 byte or more) without publishing it. All block ids of a blob have one length. */
  stageBlock(blob: string, blockId: string, bytes: Uint8Array, call?: Call): Promise<void>
  /**
   * Makes exactly these blocks, in order, the blob's content, atomically; discards all other staged blocks.
   * Each id means the staged block of that id, else the one already in the blob. No ids: an empty blob.
   */
  commitBlockList(blob: string, blockIds: readonly string[], options: Condition & Description & Call): Promise<CommitOutcome>
  /** Null if there is no such blob (staged blocks alone make none). */
  properties(blob: string, options?: { snapshot?: string | undefined } & Call): Promise<BlobProperties | null>
  /** Null if there is neither blob nor staged block. A blob made by `put` has no blocks. */
  blockList(blob: string, call?: Call): Promise<BlockLists | null>
  /**
   * Reads from `offset` for `count` bytes or to the end. A body whose connection breaks is resumed at the same version.
   * The body must be consumed or destroyed.
   */
  readRange(
    blob: string,
    range: { offset: number; count?: number | undefined; ifMatch?: string | undefined; snapshot?: string | undefined } & Call,
  ): Promise<ReadOutcome>
  /** The whole blob in memory: for small ones. Null if there is no such blob. */
  readAll(blob: string, options?: { snapshot?: string | undefined } & Call): Promise<{ bytes: Buffer; properties: BlobProperties } | null>
  /** Writes a small blob in one request. Without a condition the last writer wins. */
  put(blob: string, bytes: Uint8Array, options: Partial<Condition> & Description & Call): Promise<PutOutcome>
  /** Keeps the present version under an id. A retry whose first try did happen leaves one snapshot more: harmless. */
  snapshot(blob: string, options: { ifMatch: string; metadata: Metadata } & Call): Promise<SnapshotOutcome>
  /** No blob of that name is fine. With snapshots and without `includeSnapshots`: `BLOB_HAS_SNAPSHOTS`. */
  delete(blob: string, options?: { includeSnapshots?: boolean } & Call): Promise<void>
  /** In order of names; snapshots stand next to their blob. */
  list(prefix: string, options?: { snapshots?: boolean } & Call): AsyncIterable<ListedBlob>
  /** Resolves if the container answers. */
  ping(call?: Call): Promise<void>
  ensureContainer(call?: Call): Promise<void>
}
