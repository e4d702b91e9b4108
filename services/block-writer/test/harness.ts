import { createHash, randomUUID } from 'node:crypto'
import { MemoryBlobStore, type MemoryFaults } from '@longtake/blob'
import { BLOBS, encodeChunkRecord, encodeDeclaration, type Declaration, type EventOf, type PartState, type RecordingEvent } from '@longtake/contracts'
import { wholeCommit } from '@longtake/domain'
import type { KafkaRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { ByteBudget } from '../src/budget.ts'
import type { Clock } from '../src/clock.ts'
import { COMMIT_LIMITS, COMMIT_POLICY } from '../src/core/index.ts'
import { ChunksPartition, type HandlerSettings } from '../src/partition-handler.ts'
import { StorageTurns } from '../src/storage-turns.ts'

export const SESSION = 'session-1'
export const STARTED_AT = Date.parse('2026-03-01T10:00:00.000Z')

/** Time that stands still until it is moved. */
export class ManualClock implements Clock {
  #now = STARTED_AT
  #timers = new Map<object, { at: number; callback: () => void }>()

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const key = {}
    this.#timers.set(key, { at: this.#now + Math.max(0, ms), callback })
    return () => this.#timers.delete(key)
  }

  advance(ms: number): void {
    this.#now += ms
    for (const [key, { at, callback }] of this.#timers) {
      if (at > this.#now) continue
      this.#timers.delete(key)
      callback()
    }
  }
}

export const SETTINGS: HandlerSettings = {
  policy: COMMIT_POLICY,
  limits: { holeWaitMs: 5_000, holeWaitBytes: 2 * 1024 * 1024, fullAtBlocks: 40_000 },
  commitLimits: COMMIT_LIMITS,
  workBytes: 16 * 1024 * 1024,
  retryMs: 10,
  maxRetryMs: 1_000,
  maxTrackBytes: 64 * 1024 * 1024,
  idleMs: 120_000,
}

export interface TestPart {
  readonly track: string
  readonly part: string
  readonly client: string
  readonly mimeType: string
  readonly startedAt: string
}

export function newPart(more: Partial<TestPart> = {}): TestPart {
  return { track: 'webcam', part: randomUUID(), client: randomUUID(), mimeType: 'video/webm;codecs=vp9,opus', startedAt: new Date(STARTED_AT).toISOString(), ...more }
}

/**
 * Records a part but for its late chunks, and waits until all of it is committed.
 * @param everyMs time between its chunks
 */
export async function recordPart(world: World, part: TestPart, chunks: readonly Uint8Array[], { late = [] as readonly number[], everyMs = 0 } = {}): Promise<void> {
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    if (late.includes(seq)) continue
    world.chunk(part, seq, bytes)
    if (everyMs > 0) await world.pass(everyMs)
  }
  world.closePart(part, chunks.length)
  await world.pass(40_000)
}

interface Owner {
  handler: ChunksPartition
  gone: AbortController
  next: number
  paused: boolean
}

/** One partition of Kafka with one storage, and block-writers that own it in turn. */
export class World {
  readonly clock = new ManualClock()
  readonly memory: MemoryBlobStore
  readonly log: KafkaRecord[] = []
  /** Kafka has nothing below this offset any more. */
  truncatedTo = 0n
  readonly events: RecordingEvent[] = []
  readonly parked: { offset: bigint; reason: string; details: string }[] = []
  readonly done = new Set<bigint>()
  readonly settings: HandlerSettings
  /** The most bytes that any owner held uncommitted. */
  mostBuffered = 0
  readonly #budget: number | ByteBudget
  readonly #refuse: (event: RecordingEvent) => Error | null
  readonly #refuseToPark: () => Error | null
  #owner: Owner | null = null
  #activity = 0

  constructor(options: { faults?: MemoryFaults; settings?: Partial<HandlerSettings>; budget?: number | ByteBudget; refuse?: (event: RecordingEvent) => Error | null; refuseToPark?: () => Error | null } = {}) {
    this.#budget = options.budget ?? 256 * 1024 * 1024
    this.#refuse = options.refuse ?? (() => null)
    this.#refuseToPark = options.refuseToPark ?? (() => null)
    this.settings = { ...SETTINGS, ...options.settings }
    this.memory = new MemoryBlobStore({
      at: async (...change) => {
        this.#activity++
        await options.faults?.at?.(...change)
      },
      ...(options.faults?.refuses === undefined ? {} : { refuses: options.faults.refuses }),
    })
  }

  /** The offset up to which the group would have committed. */
  get committedOffset(): number {
    let offset = 0
    while (this.done.has(BigInt(offset))) offset++
    return offset
  }

