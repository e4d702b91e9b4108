import { RestError } from '@azure/storage-blob'
import { LongtakeError } from '@longtake/contracts'
import { Attempts, DEFAULT_RETRY_POLICY, type RequestClock, type RequestKind } from './attempts.ts'
import { isTransient, toBlobError } from './azure-errors.ts'
import { CongestionWindow } from './congestion-window.ts'
import type { MemoryBlobStore } from './memory-store.ts'
import type { BlobStore, Call, CommitOutcome, Condition, Description, ListedBlob } from './store.ts'

interface Timer {
  readonly at: number
  callback: (() => void) | null
}

/** Time that moves only when it is advanced, from one timer to the next. */
export class VirtualClock implements RequestClock {
  #now = 0
  /** The next one last; cancelled ones stay until then. */
  readonly #timers: Timer[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), callback }
    let [low, high] = [0, this.#timers.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#timers[middle]!.at > timer.at) low = middle + 1
      else high = middle
    }
    this.#timers.splice(low, 0, timer)
    return () => void (timer.callback = null)
  }

  /** Lets all happen that is due up to `until`, ms, in order. */
  async run(until: number): Promise<void> {
    for (;;) {
      // Whatever was begun comes to where it waits for time.
      await new Promise((resolve) => setImmediate(resolve))
      while (this.#timers.at(-1)?.callback === null) this.#timers.pop()
      const next = this.#timers.at(-1)
      if (next === undefined || next.at > until) break
      this.#timers.pop()
      this.#now = Math.max(this.#now, next.at)
      next.callback?.()
    }
    this.#now = until
  }
}

export interface StorageModel {
  /** Time of an answer without load, evenly between the two, ms. */
  readonly latencyMs: readonly [number, number]
  /** What the account takes in. */
  readonly bytesPerSecond: number
  /** What is above is refused with 503 ServerBusy. */
  readonly requestsPerSecond: number
  /** Requests served at once; the others wait in the server. */
  readonly concurrent: number
}

/** What is reported of a storage account, on the small side. */
export const AZURE_LIKE: StorageModel = { latencyMs: [20, 200], bytesPerSecond: 500e6, requestsPerSecond: 2_000, concurrent: 200 }

/** What the storage does to requests at the moment: serves them, refuses a share of them, or never answers. */
export type Weather = { kind: 'fair' } | { kind: 'busy'; share: number } | { kind: 'silent' }

const REFUSAL_MS = 10

/** A store behind a network and a service with limits, in virtual time: for tests of what happens under overload. */
export class SimulatedStorage implements BlobStore {
  weather: Weather = { kind: 'fair' }
  /** Requests that arrived, and those refused or left without an answer. */
  arrived = 0
  refused = 0
  readonly attempts: Attempts
  readonly #memory: MemoryBlobStore
  readonly #clock: RequestClock
  readonly #random: () => number
  readonly #model: StorageModel
  readonly #freeAt: number[]
  #inFreeAt = 0
  #tokens: number
  #tokensAt = 0

  constructor(parts: { memory: MemoryBlobStore; clock: RequestClock; random: () => number; model?: StorageModel }) {
    this.#memory = parts.memory
    this.attempts = new Attempts(DEFAULT_RETRY_POLICY, parts.clock, new CongestionWindow(), parts.random)
    this.#clock = parts.clock
    this.#random = parts.random
    this.#model = parts.model ?? AZURE_LIKE
    this.#freeAt = Array.from({ length: this.#model.concurrent }, () => 0)
    this.#tokens = this.#model.requestsPerSecond / 10
  }

  async stageBlock(blob: string, blockId: string, bytes: Uint8Array, { signal }: Call = {}): Promise<void> {
    return this.#retried(blob, { lane: 'upload', bytes: bytes.byteLength, signal }, async () => this.#memory.stageBlock(blob, blockId, bytes))
  }

