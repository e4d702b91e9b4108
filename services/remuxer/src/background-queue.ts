import { messageOf, type RetryDelays } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { retrying, type Logger } from '@longtake/service'

/** Sessions whose work waits; above it the partition waits. Each takes a few KiB. */
const MAX_WAITING = 2_000
const NOTHING = Buffer.alloc(0)

/** What one status needs to have done. */
export interface Job<P> {
  record: KafkaRecord
  planned: readonly P[]
}

export interface BackgroundQueueOptions<P> {
  /** Does one thing and publishes what came of it; rejects when that could not be done now. */
  work: (record: KafkaRecord, planned: P) => Promise<void>
  /** Called once for each record that was set, when nothing is left to be done for it. */
  done: (record: KafkaRecord) => void
  signal: AbortSignal
  logger: Logger
  delays: RetryDelays
}

/**
 * Work of one partition that takes minutes, done while the next statuses are handled: a poster is not to wait for the
 * files of other sessions. One after the other; of each session only the newest status counts.
 */
export class BackgroundQueue<P extends { readonly session: string; readonly track: string }> {
  readonly #options: BackgroundQueueOptions<P>
  readonly #waiting = new Map<string, Job<P>>()
  #running: Promise<void> | undefined
  #room = Promise.withResolvers<void>()
  /** Why it does not go on now; undefined while all is well. */
  fault: string | undefined

  constructor(options: BackgroundQueueOptions<P>) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#roomMade(), { once: true })
  }

  /** Takes what the newest status of a session needs; resolves once there is room for more. */
  async set({ record, planned }: Job<P>): Promise<void> {
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
