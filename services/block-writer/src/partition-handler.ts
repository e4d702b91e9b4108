import { newBlockIds, type BlobStore } from '@longtake/blob'
import { decodeChunksRecord, exponentialDelayMs, isRecordFault, type DeclarationOf, type ParkedReason, type RecordingEvent } from '@longtake/contracts'
import type { AssignedPartition, CloseReason, KafkaRecord, PartitionHandler } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import type { ByteBudget } from './budget.ts'
import { pause, type Clock } from './clock.ts'
import { eraseSession, HeldErasures, isErased } from './erasure.ts'
import type { TrackContent } from './track-entry.ts'
import type { StorageTurns } from './storage-turns.ts'
import { TrackStorage } from './track-storage.ts'
import { TrackWriter } from './track-writer.ts'
import type { WriterSettings } from './writer-deps.ts'

export interface HandlerSettings extends WriterSettings {
  /** A track with so many uncommitted bytes stops its partition until they are committed. */
  readonly maxTrackBytes: number
  /** A track without work for so long leaves memory, ms. */
  readonly idleMs: number
}

export interface HandlerDeps {
  readonly store: BlobStore
  readonly settings: HandlerSettings
  readonly clock: Clock
  readonly budget: ByteBudget
  /** Of the whole process. */
  readonly turns: StorageTurns
  readonly logger: Logger
  /** Resolves when the broker has it; `partition` is that of the session in every topic. */
  publish(partition: number, event: RecordingEvent): Promise<void>
  park(record: KafkaRecord, why: { reason: ParkedReason; details: string }): Promise<void>
  /** Reads records of a partition again, from offset `from` to the one before `to`; resolves with the first that is still there. */
  readBack(partition: number, from: bigint, to: bigint, onRecord: (record: KafkaRecord) => void): Promise<bigint>
}

type Partition = Pick<AssignedPartition, 'partition' | 'signal' | 'done' | 'pause' | 'resume'>

/** One partition of recordings.chunks: brings each record to its track's writer, and minds what concerns whole sessions. */
export class ChunksPartition implements PartitionHandler {
  readonly #partition: Partition
  readonly #deps: HandlerDeps
  readonly #newBlockId = newBlockIds()
  readonly #sessions = new Map<string, Map<string, TrackWriter>>()
  /** What is being done for a session as a whole, one after another. */
  readonly #duties = new Map<string, Promise<void>>()
  /** Tracks with too many uncommitted bytes. */
  readonly #oversized = new Set<TrackWriter>()
  readonly #stopWatching: () => void
  readonly #heldErasures: HeldErasures
  #cancelSweep: () => void
  #paused = false
  readonly #closing = new AbortController()

