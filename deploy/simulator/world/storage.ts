import type { BlobStore, CommitOutcome } from '@longtake/blob'
import { MemoryBlobStore } from '@longtake/blob'
import { LongtakeError } from '@longtake/contracts'
import type { Mutation } from '../mutations.ts'
import { EVENTS, type Trace } from './trace.ts'
import { currentProcess, type SimProcess, type VirtualTime } from './virtual-time.ts'

type Operation = Exclude<keyof BlobStore, 'list'> | 'list'

/**
 * What becomes of one call: `refused` nothing happened · `request-lost` nothing happened, nobody answers ·
 * `answer-lost` it happened, nobody answers · `late` nobody answers, and it happens perhaps after the caller has timed
 * out · `conflict` a commit happened, and a repetition on the way to the storage is answered: 412 (other calls: done).
 */
export interface Fate {
  readonly outcome: 'done' | 'refused' | 'request-lost' | 'answer-lost' | 'late' | 'conflict'
  readonly requestMs: number
  readonly answerMs: number
  /** When a late one happens. */
  readonly lateMs: number
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
  /** In the archive tier: neither read nor changed, but deleted; properties and lists can be read. */
  readonly #archived = new Set<string>()
  /** Until when somebody holds a lease on a blob, ms of virtual time. */
  readonly #leased = new Map<string, number>()
  readonly #options: StorageOptions

  constructor(options: StorageOptions) {
    this.#options = options
  }

  /** A legal hold: nobody can change or delete these any more. */
  hold(blobs: readonly string[]): void {
    for (const blob of blobs) this.held.add(blob)
  }

  archive(blob: string): void {
    this.#archived.add(blob)
  }

  lease(blob: string, forMs: number): void {
    this.#leased.set(blob, this.#options.time.now + forMs)
  }

  /** Why a blob cannot be changed now. */
  #refusal(blob: string): 'held' | 'leased' | null {
    if (this.held.has(blob) || this.#archived.has(blob)) return 'held'
    return (this.#leased.get(blob) ?? 0) > this.#options.time.now ? 'leased' : null
  }

  /** As the adapter reports a 409 or 412 that concerns the blob. */
  #refused(blob: string, operation: Operation): Promise<never> {
    return Promise.reject(new LongtakeError('BLOB_HELD', `${operation} of ${blob} is refused`))
  }

  /** The port for services; calls belong to the process that makes them. */
  readonly port: BlobStore = {
    stageBlock: (blob, id, bytes, call) =>
      this.#call('stageBlock', blob, call, Buffer.from(bytes), (copy) =>
        // A hold does not refuse blocks, only their commit.
        this.#refusal(blob) !== null && !this.held.has(blob)
          ? this.#refused(blob, 'stageBlock')
          : this.blobs.stageBlock(blob, id, this.#damaged(copy)),
      ),
    commitBlockList: async (blob, ids, { signal, ...options }) => {
      try {
        return await this.#call('commitBlockList', blob, { signal }, undefined, (_body, isRepeated) => {
          const refusal = this.#refusal(blob)
          if (refusal !== null) return Promise.resolve({ outcome: refusal })
          const commit = (): Promise<CommitOutcome> => this.blobs.commitBlockList(blob, ids, options as never)
          return isRepeated ? commit().then(commit) : commit()
        })
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
      this.#call('readRange', blob, { signal }, undefined, () =>
        this.#archived.has(blob) && range.snapshot === undefined
          ? this.#refused(blob, 'readRange')
          : this.blobs.readRange(blob, range),
      ),
    readAll: (blob, { signal, ...options } = {}) =>
      this.#call('readAll', blob, { signal }, undefined, () =>
        this.#archived.has(blob) && options.snapshot === undefined
          ? this.#refused(blob, 'readAll')
          : this.blobs.readAll(blob, options),
      ),
    put: (blob, bytes, { signal, ...options }) =>
      this.#call('put', blob, { signal }, Buffer.from(bytes), (copy) =>
        this.#refusal(blob) !== null
          ? Promise.resolve({ outcome: 'held' as const })
          : this.blobs.put(this.#placeOf(blob), copy, options as never),
      ),
    snapshot: (blob, { signal, ...options }) =>
      this.#call('snapshot', blob, { signal }, undefined, () =>
        this.#archived.has(blob) ? this.#refused(blob, 'snapshot') : this.blobs.snapshot(blob, options),
      ),
    delete: (blob, { signal, ...options } = {}) =>
      this.#call('delete', blob, { signal }, undefined, () =>
        this.#refusal(blob) !== null && !this.#archived.has(blob)
          ? this.#refused(blob, 'delete')
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
    effect: (body: B, isRepeated: boolean) => Promise<T>,
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
      if (fate.outcome === 'late') answer(ADAPTER_TIMEOUT_MS, unavailable('no answer'))
      const isLate = fate.outcome === 'late'
      time.after(isLate ? fate.lateMs : fate.requestMs, () => {
        if (fate.outcome === 'request-lost') return answer(ADAPTER_TIMEOUT_MS, unavailable('no answer'))
        if (fate.outcome === 'refused') return answer(fate.answerMs, unavailable('503 Server Busy'))
        trace.note(EVENTS.blob, operation.length, body)
        if (trace.hasReader && CHANGES.has(operation))
          trace.line('storage', `${operation} ${blob} for ${owner?.name ?? 'nobody'}`)
        effect(body, fate.outcome === 'conflict').then(
          (result) =>
            isLate ? undefined : fate.outcome === 'answer-lost'
              ? answer(ADAPTER_TIMEOUT_MS, unavailable('no answer'))
              : answer(fate.answerMs, () => resolve(result)),
          (error: Error) => (isLate ? undefined : answer(fate.answerMs, () => reject(error))),
        )
      })
    })
  }
}

/** Headers are smaller or have other checks. */
const LARGE_BLOCK_BYTES = 200
const CHANGES: ReadonlySet<Operation> = new Set<Operation>(['commitBlockList', 'put', 'snapshot', 'delete'])
