import { backoffMs, pause } from '../backoff.ts'
import { KafkaError } from '../errors.ts'
import type { Fetcher } from '../fetch/fetcher.ts'
import type { Log } from '../kafkajs.ts'
import type { PartitionOffset } from '../offsets.ts'
import { NO_EPOCH } from '../protocol.ts'
import type { KafkaRecord } from '../record.ts'
import { Stream } from './stream.ts'

/**
 * revoked: another member takes over once we are done: finish and complete what can be · shutdown: likewise, we end ·
 * lost: another member may have it already: drop everything, nothing can be committed any more.
 */
export type CloseReason = 'revoked' | 'lost' | 'shutdown'

/** A partition number that this member holds in every topic. */
export interface AssignedPartition {
  readonly partition: number
  /** Where reading begins, by topic: the group's committed offset, or the start if there is none yet. */
  readonly offsets: ReadonlyMap<string, { start: bigint; committed: boolean }>
  /** Aborts as soon as the partition is known not to be ours, and when its close has taken too long. */
  readonly signal: AbortSignal
  /** The record need not be read again: its offset may be committed once all before it are done. Later than closing it is ignored. */
  done(record: KafkaRecord): void
  /** No further record is handed out until `resume`. Pauses do not add up. */
  pause(): void
  resume(): void
}

/** The application's side of one partition. */
export interface PartitionHandler {
  /**
   * Called with one record at a time per topic, in offset order; the topics of a partition go side by side. A
   * rejection means: again, after a while, the same record. Completing is a separate matter: `done`.
   */
  handle(record: KafkaRecord): Promise<void> | void
  /** The last call; running `handle` calls have ended, unless they took longer than half the time there is. */
  close(reason: CloseReason): Promise<void> | void
}

export interface HeldOptions {
  readonly number: number
  readonly topics: readonly string[]
  readonly fetcher: Fetcher
  readonly log: Log
  readonly group: string
  assign(partition: AssignedPartition): Promise<PartitionHandler> | PartitionHandler
  /** Start offsets of all topics; rejects when the signal aborts. */
  offsets(number: number, signal: AbortSignal): Promise<(PartitionOffset & { committed: boolean })[]>
  /** Resolves when the group has lately said that we are a member. */
  confirmed(signal: AbortSignal): Promise<void>
  /** True while the consumer as a whole has room for more. */
  hasRoom(): boolean
  maxQueuedBytes: number
  commit(partition: HeldPartition): Promise<void>
  failed(error: KafkaError): void
}

/** One partition from its assignment to its end: loads offsets, makes the handler, feeds it, closes it. */
export class HeldPartition {
  readonly number: number
  readonly #options: HeldOptions
  readonly #stopping = new AbortController()
  readonly #gone = new AbortController()
  readonly #streams: Stream[] = []
  readonly #started: Promise<void>
  #handler: PartitionHandler | undefined
  #paused = false
  #closed = false
  #reason: CloseReason = 'lost'
  #closing: Promise<void> | undefined