  constructor(partition: Partition, deps: HandlerDeps) {
    this.#partition = partition
    this.#deps = deps
    this.#stopWatching = deps.budget.onTurn(() => this.#balance())
    this.#cancelSweep = this.#sweepLater()
    const { store, clock, logger } = deps
    this.#heldErasures = new HeldErasures(partition.partition, { store, clock, logger, publish: async (event) => deps.publish(partition.partition, event) })
    partition.signal.addEventListener('abort', () => this.#heldErasures.stop(), { once: true })
  }

  /** The writers in memory, for health and balance. */
  get writers(): TrackWriter[] {
    return [...this.#sessions.values()].flatMap((tracks) => [...tracks.values()])
  }

  /** When the oldest record was received that keeps the group's offset where it is, ms; null when there is none. */
  get uncommittedSince(): number | null {
    return this.writers.reduce<number | null>((oldest, { uncommittedSince: since }) => (since === null || (oldest !== null && oldest < since) ? oldest : since), null)
  }

  /** Whether it takes nothing more until something is committed. */
  get paused(): boolean {
    return this.#paused
  }

  get partition(): number {
    return this.#partition.partition
  }

  async handle(record: KafkaRecord): Promise<void> {
    const content = decodeChunksRecord({ key: record.key, value: record.value, headers: { ...record.headers } })
    if (isRecordFault(content)) {
      this.#deps.logger.warn({ ...content, offset: String(record.offset) }, 'a record that cannot be read is parked')
      await this.#deps.park(record, { reason: content.fault, details: content.details })
      return this.#partition.done(record)
    }
    if ('kind' in content) return this.#toTrack(record, content)
    switch (content.type) {
      case 'session-finished':
        return this.#perform(record, content.session, async () => this.#finish(record, content))
      case 'client-left':
        return this.#perform(record, content.session, async () => this.#leave(record, content))
      case 'session-deleted':
        return this.#perform(record, content.session, async () => this.#erase(record, content))
      default:
        return this.#toTrack(record, content)
    }
  }

  async close(reason: CloseReason): Promise<void> {
    this.#closing.abort()
    this.#cancelSweep()
    this.#heldErasures.stop()
    this.#stopWatching()
    if (reason !== 'lost') {
      await Promise.all([...this.writers.map(async (writer) => writer.settle({ behindHoles: false })), ...this.#duties.values()])
    }
    for (const writer of this.writers) writer.stop()
    this.#sessions.clear()
  }

  #toTrack(record: KafkaRecord, content: TrackContent): void {
    const writer = this.#writer(content.session, content.track)
    writer.take(record, content)
    this.#weigh(writer)
  }

  #writer(session: string, name: string): TrackWriter {
    let tracks = this.#sessions.get(session)
    if (tracks === undefined) this.#sessions.set(session, (tracks = new Map()))
    let writer = tracks.get(name)
    if (writer === undefined) {
      const { store, settings, clock, budget, turns, logger } = this.#deps
      const created = new TrackWriter(session, name, {
        storage: new TrackStorage(store, this.#newBlockId, session, name, async (ms) => this.#wait(ms)),
        settings,
        clock,
        budget,
        turns,
        logger: logger.child({ session, track: name }),
        isErased: async () => isErased(store, session),
        erase: async () => void (await eraseSession(store, this.partition, session)),
        publish: async (event) => this.#deps.publish(this.partition, event),
        park: async (record, why) => this.#deps.park(record, why),
        readBack: async (from, to, onRecord) => this.#deps.readBack(this.partition, from, to, onRecord),
        done: (record) => {
          this.#partition.done(record)
          this.#weigh(created)
        },
        signal: this.#partition.signal,
      })
      writer = created
      tracks.set(name, writer)
    }
    return writer
  }

  /** Rejects once another member owns the partition: nothing may be written after that. */
  async #wait(ms: number): Promise<void> {
    const { signal } = this.#partition
    await pause(this.#deps.clock, ms, signal)
    signal.throwIfAborted()
  }

  #writersOf(session: string): TrackWriter[] {
    return [...(this.#sessions.get(session)?.values() ?? [])]
  }

  /** Begins a duty after the session's earlier ones; the partition goes on meanwhile. */
  #perform(record: KafkaRecord, session: string, duty: () => Promise<void>): void {
    const before = this.#duties.get(session) ?? Promise.resolve()
    const run = before.then(async () => this.#untilDone(record, duty))
    this.#duties.set(session, run)
    void run.finally(() => {
      if (this.#duties.get(session) === run) this.#duties.delete(session)
    })
  }

  /** Tries again until it is done or somebody else's: an end or a deletion that is passed over would be missed for ever. */
  async #untilDone(record: KafkaRecord, duty: () => Promise<void>): Promise<void> {
    const { clock, settings, logger } = this.#deps
    const signal = AbortSignal.any([this.#partition.signal, this.#closing.signal])
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return await duty()
      } catch (error) {
        const waitMs = exponentialDelayMs(failures, { firstMs: settings.retryMs, maxMs: settings.maxRetryMs })
        logger.warn({ session: record.key, offset: String(record.offset), error, waitMs }, 'session command failed, retrying')
        await pause(clock, waitMs, signal)
      }
    }
  }

  async #finish(record: KafkaRecord, { session, parts, scope }: DeclarationOf<'session-finished'>): Promise<void> {
    // All that is before it in this partition has been taken; nothing that is missing there is under way.
    await Promise.all(this.#writersOf(session).map(async (writer) => writer.settle({ behindHoles: true })))
    if (this.#partition.signal.aborted) return
    await this.#deps.publish(this.partition, { type: 'session-finished', session, at: this.#at(), parts, ...(scope === undefined ? {} : { scope }), offset: String(record.offset) })
    this.#partition.done(record)
  }

  async #leave(record: KafkaRecord, { session, client }: DeclarationOf<'client-left'>): Promise<void> {
    const writers = this.#writersOf(session).filter((writer) => writer.hasClient(client))
    await Promise.all(writers.map(async (writer) => writer.settle({ behindHoles: false })))
    this.#partition.done(record)
  }

  async #erase(record: KafkaRecord, { session, at }: DeclarationOf<'session-deleted'>): Promise<void> {
    await Promise.all(this.#writersOf(session).map(async (writer) => writer.erase()))
    const outcome = await eraseSession(this.#deps.store, this.partition, session, at)
    if (this.#partition.signal.aborted) return
    // What is held is deleted when that ends: its record in storage outlives this process, and the offset moves on.
    if (outcome === 'held') this.#deps.logger.warn({ session }, 'deletion is held: some blobs may not be deleted yet, retrying every hour')
    else await this.#deps.publish(this.partition, { type: 'session-erased', session, at: this.#at() })
    this.#partition.done(record)
  }

  #at(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }

  /** What a track holds has changed. */
  #weigh(writer: TrackWriter): void {
    const { maxTrackBytes } = this.#deps.settings
    // In time, so that a commit comes before the pause also where thousands of tiny chunks make no block.
    if (2 * writer.bytes > maxTrackBytes) writer.ask()
    if (writer.bytes > maxTrackBytes) this.#oversized.add(writer)
    else this.#oversized.delete(writer)
    this.#balance()
  }

  /** Too much in memory: nothing more is taken until there is room. The budget asks the largest tracks to commit early. */
  #balance(): void {
    if (this.#closing.signal.aborted) return
    const shallPause = this.#deps.budget.exceeded || this.#oversized.size > 0
    if (shallPause === this.#paused) return
    this.#paused = shallPause
    if (shallPause) this.#partition.pause()
    else this.#partition.resume()
  }

  /** Tracks that are idle for long leave memory; what comes later loads them again. */
  #sweepLater(): () => void {
    const { clock, settings } = this.#deps
    return clock.after(settings.idleMs, () => {
      const now = clock.now()
      for (const [session, tracks] of this.#sessions) {
        for (const [name, writer] of tracks) {
          if (writer.idleSince === null || writer.idleSince + settings.idleMs > now) continue
          void writer.leave()
          tracks.delete(name)
        }
        if (tracks.size === 0) this.#sessions.delete(session)
      }
      if (!this.#closing.signal.aborted) this.#cancelSweep = this.#sweepLater()
    })
  }
}
