import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createHash } from 'node:crypto'
import type { BlobDownloadResponseParsed, BlockBlobClient, ContainerClient } from '@azure/storage-blob'
import { LongtakeError } from '@longtake/contracts'
import { oneTry, type RetryPolicy, withRetries } from './attempts.ts'
import { resumingBody } from './azure-body.ts'
import { azureCode, isHeld, isTransient, statusOf, toBlobError } from './azure-errors.ts'
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

/** The port over one container of an Azure storage account. `container` must not retry by itself. */
export class AzureBlobStore implements BlobStore {
  readonly #container: ContainerClient
  readonly #policy: RetryPolicy
  readonly #listPageSize: number
  readonly #telemetry: BlobTelemetry = blobTelemetry()

  constructor(container: ContainerClient, policy: RetryPolicy, listPageSize: number) {
    this.#container = container
    this.#policy = policy
    this.#listPageSize = listPageSize
  }

  async stageBlock(blob: string, blockId: string, bytes: Uint8Array, call: Call = {}): Promise<void> {
    checkBlock(blockId, bytes)
    const run = (abortSignal: AbortSignal) => this.#blob(blob).stageBlock(blockId, bytes, bytes.byteLength, { abortSignal })
    await this.#retried('stage block', blob, call, run, bytes.byteLength)
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
        const { etag } = await oneTry(run, this.#policy.tryTimeoutMs, options.signal)
        return { outcome: 'committed', etag: present(etag, 'etag') }
      } catch (error) {
        options.signal?.throwIfAborted()
        if (isConflict(error)) return { outcome: 'conflict' }
        if (isHeld(error)) return { outcome: 'held' }
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
        const response = await this.#withRetries('read', range, download(offset, end, ifMatch))
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
              return streamOf(await this.#withRetries('read', range, download(offset + alreadyRead, offset + bodyBytes, properties.etag)))
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
    let ambiguous = false
    return this.#telemetry.observe(
      'put',
      blob,
      async () => {
        try {
          const { etag } = await this.#withRetries('put', options, (abortSignal) => {
            const upload = this.#blob(blob).upload(bytes, bytes.byteLength, { conditions: conditionsOf(options), ...headersOf(options), abortSignal })
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
          const etag = ambiguous ? await this.#etagIfSame(blob, bytes, options) : undefined
          return etag === undefined ? { outcome: 'conflict' } : { outcome: 'written', etag }
        }
      },
      bytes.byteLength,
    )
  }

  /** After a try whose answer was lost: a conflict with the very same bytes is our own first try. */
  async #etagIfSame(blob: string, bytes: Uint8Array, call: Call): Promise<string | undefined> {
    const md5 = createHash('md5').update(bytes).digest()
    const { contentMD5, etag } = await this.#retried('properties', blob, call, (abortSignal) => this.#blob(blob).getProperties({ abortSignal }))
    return contentMD5 !== undefined && md5.equals(contentMD5) ? etag : undefined
  }

  async snapshot(blob: string, options: { ifMatch: string; metadata: Metadata } & Call): Promise<SnapshotOutcome> {
    checkMetadata(options.metadata)
    return this.#telemetry.observe('snapshot', blob, async () => {
      try {
        const { snapshot } = await this.#withRetries('snapshot', options, (abortSignal) =>
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
      const page = await this.#retried('list', prefix, options, async (abortSignal) => {
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
    await this.#retried('container', '', call, (abortSignal) => this.#container.getProperties({ abortSignal }))
  }

  async ensureContainer(call: Call = {}): Promise<void> {
    await this.#retried('container', '', call, (abortSignal) => this.#container.createIfNotExists({ abortSignal }))
  }

  #blob(name: string, snapshot?: string): BlockBlobClient {
    const client = this.#container.getBlockBlobClient(name)
    return snapshot === undefined ? client : client.withSnapshot(snapshot)
  }

  #withRetries<T>(operation: Operation, { signal }: Call, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withRetries(run, this.#policy, { signal, onRetry: (error) => this.#telemetry.retried(operation, error) })
  }

  /** For calls without outcomes to be expected. */
  async #retried<T>(operation: Operation, blob: string, call: Call, run: (signal: AbortSignal) => Promise<T>, bytes?: number): Promise<T> {
    const observed = async () => {
      try {
        return await this.#withRetries(operation, call, run)
      } catch (error) {
        call.signal?.throwIfAborted()
        throw toBlobError(error, operation, blob)
      }
    }
    return this.#telemetry.observe(operation, blob, observed, bytes)
  }

  async #orNull<T>(operation: Operation, blob: string, call: Call, run: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    return this.#retried<T | null>(operation, blob, call, async (signal) => {
      try {
        return await run(signal)
      } catch (error) {
        if (isMissing(error)) return null
        throw error
      }
    })
  }
}

function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && azureCode(error) !== 'ContainerNotFound'
}

function isConflict(error: unknown): boolean {
  return statusOf(error) === 412 || azureCode(error) === 'BlobAlreadyExists'
}

function conditionsOf({ ifMatch, ifNoneMatch }: Partial<Condition>) {
  return { ...(ifMatch === undefined ? {} : { ifMatch }), ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }) }
}

function headersOf({ contentType, metadata }: Description) {
  return { blobHTTPHeaders: { blobContentType: contentType }, metadata: { ...metadata } }
}

interface AzureProperties {
  etag?: string | undefined
  contentLength?: number | undefined
  contentRange?: string | undefined
  contentType?: string | undefined
  lastModified?: Date | undefined
  metadata?: Record<string, string> | undefined
}

function propertiesOf(response: AzureProperties): BlobProperties {
  const total = /\/(\d+)$/.exec(response.contentRange ?? '')?.[1]
  const etag = present(response.etag, 'etag')
  return {
    // Lists give it bare, headers in quotes; conditions want the quotes.
    etag: etag.startsWith('"') ? etag : `"${etag}"`,
    bytes: total === undefined ? present(response.contentLength, 'length') : Number(total),
    contentType: response.contentType ?? 'application/octet-stream',
    metadata: response.metadata ?? {},
    lastModified: present(response.lastModified, 'last-modified'),
  }
}

function streamOf(response: BlobDownloadResponseParsed): Readable {
  return present(response.readableStreamBody, 'body') as Readable
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new LongtakeError('BLOB_REFUSED', `the storage answered without ${what}`)
  return value
}