  /** @param after what has to end first: the close of an earlier holding of the same partition */
  constructor(options: HeldOptions, after: Promise<unknown> = Promise.resolve()) {
    this.number = options.number
    this.#options = options
    this.#started = after.then(() => this.#start()).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) options.failed(new KafkaError('KAFKA_REFUSED', `partition ${options.number} could not be started`, { cause: error }))
    })
  }

  get queuedBytes(): number {
    return this.#streams.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0)
  }

  /** Records between what is complete and the end of the log, as far as fetches have told. */
  get lag(): number {
    return this.#streams.reduce((sum, { lag }) => sum + lag, 0)
  }

  /** True when the handler exists and is being fed. */
  get running(): boolean {
    return this.#handler !== undefined && !this.#stopping.signal.aborted
  }

  /** The leader epoch under which the topic's log was last found to hold its position, see {@link Stream.soundEpoch}. */
  soundEpoch(topic: string): number | undefined {
    return this.#streams.find((stream) => stream.topic === topic)?.soundEpoch
  }

  /** Offsets that have moved since the last commit. */
  committable(): PartitionOffset[] {
    if (this.#closed) return []
    return this.#streams.flatMap((stream) => stream.committable())
  }

  committed(offset: PartitionOffset): void {
    this.#streams.find(({ topic }) => topic === offset.topic)?.committed(offset.offset)
  }

  async #start(): Promise<void> {
    const { number, fetcher, log, topics } = this.#options
    const signal = this.#stopping.signal
    const offsets = await this.#options.offsets(number, signal)
    const assigned: AssignedPartition = {
      partition: number,
      offsets: new Map(offsets.map(({ topic, offset, committed }) => [topic, { start: offset, committed }])),
      signal: this.#gone.signal,
      done: (record) => {
        if (!this.#closed) this.#streams.find(({ topic }) => topic === record.topic)?.done(record.offset)
      },
      pause: () => {
        this.#paused = true
      },
      resume: () => {
        this.#paused = false
        for (const stream of this.#streams) stream.wake()
        fetcher.wake()
      },
    }
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        const handler = await this.#options.assign(assigned)
        this.#handler = handler
        break
      } catch (error) {
        if (failures % 10 === 1) log.error({ group: this.#options.group, partition: number, failures, error }, 'partition start failed, retrying')
        await pause(backoffMs(failures, 100, 10_000), signal)
      }
    }
    const handler = this.#handler
    if (handler === undefined) return
    if (signal.aborted) {
      // Too late: it was given nothing; the close under way has perhaps stopped waiting for it.
      this.#handler = undefined
      await handler.close(this.#reason)
      return
    }
    for (const topic of topics) {
      const start = offsets.find((offset) => offset.topic === topic)
      if (start === undefined) throw new Error(`no offset of ${topic}/${number}`)
      const stream = new Stream({
        topic,
        partition: number,
        start: start.offset,
        startEpoch: start.leaderEpoch ?? NO_EPOCH,
        fetcher,
        log,
        group: this.#options.group,
        handle: (record) => handler.handle(record),
        open: async () => {
          await this.#options.confirmed(signal)
          return !this.#paused
        },
        wants: (queued) => !this.#paused && queued < this.#options.maxQueuedBytes && (queued === 0 || this.#options.hasRoom()),
        failed: (error) => {
          this.#options.failed(error)
          this.#stopStreams()
        },
      })
      this.#streams.push(stream)
    }
  }

  /** Ends it within `timeoutMs`; of several calls the first counts, but a later `lost` aborts the signal at once. */
  close(reason: CloseReason, timeoutMs: number): Promise<void> {
    if (reason === 'lost') {
      this.#closed = true
      this.#gone.abort()
    }
    this.#closing ??= this.#close(reason, timeoutMs)
    return this.#closing
  }

  #stopStreams(): void {
    for (const stream of this.#streams) stream.stop()
  }

  async #close(reason: CloseReason, timeoutMs: number): Promise<void> {
    const { log, group, number } = this.#options
    this.#reason = reason
    this.#stopping.abort()
    this.#stopStreams()
    const finished = async () => {
      const handled = Promise.all([this.#started, ...this.#streams.map((stream) => stream.ended)])
      await within(timeoutMs / 2, handled)
      try {
        await this.#handler?.close(reason)
      } catch (error) {
        log.error({ group, partition: number, reason, error }, 'closing a partition failed')
      }
      if (!this.#closed) await this.#options.commit(this)
    }
    const done = await within(timeoutMs, finished())
    if (!done) log.error({ group, partition: number, reason, timeoutMs }, 'a partition did not close in time and is given up')
    this.#closed = true
    this.#gone.abort()
  }
}

/** False when it took longer; the promise goes on by itself. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController()
  const won = await Promise.race([promise.then(() => true), pause(ms, enough.signal).then(() => false)])
  enough.abort()
  return won
}
