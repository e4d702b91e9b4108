import { decodeEvent, decodeStatus, HEADERS, isRecordFault, messageOf, type ParkedReason } from '@longtake/contracts'
import type { AssignedPartition, CloseReason, KafkaRecord, Parker, PartitionHandler } from '@longtake/kafka'
import { retrying, type Logger } from '@longtake/service'
import type { Publisher, TopicNames } from './publisher.ts'
import type { Sessions } from './sessions.ts'
import { instruments } from './telemetry.ts'
import { type Progress, WrittenTo } from './written-to.ts'

/** Records taken before the ones in work are published; above it the consumer waits. */
const MAX_WAITING = 1000
/** While Kafka takes nothing. */
const RETRY_DELAYS = { firstMs: 100, maxMs: 10_000 }
/** Sessions judged and published together. */
const SESSIONS_AT_ONCE = 200

export interface PartitionOptions {
  assigned: Pick<AssignedPartition, 'signal' | 'done' | 'offsets'>
  sessions: Sessions
  /** Where the status topic ended when `sessions` was loaded from it. */
  loadedTo: bigint
  /** Of when its last status was, in milliseconds since the epoch. */
  loadedAt: number
  /** Where the events ended when the partition was taken over. */
  eventsEnd: bigint
  publisher: Publisher
  parker: Parker
  topics: TopicNames
  logger: Logger
  now: () => number
}

/**
 * One partition: folds what waits, judges each touched session once, publishes, and only then marks records done.
 * What comes while it publishes is the next batch, so a burst of events makes one publication.
 */