  /** A new owner takes the partition over; the old one, if any, is gone without a word, or as a zombie goes on with what it has. */
  own({ zombie = false } = {}): void {
    if (!zombie) this.crash()
    const gone = new AbortController()
    const budget = typeof this.#budget === 'number' ? new ByteBudget(this.#budget) : this.#budget
    const owner = { gone, next: this.committedOffset, paused: false } as Owner
    owner.handler = new ChunksPartition(
      {
        partition: 0,
        signal: gone.signal,
        done: (record) => {
          this.#activity++
          // The group takes offsets from its member alone.
          if (owner === this.#owner) this.done.add(record.offset)
        },
        pause: () => void (owner.paused = true),
        resume: () => void (owner.paused = false),
      },
      {
        store: this.memory,
        settings: this.settings,
        clock: this.clock,
        budget,
        turns: new StorageTurns(),
        logger: createLogger({ service: 'test', level: 'silent' }),
        publish: async (_partition, event) => {
          this.#activity++
          if (gone.signal.aborted) throw new Error('this process is dead')
          const refusal = this.#refuse(event)
          if (refusal !== null) throw refusal
          this.events.push(event)
        },
        readBack: async (_partition, from, to, onRecord) => {
          const first = from > this.truncatedTo ? from : this.truncatedTo
          for (const record of this.log.slice(Number(first), Number(to))) onRecord(record)
          return first
        },
        park: async (record, why) => {
          this.#activity++
          const refusal = this.#refuseToPark()
          if (refusal !== null) throw refusal
          this.parked.push({ offset: record.offset, ...why })
        },
      },
    )
    this.#owner = owner
  }

  crash(): void {
    this.#owner?.gone.abort()
    this.#owner = null
  }

  async close(reason: 'revoked' | 'shutdown'): Promise<void> {
    await this.#owner?.handler.close(reason)
    this.crash()
  }

  /** The group gives the partition away; the process lives on. */
  async lose(): Promise<void> {
    await this.#owner?.handler.close('lost')
    this.#owner = null
  }

  get uncommittedSince(): number | null {
    return this.#owner?.handler.uncommittedSince ?? null
  }

  get owned(): boolean {
    return this.#owner !== null
  }

  /** Hands the next record over in this very moment. */
  handOne(): void {
    const owner = this.#owner
    if (owner !== null) void owner.handler.handle(this.log[owner.next++]!)
  }

  /** Hands over what is in the log. */
  async hand(): Promise<void> {
    for (let owner = this.#owner; owner !== null && !owner.paused && owner.next < this.log.length; owner = this.#owner) {
      await owner.handler.handle(this.log[owner.next++]!)
    }
  }

  /** Hands over what is in the log, and waits until nothing moves without time passing. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 25; quiet++) {
      for (let owner = this.#owner; owner !== null && !owner.paused && owner.next < this.log.length; owner = this.#owner) {
        quiet = 0
        await owner.handler.handle(this.log[owner.next++]!)
        this.mostBuffered = Math.max(this.mostBuffered, owner.handler.writers.reduce((sum, { bytes }) => sum + bytes, 0))
      }
      const before = this.#activity
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#activity !== before) quiet = 0
    }
  }

  /** Lets time pass in steps, as long as something is to be done and at most `ms`. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    for (let passed = 0; passed < ms; passed += 500) {
      this.clock.advance(500)
      await this.settle()
    }
  }

  append(record: { key: string; value: Uint8Array; headers: Record<string, string> }): bigint {
    const offset = BigInt(this.log.length)
    this.log.push({ topic: 'recordings.chunks', partition: 0, offset, tombstone: false, timestamp: this.clock.now(), ...record, value: Buffer.from(record.value) })
    return offset
  }

  declare(declaration: Declaration): bigint {
    return this.append(encodeDeclaration(declaration))
  }

  open({ track, part, client, mimeType, startedAt }: TestPart): bigint {
    return this.declare({ type: 'part-opened', session: SESSION, track, part, client, mimeType, startedAt, at: this.at() })
  }

  /** @param capturedMs when it was captured, ms since the part's start */
  chunk({ track, part, client, startedAt }: TestPart, seq: number, payload: Uint8Array, capturedMs = (seq + 1) * 1_000): bigint {
    const sha256 = createHash('sha256').update(payload).digest('hex')
    const capturedAt = Date.parse(startedAt) + capturedMs
    return this.append(encodeChunkRecord({ session: SESSION, track, part, client, seq, sha256, capturedAt, payload }))
  }

  closePart({ track, part }: TestPart, chunks: number, clean = true): bigint {
    return this.declare({ type: 'part-closed', session: SESSION, track, part, chunks, clean, at: this.at() })
  }

  at(): string {
    return new Date(this.clock.now()).toISOString()
  }

  async file(track = 'webcam', file = 0): Promise<Uint8Array> {
    const read = await this.memory.readAll(BLOBS.file(SESSION, track, file))
    if (read === null) throw new Error(`no file ${file} of ${track}`)
    return read.bytes
  }

  async names(prefix = ''): Promise<string[]> {
    const names: string[] = []
    for await (const { name } of this.memory.list(prefix)) names.push(name)
    return names
  }

  /** Pending blobs that are there once all tracks have left memory for want of work. */
  async pendingAtRest(track = 'webcam'): Promise<string[]> {
    for (let i = 0; i < 2; i++) {
      this.clock.advance(this.settings.idleMs)
      await this.settle()
    }
    return this.names(BLOBS.pendingPrefix(SESSION, track))
  }

  lastCommit(track = 'webcam', file = 0): EventOf<'blocks-committed'> {
    let last: EventOf<'blocks-committed'> | undefined
    for (const event of this.events) {
      if ((event.type !== 'blocks-committed' && event.type !== 'parts-committed') || event.track !== track || event.file !== file) continue
      const commit = event.type === 'parts-committed' ? wholeCommit(last === undefined ? [] : [last], event) : event
      if (last === undefined || commit.commit.number >= last.commit.number) last = commit
    }
    if (last === undefined) throw new Error(`no commit of file ${file} of ${track}`)
    return last
  }

  partState(part: string, track = 'webcam', file = 0): PartState {
    const found = this.lastCommit(track, file).parts.find((state) => state.part === part)
    if (found === undefined) throw new Error(`no part ${part} in file ${file}`)
    return found
  }
}
