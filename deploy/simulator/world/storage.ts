import type { BlobStore } from '@longtake/blob'
import { MemoryBlobStore } from '@longtake/blob'
import { LongtakeError } from '@longtake/contracts'
import type { Mutation } from '../mutations.ts'
import { EVENTS, type Trace } from './trace.ts'
import { currentProcess, type SimProcess, type VirtualTime } from './virtual-time.ts'

type Operation = Exclude<keyof BlobStore, 'list'> | 'list'

/**
 * What becomes of one call: `refused` nothing happened · `request-lost` nothing happened, nobody answers ·
 * `answer-lost` it happened, nobody answers.
 */
export interface Fate {
  readonly outcome: 'done' | 'refused' | 'request-lost' | 'answer-lost'
  readonly requestMs: number
  readonly answerMs: number
}

/** How long the adapter tries until it reports that the storage does not answer. */
const ADAPTER_TIMEOUT_MS = 30_000

export interface StorageOptions {
  readonly time: VirtualTime
  readonly trace: Trace
  readonly mutation: Mutation | undefined
  fate(operation: Operation, blob: string, client: SimProcess | undefined): Fate
}

/**
 * Azure Blob Storage as the services see it through the port: the in-memory twin, a network in front of it, and blobs
 * that a legal hold protects.
 */
export class SimStorage {
  /** The truth, without a network; for the oracle. */
  readonly blobs = new MemoryBlobStore()
  readonly held = new Set<string>()
  readonly #options: StorageOptions

  constructor(options: StorageOptions) {
    this.#options = options
  }

  /** A legal hold: nobody can change or delete these any more. */
  hold(blobs: readonly string[]): void {
    for (const blob of blobs) this.held.add(blob)
  }

  /** The port for services; calls belong to the process that makes them. */
  readonly port: BlobStore = {
    stageBlock: (blob, id, bytes, call) =>
      this.#call('stageBlock', blob, call, Buffer.from(bytes), (copy) =>
        this.blobs.stageBlock(blob, id, this.#damaged(copy)),
      ),
    commitBlockList: async (blob, ids, { signal, ...options }) => {
      try {
        return await this.#call('commitBlockList', blob, { signal }, undefined, () =>
          this.held.has(blob)
            ? Promise.resolve({ outcome: 'held' as const })
            : this.blobs.commitBlockList(blob, ids, options as never),
        )
      } catch (error) {
        if (error instanceof LongtakeError && error.code === 'BLOB_UNAVAILABLE')
          return { outcome: 'unknown', cause: error }
        throw error
      }
    },
    properties: (blob, { signal, ...options } = {}) =>
      this.#call('properties', blob, { signal }, undefined, () => this.blobs.properties(blob, options)),
    blockList: (blob, call) => this.#call('blockList', blob, call, undefined, () => this.blobs.blockList(blob)),
    readRange: (blob, { signal, ...range }) =>
      this.#call('readRange', blob, { signal }, undefined, () => this.blobs.readRange(blob, range)),
    readAll: (blob, { signal, ...options } = {}) =>
      this.#call('readAll', blob, { signal }, undefined, () => this.blobs.readAll(blob, options)),
    put: (blob, bytes, { signal, ...options }) =>
      this.#call('put', blob, { signal }, Buffer.from(bytes), (copy) =>
        this.held.has(blob)
          ? Promise.resolve({ outcome: 'held' as const })
          : this.blobs.put(this.#placeOf(blob), copy, options as never),
      ),
    snapshot: (blob, { signal, ...options }) =>
      this.#call('snapshot', blob, { signal }, undefined, () => this.blobs.snapshot(blob, options)),
    delete: (blob, { signal, ...options } = {}) =>
      this.#call('delete', blob, { signal }, undefined, () =>
        this.held.has(blob)
          ? Promise.reject(new LongtakeError('BLOB_HELD', `${blob} is held`))
          : this.blobs.delete(this.#options.mutation === 'undeleted' ? `kept/${blob}` : blob, options),
      ),
    list: (prefix, options) => this.#list(prefix, options),
    ping: (call) => this.#call('ping', '', call, undefined, () => this.blobs.ping()),
    ensureContainer: (call) => this.#call('ensureContainer', '', call, undefined, () => this.blobs.ensureContainer()),
  }

  #damaged(bytes: Buffer): Buffer {
    if (this.#options.mutation === 'damaged-block' && bytes.length > LARGE_BLOCK_BYTES) bytes[bytes.length - 10]! ^= 1
    return bytes
  }

  #placeOf(blob: string): string {
    return this.#options.mutation === 'dropped-pending' && blob.includes('/pending/') ? `dropped/${blob}` : blob
  }

  async *#list(
    prefix: string,
    { signal, ...options }: Parameters<BlobStore['list']>[1] = {},
  ): ReturnType<MemoryBlobStore['list']> {
    yield* await this.#call('list', prefix, { signal }, undefined, () =>
      Array.fromAsync(this.blobs.list(prefix, options)),
    )
  }

  /** @param body a copy of what the call sends, so that the caller may use its buffer again */
  #call<T, B extends Buffer | undefined>(
    operation: Operation,
    blob: string,
    { signal }: { signal?: AbortSignal | undefined } = {},
    body: B,
    effect: (body: B) => Promise<T>,
  ): Promise<T> {
    const { time, trace } = this.#options
    const owner = currentProcess()
    const fate = this.#options.fate(operation, blob, owner)
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const onAbort = (): void => reject(signal?.reason as Error)
      signal?.addEventListener('abort', onAbort)
      const answer = (ms: number, settle: () => void): void =>
        void time.after(
          ms,
          () => {
            signal?.removeEventListener('abort', onAbort)
            settle()
          },
          owner,
        )
      const unavailable =
        (what: string): (() => void) =>
        () =>
          reject(new LongtakeError('BLOB_UNAVAILABLE', `${operation} of ${blob}: ${what}`))
      time.after(fate.requestMs, () => {
        if (fate.outcome === 'request-lost') return answer(ADAPTER_TIMEOUT_MS, unavailable('no answer'))
        if (fate.outcome === 'refused') return answer(fate.answerMs, unavailable('503 Server Busy'))
        trace.note(EVENTS.blob, operation.length, body)
        if (trace.hasReader && CHANGES.has(operation))
          trace.line('storage', `${operation} ${blob} for ${owner?.name ?? 'nobody'}`)
        effect(body).then(
          (result) =>
            fate.outcome === 'answer-lost'
              ? answer(ADAPTER_TIMEOUT_MS, unavailable('no answer'))
              : answer(fate.answerMs, () => resolve(result)),
          (error: Error) => answer(fate.answerMs, () => reject(error)),
        )
      })
    })
  }
}

/** Headers are smaller or have other checks. */
const LARGE_BLOCK_BYTES = 200
const CHANGES: ReadonlySet<Operation> = new Set<Operation>(['commitBlockList', 'put', 'snapshot', 'delete'])
