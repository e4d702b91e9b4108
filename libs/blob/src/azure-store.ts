import { buffer } from 'node:stream/consumers'
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob'
import { LongtakeError } from '@longtake/contracts'
import { Attempts, type RequestKind, type RetryPolicy } from './attempts.ts'
import { resumingBody } from './azure-body.ts'
import { azureCode, isHeld, isLeased, isTransient, statusOf, toBlobError } from './azure-errors.ts'
import { conditionsOf, headersOf, isConflict, isMissing, md5Of, present, propertiesOf, streamOf } from './azure-messages.ts'
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
import { type BlobTelemetry, blobTelemetry, type Operation } from './telemetry.ts'

/** Uploads above this share the lane of blocks; below it they are what a commit waits for, as its checkpoint. */
const SMALL_PUT_BYTES = 256 * 1024

/**
 * The port over one container of an Azure storage account. `container` must not retry by itself. Each store has a
 * congestion window and a retry budget of its own, so a process opens one.
 */
export class AzureBlobStore implements BlobStore {
  readonly #container: ContainerClient
  readonly #policy: RetryPolicy
  readonly #listPageSize: number
  readonly #attempts: Attempts
  readonly #telemetry: BlobTelemetry = blobTelemetry()

  constructor(container: ContainerClient, policy: RetryPolicy, listPageSize: number) {
    this.#container = container
    this.#policy = policy
    this.#listPageSize = listPageSize
    this.#attempts = new Attempts(policy)
    this.#telemetry.watch(this.#attempts.queue)
  }

  async stageBlock(blob: string, blockId: string, bytes: Uint8Array, call: Call = {}): Promise<void> {
    checkBlock(blockId, bytes)
    const transactionalContentMD5 = md5Of(bytes)
    const run = (abortSignal: AbortSignal) =>
      this.#blob(blob).stageBlock(blockId, bytes, bytes.byteLength, { abortSignal, transactionalContentMD5 })
    await this.#retried('stage block', blob, { lane: 'upload', bytes: bytes.byteLength, signal: call.signal }, run)
  }