export class SessionsPartition implements PartitionHandler {
  readonly #options: PartitionOptions
  readonly #writtenTo: WrittenTo
  readonly #ended: Promise<void>
  /** Offset of the next event to be folded. */
  #next: bigint
  /** Of when the latest event is that was folded, or before it the latest status, in milliseconds since the epoch. */
  #readTo: number
  #waiting: KafkaRecord[] = []
  /** Records of sessions whose publication is deferred: they are done after it. */
  readonly #undone = new Map<string, KafkaRecord[]>()
  #ticked = false
  #closing = false
  readonly #dropped = new AbortController()
  #fault: string | undefined
  #wake = (): void => {}
  #taken = Promise.withResolvers<void>()

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#next = options.assigned.offsets.get(options.topics.events)?.start ?? 0n
    this.#readTo = options.loadedAt
    this.#writtenTo = new WrittenTo(this.#next)
    this.#ended = this.#run().finally(() => this.#taken.resolve())
  }

  /** Why nothing gets published now; undefined while all is well. */
  get fault(): string | undefined {
    return this.#fault
  }

  handle(record: KafkaRecord): Promise<void> | void {
    this.#waiting.push(record)
    this.#wake()
    if (this.#waiting.length >= MAX_WAITING) return this.#taken.promise
  }

  /** Time has passed. */
  tick(): void {
    this.#ticked = true
    this.#wake()
  }

  /** Whether it has to know how far block-writer has come. */
  get isUndecided(): boolean {
    return this.#options.sessions.isUndecided
  }

  saw(progress: Progress): void {
    this.#writtenTo.saw(progress)
    this.tick()
  }

  async close(reason: CloseReason): Promise<void> {
    this.#closing = true
    if (reason === 'lost') this.#dropped.abort(new Error('the partition is lost'))
    this.#wake()
    await this.#ended
  }

  async #run(): Promise<void> {
    const signal = AbortSignal.any([this.#options.assigned.signal, this.#dropped.signal])
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      if (this.#waiting.length === 0 && !this.#ticked && !this.#options.sessions.hasWork) {
        if (this.#closing && this.#options.sessions.hasDeferred) {
          this.#options.sessions.stopDeferring()
          continue
        }
        if (this.#closing) return
        await woken
        continue
      }
      try {
        await this.#work(this.#take(), signal)
      } catch (error) {
        // Nothing of the batch is done, so whoever has the partition next reads it again.
        if (!signal.aborted) throw error
      }
    }
  }

  #take(): KafkaRecord[] {
    const records = this.#waiting
    this.#waiting = []
    this.#taken.resolve()
    this.#taken = Promise.withResolvers()
    return records
  }

  async #work(records: readonly KafkaRecord[], signal: AbortSignal): Promise<void> {
    const { assigned, sessions, publisher, topics } = this.#options
    for (const record of records) {
      if (record.topic !== topics.events) await this.#compareStatus(record, signal)
      else {
        await this.#foldEvent(record, signal)
        this.#next = record.offset + 1n
        this.#readTo = Math.max(this.#readTo, record.timestamp)
        this.#writtenTo.folded(this.#next)
      }
    }
    sessions.written(this.#writtenTo.at)
    if (this.#ticked) sessions.tick(this.#now())
    this.#ticked = false
    while (sessions.hasWork) {
      await this.#until(signal, 'publishing', async () => {
        const judged = sessions.judge(this.#now(), SESSIONS_AT_ONCE)
        await publisher.publish(judged.filter(({ isDeferred }) => !isDeferred))
        sessions.settle(judged)
      })
    }
    for (const [session, undone] of this.#undone) {
      if (sessions.isDeferred(session)) continue
      for (const record of undone) assigned.done(record)
      this.#undone.delete(session)
    }
    for (const record of records) {
      if (!sessions.isDeferred(record.key)) assigned.done(record)
      else if (this.#undone.get(record.key)?.push(record) === undefined) this.#undone.set(record.key, [record])
    }
  }

  /** Until what waited at the start is folded it is the time of that: by ours all who spoke while nobody listened would be gone. */
  #now(): number {
    const now = this.#options.now()
    return this.#next < this.#options.eventsEnd ? Math.min(now, this.#readTo) : now
  }

  async #foldEvent(record: KafkaRecord, signal: AbortSignal): Promise<void> {
    const event = decodeEvent(encoded(record))
    if (!isRecordFault(event)) {
      try {
        return this.#options.sessions.fold(event, record.offset)
      } catch (error) {
        return this.#park(record, 'not-foldable', messageOf(error), signal)
      }
    }
    if (event.fault === 'unknown-kind') {
      instruments.unknownMessages.add(1)
      this.#options.logger.warn({ session: record.key, offset: String(record.offset), details: event.details }, 'an event that this version does not know')
      return
    }
    await this.#park(record, event.fault, event.details, signal)
  }

  /** What others wrote since the load comes from an owner that does not know yet that it was replaced. */
  async #compareStatus(record: KafkaRecord, signal: AbortSignal): Promise<void> {
    const { sessions, loadedTo, publisher, logger } = this.#options
    if (record.tombstone || record.offset < loadedTo || record.headers[HEADERS.writer] === publisher.writer) return
    const state = decodeStatus(encoded(record))
    if (isRecordFault(state)) return this.#park(record, state.fault, state.details, signal)
    logger.warn({ session: state.session, offset: String(record.offset), writer: record.headers[HEADERS.writer] }, 'another writer published a status of our partition')
    sessions.restore(state)
  }

  async #park(record: KafkaRecord, reason: ParkedReason, details: string, signal: AbortSignal): Promise<void> {
    const { parker, logger } = this.#options
    logger.error({ session: record.key, topic: record.topic, offset: String(record.offset), reason, details }, 'a record that cannot be read is parked')
    await this.#until(signal, 'parking', () => parker.park(record, { reason, details }))
  }

  async #until(signal: AbortSignal, what: string, attempt: () => Promise<void>): Promise<void> {
    await retrying(attempt, {
      delays: RETRY_DELAYS,
      signal,
      failed: (error, failures) => {
        this.#fault = `${what} fails: ${messageOf(error)}`
        if (failures % 10 === 1) this.#options.logger.error({ error, failures }, `${what} failed, retrying`)
      },
    })
    this.#fault = undefined
  }
}

const encoded = ({ key, value, headers }: KafkaRecord): { key: string; value: Uint8Array; headers: Record<string, string> } => ({ key, value, headers: { ...headers } })
