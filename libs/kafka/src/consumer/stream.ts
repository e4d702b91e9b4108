import { backoffMs, pause } from '../backoff.ts'
import type { KafkaError } from '../errors.ts'
import type { FetchedRecords, Fetcher, FetchTarget } from '../fetch/fetcher.ts'
import type { Log } from '../kafkajs.ts'
import { instruments } from '../metrics.ts'
import type { PartitionOffset } from '../offsets.ts'
import { NO_EPOCH } from '../protocol.ts'
import type { KafkaRecord } from '../record.ts'
import { isCompacted } from '../topics.ts'
import { withRecordTrace } from '../trace.ts'
import { EpochHistory } from './epoch-history.ts'
import { OffsetTracker } from './offset-tracker.ts'

export interface StreamOptions {
  readonly topic: string
  readonly partition: number
  readonly start: bigint
  /** Leader epoch of the record before it, where it is known. */
  readonly startEpoch?: number
  readonly fetcher: Fetcher
  readonly log: Log
  readonly group: string
  handle(record: KafkaRecord): Promise<void> | void
  /** Awaited before each record; false: not now, ask again when woken. */
  open(): Promise<boolean>
  wants(queuedBytes: number): boolean
  failed(error: KafkaError): void
}

/** With so many records handed out and not completed no further ones are fetched, so that memory stays bounded. */
const MAX_INCOMPLETE_RECORDS = 500_000

/** One topic of a held partition: hands its records out one at a time and knows what may be committed. */
export class Stream implements FetchTarget {
  readonly topic: string
  readonly partition: number
  readonly compacted: boolean
  readonly startEpoch: number
  readonly tracker: OffsetTracker
  /** Resolves when no handler call of this stream runs any more. */
  readonly ended: Promise<void>
  nextOffset: bigint
  queuedBytes = 0
  readonly #options: StreamOptions
  readonly #queue: KafkaRecord[] = []
  readonly #stopping = new AbortController()
  readonly #epochs: EpochHistory
  readonly #unfetch: () => void
  #committed: bigint
  #highWatermark: bigint
  #leaderEpoch = NO_EPOCH
  #wake = () => {}

  constructor(options: StreamOptions) {
    this.topic = options.topic
    this.partition = options.partition
    this.compacted = isCompacted(options.topic) ?? false
    this.startEpoch = options.startEpoch ?? NO_EPOCH
    this.#epochs = new EpochHistory(this.startEpoch)
    this.#options = options
    this.nextOffset = options.start
    this.#committed = options.start
    this.#highWatermark = options.start
    this.tracker = new OffsetTracker(options.start)
    this.ended = this.#run()
    this.#unfetch = options.fetcher.add(this)
  }

  /**
   * The leader epoch under which the log was last found to hold the position. Undefined before the first fetch, after the
   * stream was stopped, and where the cluster's leaders have no epochs.
   */
  get soundEpoch(): number | undefined {
    return this.#leaderEpoch === NO_EPOCH || this.#stopping.signal.aborted ? undefined : this.#leaderEpoch
  }

  get lag(): number {
    return Number(this.#highWatermark - this.tracker.committable)
  }

  committable(): PartitionOffset[] {
    const offset = this.tracker.committable
    return offset > this.#committed ? [{ topic: this.topic, partition: this.partition, offset, leaderEpoch: this.#epochs.before(offset) }] : []
  }

  committed(offset: bigint): void {
    if (offset <= this.#committed) return
    this.#committed = offset
    this.#epochs.dropBefore(offset)
  }

  wants(): boolean {
    return this.tracker.incomplete < MAX_INCOMPLETE_RECORDS && this.#options.wants(this.queuedBytes)
  }

  /** What lies between two offsets; that all of it is there, or was compacted away, the fetcher has checked. */
  accept({ records, fetchOffset, nextOffset, epochs, leaderEpoch, highWatermark }: FetchedRecords): void {
    const { reached } = this.tracker
    if (fetchOffset !== reached) throw new RangeError(`records of ${this.topic}/${this.partition} from ${fetchOffset} on came where ${reached} is next`)
    this.#leaderEpoch = leaderEpoch
    this.#highWatermark = highWatermark
    this.#epochs.add(epochs)
    for (const record of records) {
      this.tracker.skippedTo(record.offset)
      this.tracker.started(record.offset)
      this.#queue.push(record)
      this.queuedBytes += record.value.length
    }
    this.tracker.skippedTo(nextOffset)
    this.wake()
  }

  failed(error: KafkaError): void {
    this.#options.failed(error)
  }

  /** Something that `open` depends on has changed. */
  wake(): void {
    this.#wake()
  }

  /** The record need not be read again. */
  done(offset: bigint): void {
    const wasFull = this.tracker.incomplete >= MAX_INCOMPLETE_RECORDS
    this.tracker.done(offset)
    // Nothing may be queued by then, so that no handled record would resume the fetching.
    if (wasFull && this.tracker.incomplete < MAX_INCOMPLETE_RECORDS) this.#options.fetcher.wake()
  }

  /** Hands nothing more out; what waits is dropped uncommitted. */
  stop(): void {
    this.#stopping.abort()
    this.#unfetch()
    this.wake()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      const open = await this.#options.open()
      if (signal.aborted) return
      const record = open ? this.#queue.shift() : undefined
      if (record === undefined) {
        await woken
        continue
      }
      await this.#handle(record)
      this.queuedBytes -= record.value.length
      if (this.#queue.length === 0 || this.wants()) this.#options.fetcher.wake()
    }
  }

  /** Until the handler takes it: a record is never dropped, and nothing behind it is handed out. */
  async #handle(record: KafkaRecord): Promise<void> {
    const { signal } = this.#stopping
    const { group, log } = this.#options
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        await withRecordTrace(record, async () => this.#options.handle(record))
        return
      } catch (error) {
        const { topic, partition, offset } = record
        instruments().handlerRetries.add(1, { group, topic })
        if (failures % 10 === 1) log.error({ group, topic, partition, offset: String(offset), failures, error }, 'record handling failed, retrying')
        await pause(backoffMs(failures, 100, 10_000), signal)
      }
    }
  }
}