  /**
   * Tried once, whatever happens: if the answer to a first try were lost, a second would say 412 about a commit that
   * succeeded. Only the caller can tell, by the commit's id in the metadata: see `commitWithReadBack`.
   */
  async commitBlockList(blob: string, blockIds: readonly string[], options: Condition & Description & Call): Promise<CommitOutcome> {
    checkBlockList(blockIds)
    checkContentType(options.contentType)
    checkMetadata(options.metadata)
    return this.#telemetry.observe('commit blocks', blob, async () => {
      try {
        const run = (abortSignal: AbortSignal) =>
          this.#blob(blob).commitBlockList([...blockIds], { conditions: conditionsOf(options), ...headersOf(options), abortSignal })
        const { etag } = await this.#attempts.once({ lane: 'control', operation: 'commit blocks', signal: options.signal }, run)
        return { outcome: 'committed', etag: present(etag, 'etag') }
      } catch (error) {
        options.signal?.throwIfAborted()
        if (isLeased(error)) return { outcome: 'leased' }
        if (isHeld(error)) return { outcome: 'held' }
        // With `ifMatch`, a blob that is gone is not the expected version either.
        if (isConflict(error) || isMissing(error)) return { outcome: 'conflict' }
        if (azureCode(error) === 'InvalidBlockList') return { outcome: 'invalid-block-list' }
        const cause = toBlobError(error, 'commit blocks', blob)
        if (isTransient(error)) return { outcome: 'unknown', cause }
        throw cause
      }
    })
  }

  async properties(blob: string, options: { snapshot?: string | undefined } & Call = {}): Promise<BlobProperties | null> {
    return this.#orNull('properties', blob, options, async (abortSignal) =>
      propertiesOf(await this.#blob(blob, options.snapshot).getProperties({ abortSignal })),
    )
  }

  async blockList(blob: string, call: Call = {}): Promise<BlockLists | null> {
    return this.#orNull('block list', blob, call, async (abortSignal) => {
      const { committedBlocks = [], uncommittedBlocks = [] } = await this.#blob(blob).getBlockList('all', { abortSignal })
      const blocksOf = (blocks: { name: string; size: number }[]) => blocks.map(({ name, size }) => ({ id: name, bytes: size }))
      return { committed: blocksOf(committedBlocks), uncommitted: blocksOf(uncommittedBlocks) }
    })
  }

  async readRange(
    blob: string,
    range: { offset: number; count?: number | undefined; ifMatch?: string | undefined; snapshot?: string | undefined } & Call,
  ): Promise<ReadOutcome> {
    const { offset, count, ifMatch, snapshot, signal } = range
    checkRange(offset, count)
    const download = (from: number, to: number | undefined, etag: string | undefined) => (abortSignal: AbortSignal) =>
      this.#blob(blob, snapshot).download(from, to === undefined ? undefined : to - from, {
        abortSignal,
        // The SDK's own resumption gives up on a connection that was cut; `resumingBody` does it.
        maxRetryRequests: 0,
        conditions: etag === undefined ? {} : { ifMatch: etag },
      })
    return this.#telemetry.observe('read', blob, async () => {
      try {
        const end = count === undefined ? undefined : offset + count
        const response = await this.#withRetries('read', { lane: 'read', signal }, download(offset, end, ifMatch))
        const properties = propertiesOf(response)
        const bodyBytes = response.contentLength ?? 0
        if (offset > 0 && offset >= properties.bytes) {
          // Azurite answers an open range at the very end with nothing; Azure with 416.
          streamOf(response).destroy()
          return { outcome: 'out-of-range' }
        }
        const body = resumingBody(streamOf(response), bodyBytes, this.#policy.tryTimeoutMs, {
          signal,
          fail: (error) => toBlobError(error, 'read', blob),
          open: async (alreadyRead) => {
            try {
              return streamOf(await this.#withRetries('read', { lane: 'read', signal }, download(offset + alreadyRead, offset + bodyBytes, properties.etag)))
            } catch (error) {
              signal?.throwIfAborted()
              if (statusOf(error) !== 412) throw toBlobError(error, 'read', blob)
              throw new LongtakeError('BLOB_UNAVAILABLE', `${blob} got a new version while its connection broke: read again`, { cause: error })
            }
          },
        })
        return { outcome: 'read', body, bodyBytes, properties }
      } catch (error) {
        signal?.throwIfAborted()
        if (isMissing(error)) return { outcome: 'not-found' }
        if (statusOf(error) === 412) return { outcome: 'changed' }
        if (statusOf(error) === 416) return { outcome: 'out-of-range' }
        throw toBlobError(error, 'read', blob)
      }
    })
  }

  async readAll(blob: string, options: { snapshot?: string | undefined } & Call = {}): Promise<{ bytes: Buffer; properties: BlobProperties } | null> {
    const read = await this.readRange(blob, { offset: 0, ...options })
    if (read.outcome === 'read') return { bytes: await buffer(read.body), properties: read.properties }
    if (read.outcome === 'not-found') return null
    throw new LongtakeError('BLOB_REFUSED', `an unconditional read of all of ${blob} was answered with ${read.outcome}`)
  }

  async put(blob: string, bytes: Uint8Array, options: Partial<Condition> & Description & Call): Promise<PutOutcome> {
    checkContentType(options.contentType)
    checkMetadata(options.metadata)
    const lane = bytes.byteLength > SMALL_PUT_BYTES ? 'upload' : 'control'
    const blobContentMD5 = md5Of(bytes)
    let ambiguous = false
    return this.#telemetry.observe(
      'put',
      blob,
      async () => {
        try {
          const { blobHTTPHeaders, metadata } = headersOf(options)
          const { etag } = await this.#withRetries('put', { lane, bytes: bytes.byteLength, signal: options.signal }, (abortSignal) => {
            const headers = { blobHTTPHeaders: { ...blobHTTPHeaders, blobContentMD5 }, metadata }
            const upload = this.#blob(blob).upload(bytes, bytes.byteLength, { conditions: conditionsOf(options), ...headers, abortSignal })
            return upload.catch((error: unknown) => {
              ambiguous ||= isTransient(error) || abortSignal.aborted
              throw error
            })
          })
          return { outcome: 'written', etag: present(etag, 'etag') }
        } catch (error) {
          options.signal?.throwIfAborted()
          if (isHeld(error)) return { outcome: 'held' }
          if (!isConflict(error)) throw toBlobError(error, 'put', blob)
          const etag = ambiguous ? await this.#etagIfSame(blob, blobContentMD5, options) : undefined
          return etag === undefined ? { outcome: 'conflict' } : { outcome: 'written', etag }
        }
      },
      bytes.byteLength,
    )
  }

  /** After a try whose answer was lost: a conflict with the very same bytes is our own first try. */
  async #etagIfSame(blob: string, md5: Buffer, { signal }: Call): Promise<string | undefined> {
    const { contentMD5, etag } = await this.#retried('properties', blob, { lane: 'control', signal }, (abortSignal) => this.#blob(blob).getProperties({ abortSignal }))
    return contentMD5 !== undefined && md5.equals(contentMD5) ? etag : undefined
  }

  async snapshot(blob: string, options: { ifMatch: string; metadata: Metadata } & Call): Promise<SnapshotOutcome> {
    checkMetadata(options.metadata)
    return this.#telemetry.observe('snapshot', blob, async () => {
      try {
        const { snapshot } = await this.#withRetries('snapshot', { lane: 'control', signal: options.signal }, (abortSignal) =>
          this.#blob(blob).createSnapshot({ conditions: { ifMatch: options.ifMatch }, metadata: { ...options.metadata }, abortSignal }),
        )
        return { outcome: 'taken', snapshot: present(snapshot, 'snapshot id') }
      } catch (error) {
        options.signal?.throwIfAborted()
        if (isMissing(error) || statusOf(error) === 412) return { outcome: 'conflict' }
        throw toBlobError(error, 'snapshot', blob)
      }
    })
  }

  async delete(blob: string, options: { includeSnapshots?: boolean } & Call = {}): Promise<void> {
    await this.#orNull('delete', blob, options, (abortSignal) =>
      this.#blob(blob).delete({ abortSignal, ...(options.includeSnapshots ? { deleteSnapshots: 'include' as const } : {}) }),
    )
  }

  async *list(prefix: string, options: { snapshots?: boolean } & Call = {}): AsyncGenerator<ListedBlob> {
    let continuationToken: string | undefined
    do {
      const page = await this.#retried('list', prefix, { lane: 'control', signal: options.signal }, async (abortSignal) => {
        const pages = this.#container
          .listBlobsFlat({ prefix, includeMetadata: true, includeSnapshots: options.snapshots ?? false, abortSignal })
          .byPage({ maxPageSize: this.#listPageSize, ...(continuationToken ? { continuationToken } : {}) })
        return (await pages.next()).value
      })
      for (const { name, snapshot, metadata, properties } of page?.segment.blobItems ?? []) {
        yield { name, ...(snapshot ? { snapshot } : {}), ...propertiesOf({ ...properties, metadata }) }
      }
      continuationToken = page?.continuationToken
    } while (continuationToken)
  }

  async ping(call: Call = {}): Promise<void> {
    // Not behind queued requests: the answer shows whether the storage is there, however much is to be sent.
    const run = async () =>
      this.#attempts.outsideQueue(call.signal, (abortSignal) => this.#container.getProperties({ abortSignal })).catch((error: unknown) => {
        call.signal?.throwIfAborted()
        throw toBlobError(error, 'container', '')
      })
    await this.#telemetry.observe('container', '', run)
  }

  async ensureContainer(call: Call = {}): Promise<void> {
    await this.#retried('container', '', { lane: 'control', signal: call.signal }, (abortSignal) => this.#container.createIfNotExists({ abortSignal }))
  }

  #blob(name: string, snapshot?: string): BlockBlobClient {
    const client = this.#container.getBlockBlobClient(name)
    return snapshot === undefined ? client : client.withSnapshot(snapshot)
  }

  #withRetries<T>(operation: Operation, kind: RequestKind, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#attempts.retried({ ...kind, operation }, run, (error, reason) => this.#telemetry.retried(operation, error, reason))
  }

  /** For calls without outcomes to be expected. */
  async #retried<T>(operation: Operation, blob: string, kind: RequestKind, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const observed = async () => {
      try {
        return await this.#withRetries(operation, kind, run)
      } catch (error) {
        kind.signal?.throwIfAborted()
        throw toBlobError(error, operation, blob)
      }
    }
    return this.#telemetry.observe(operation, blob, observed, kind.bytes)
  }

  async #orNull<T>(operation: Operation, blob: string, call: Call, run: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    return this.#retried<T | null>(operation, blob, { lane: 'control', signal: call.signal }, async (signal) => {
      try {
        return await run(signal)
      } catch (error) {
        if (isMissing(error)) return null
        throw error
      }
    })
  }
}