  async commitBlockList(blob: string, blockIds: readonly string[], options: Condition & Description & Call): Promise<CommitOutcome> {
    try {
      return await this.attempts.once({ lane: 'control', signal: options.signal }, async (signal) => {
        await this.#serve(0, signal)
        return this.#memory.commitBlockList(blob, blockIds, options)
      })
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isTransient(error)) throw error
      return { outcome: 'unknown', cause: toBlobError(error, 'commit blocks', blob) }
    }
  }

  properties: BlobStore['properties'] = async (blob, options = {}) => this.#control(blob, options, async () => this.#memory.properties(blob, options))
  blockList: BlobStore['blockList'] = async (blob, call = {}) => this.#control(blob, call, async () => this.#memory.blockList(blob, call))
  readRange: BlobStore['readRange'] = async (blob, range) => this.#retried(blob, { lane: 'read', signal: range.signal }, async () => this.#memory.readRange(blob, range))
  readAll: BlobStore['readAll'] = async (blob, options = {}) => this.#retried(blob, { lane: 'read', signal: options.signal }, async () => this.#memory.readAll(blob, options))
  put: BlobStore['put'] = async (blob, bytes, options) =>
    this.#retried(blob, { lane: 'control', bytes: bytes.byteLength, signal: options.signal }, async () => this.#memory.put(blob, bytes, options))
  snapshot: BlobStore['snapshot'] = async (blob, options) => this.#control(blob, options, async () => this.#memory.snapshot(blob, options))
  delete: BlobStore['delete'] = async (blob, options = {}) => this.#control(blob, options, async () => this.#memory.delete(blob, options))
  ping: BlobStore['ping'] = async ({ signal } = {}) => this.attempts.outsideQueue(signal, async (trying) => this.#serve(0, trying))
  ensureContainer: BlobStore['ensureContainer'] = async (call = {}) => this.#control('', call, async () => {})

  async *list(prefix: string, options: { snapshots?: boolean } & Call = {}): AsyncGenerator<ListedBlob> {
    await this.#control(prefix, options, async () => {})
    yield* this.#memory.list(prefix, options)
  }

  async #control<T>(blob: string, { signal }: Call, run: () => Promise<T>): Promise<T> {
    return this.#retried(blob, { lane: 'control', signal }, run)
  }

  async #retried<T>(blob: string, kind: RequestKind, run: () => Promise<T>): Promise<T> {
    try {
      return await this.attempts.retried(
        kind,
        async (signal) => {
          await this.#serve(kind.bytes ?? 0, signal)
          return run()
        },
        () => {},
      )
    } catch (error) {
      kind.signal?.throwIfAborted()
      throw error instanceof LongtakeError || !isTransient(error) ? error : toBlobError(error, 'a request', blob)
    }
  }

  /** Resolves when the service has done what it was asked. */
  async #serve(bytes: number, signal: AbortSignal): Promise<void> {
    this.arrived++
    const { weather } = this
    if (weather.kind === 'silent') {
      this.refused++
      return this.#wait(Infinity, signal)
    }
    if ((weather.kind === 'busy' && this.#random() < weather.share) || !this.#admits()) {
      this.refused++
      await this.#wait(REFUSAL_MS, signal)
      throw new RestError('the server is busy', { code: 'ServerBusy', statusCode: 503 })
    }
    const now = this.#clock.now()
    const [low, high] = this.#model.latencyMs
    this.#inFreeAt = Math.max(this.#inFreeAt, now) + (bytes / this.#model.bytesPerSecond) * 1000
    const slot = this.#freeAt.indexOf(Math.min(...this.#freeAt))
    const begins = Math.max(now, this.#freeAt[slot]!)
    const ends = Math.max(begins + low + this.#random() * (high - low), this.#inFreeAt)
    this.#freeAt[slot] = ends
    await this.#wait(ends - now, signal)
  }

  #admits(): boolean {
    const now = this.#clock.now()
    const { requestsPerSecond } = this.#model
    this.#tokens = Math.min(requestsPerSecond / 10, this.#tokens + ((now - this.#tokensAt) / 1000) * requestsPerSecond)
    this.#tokensAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = ms === Infinity ? () => {} : this.#clock.after(ms, resolve)
      signal.addEventListener(
        'abort',
        () => {
          cancel()
          reject(signal.reason as Error)
        },
        { once: true },
      )
    })
  }
}
