import { messageOf, type RetryDelays } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { retrying, type Logger } from '@longtake/service'

/** Queued sessions, of a few KiB each; above it the partition waits. */
const MAX_QUEUED_SESSIONS = 2_000
const NOTHING = Buffer.alloc(0)

/** The work that one status requires. */
export interface Job<P> {
  record: KafkaRecord
  planned: readonly P[]
}

export interface BackgroundQueueOptions<P> {
  /** Does one of the planned things and publishes the result; a rejection is retried. */
  work: (record: KafkaRecord, planned: P) => Promise<void>
  /** Called once for each record that was set, when all its work is done. */
  done: (record: KafkaRecord) => void
  signal: AbortSignal
  logger: Logger
  delays: RetryDelays
}

/**
 * Work of one partition that takes minutes, done while the next statuses are handled, so that it does not delay their
 * posters. Jobs run one after the other; of each session only the newest status counts.
 */
export class BackgroundQueue<P extends { readonly session: string; readonly track: string }> {
  readonly #options: BackgroundQueueOptions<P>
  readonly #waiting = new Map<string, Job<P>>()
  #running: Promise<void> | undefined
  #room = Promise.withResolvers<void>()
  /** Why the queue makes no progress; undefined while it does. */
  fault: string | undefined

  constructor(options: BackgroundQueueOptions<P>) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#roomMade(), { once: true })
  }

  /** Queues the work of the newest status of a session; resolves once there is room for more. */
  async set({ record, planned }: Job<P>): Promise<void> {
    const older = this.#waiting.get(record.key)
    this.#waiting.delete(record.key)
    if (older !== undefined) this.#options.done(older.record)
    if (planned.length === 0) return this.#options.done(record)
    // Only the record's offset is needed, and values of statuses may be large.
    this.#waiting.set(record.key, { record: { ...record, value: NOTHING }, planned })
    this.#start()
    while (this.#waiting.size > MAX_QUEUED_SESSIONS && !this.#options.signal.aborted) await this.#room.promise
  }

  /**
   * Call it after the signal has aborted; resolves once nothing runs. The next owner of the partition reads unfinished
   * records again.
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
      // Jobs that were queued after the loop had ended.
      this.#start()
    })
  }

  async #run(): Promise<void> {
    const { signal, done } = this.#options
    for (const [session, job] of this.#waiting) {
      this.#waiting.delete(session)
      this.#roomMade()
      for (const planned of job.planned) await this.#work(job.record, planned)
      if (signal.aborted) return
      done(job.record)
    }
  }

  /** Resolves once it is done, or the signal has aborted. */
  async #work(record: KafkaRecord, planned: P): Promise<void> {
    const { work, signal, logger, delays } = this.#options
    const { session, track } = planned
    try {
      await retrying(() => work(record, planned), {
        delays,
        signal,
        failed: (error, failures) => {
          this.fault = `remuxing fails: ${messageOf(error)}`
          if (failures % 10 === 1) logger.error({ session, track, failures, error }, 'remuxing failed, retrying')
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
