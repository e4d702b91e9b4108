import { messageOf, type RetryDelays } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { retrying, type Logger } from '@longtake/service'
import type { PlannedDecoding } from './plan.ts'

/** Sessions whose files wait to be decoded; above it the partition waits. Each takes a few KiB. */
const MAX_WAITING = 2_000
const NOTHING = Buffer.alloc(0)

/** What one status needs to have decoded; its record is done afterwards. */
export interface DecodeJob {
  record: KafkaRecord
  planned: readonly PlannedDecoding[]
}

export interface DecodeQueueOptions {
  /** Decodes one file and publishes what was found; rejects when that could not be done now. */
  decode: (record: KafkaRecord, planned: PlannedDecoding) => Promise<void>
  done: (record: KafkaRecord) => void
  signal: AbortSignal
  logger: Logger
  delays: RetryDelays
}

/**
 * Files of one partition that are decoded while its renditions go on: decoding takes minutes, and a poster is not to
 * wait for the files of other sessions. One after the other; of each session only the newest status counts.
 */
export class DecodeQueue {
  readonly #options: DecodeQueueOptions
  readonly #waiting = new Map<string, DecodeJob>()
  #running: Promise<void> | undefined
  #room = Promise.withResolvers<void>()
  /** Why it does not go on now; undefined while all is well. */
  fault: string | undefined

  constructor(options: DecodeQueueOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#roomMade(), { once: true })
  }

  /** Takes what the newest status of a session needs; resolves once there is room for more. */
  async set({ record, planned }: DecodeJob): Promise<void> {
    const older = this.#waiting.get(record.key)
    this.#waiting.delete(record.key)
    if (older !== undefined) this.#options.done(older.record)
    if (planned.length === 0) return this.#options.done(record)
    // What is left of it names its offset: statuses may be large.
    this.#waiting.set(record.key, { record: { ...record, value: NOTHING }, planned })
    this.#start()
    while (this.#waiting.size > MAX_WAITING && !this.#options.signal.aborted) await this.#room.promise
  }

  /**
   * The signal has aborted: resolves once nothing runs. What was not done is read again by whoever has the partition
   * next.
   */
  async close(): Promise<void> {
    this.#waiting.clear()
    this.#roomMade()
    await this.#running
  }

  #start(): void {
    if (this.#waiting.size === 0 || this.#options.signal.aborted) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // What came between its last look and now.
      this.#start()
    })
  }

  async #run(): Promise<void> {
    const { signal, done } = this.#options
    for (const [session, job] of this.#waiting) {
      this.#waiting.delete(session)
      this.#roomMade()
      for (const planned of job.planned) await this.#decode(job.record, planned)
      if (signal.aborted) return
      done(job.record)
    }
  }

  /** Resolves once it is done, or the signal has aborted. */
  async #decode(record: KafkaRecord, planned: PlannedDecoding): Promise<void> {
    const { decode, signal, logger, delays } = this.#options
    const { session, track } = planned
    try {
      await retrying(() => decode(record, planned), {
        delays,
        signal,
        failed: (error, failures) => {
          this.fault = `decoding fails: ${messageOf(error)}`
          if (failures % 10 === 1) logger.error({ session, track, failures, error }, 'file decoding failed, retrying')
        },
      })
      this.fault = undefined
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #roomMade(): void {
    this.#room.resolve()
    this.#room = Promise.withResolvers()
  }
}
