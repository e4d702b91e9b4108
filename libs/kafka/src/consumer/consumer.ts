import { backoffMs, pause } from '../backoff.ts'
import { Cluster } from '../cluster.ts'
import { KafkaError, toKafkaError } from '../errors.ts'
import { Fetcher, type FetcherOptions } from '../fetch/fetcher.ts'
import type { KafkaConfig } from '../kafkajs.ts'
import { instruments } from '../metrics.ts'
import { awaitTopics, committedOffsets, listOffsets, type PartitionOffset } from '../offsets.ts'
import { Membership, type PartitionOwner } from './membership.ts'
import { HeldPartition, type AssignedPartition, type PartitionHandler } from './partition.ts'
import { Truncator, type TruncationFence, type TruncationOptions } from './truncator.ts'

export interface ConsumerOptions {
  kafka: KafkaConfig
  group: string
  /** Read together: partition n of each goes to the same member and the same handler. Their counts must be equal. */
  topics: readonly string[]
  /** Makes the handler of a partition that has become ours; awaited before its first record. A rejection is tried again. */
  assign(partition: AssignedPartition): Promise<PartitionHandler> | PartitionHandler
  /** What will not pass ends the whole consumer. One partition that is stopped leaves the others alone, but `check` not ready. */
  onFatal(error: KafkaError): void
  /** Where a group without committed offsets begins. Default earliest. */
  from?: 'earliest' | 'latest'
  /**
   * Deletes records behind what the group has committed, in all of `topics`: they are a log that this group alone reads.
   * Then a group without committed offsets begins at the earliest record without having missed any.
   */
  truncate?: TruncationOptions
  /** Without a sign of life for this long the group gives our partitions away. Default 15,000. */
  sessionTimeoutMs?: number
  /** Members learn of a rebalance by it. Default 1,000, or a fifth of a shorter session timeout. */
  heartbeatMs?: number
  /** How long the group waits for members to join again. Default 60,000. */
  rebalanceTimeoutMs?: number
  /** What a handler has for `close`. Default 20,000; must be below the rebalance timeout. */
  closeTimeoutMs?: number
  /** Default 5,000. */
  commitIntervalMs?: number
  /** Fetched and not yet handed out, per topic and partition. Default 2 MiB. */
  maxQueuedBytesPerPartition?: number
  /** Likewise of all together; above it only those with nothing queued are fetched. Default 64 MiB. */
  maxQueuedBytes?: number
  fetch?: FetcherOptions
  /** Ends waiting for the cluster, the topics and the first assignment. */
  signal?: AbortSignal
}

type Check = { ready: true } | { ready: false; reason: string }

/** A member of a consumer group. Made by {@link startConsumer}. */
export class Consumer implements AsyncDisposable {
  readonly #options: ConsumerOptions
  readonly #closeTimeoutMs: number
  readonly #cluster: Cluster
  readonly #fetcher: Fetcher
  readonly #membership: Membership
  readonly #truncator: Truncator | undefined
  readonly #held = new Map<number, HeldPartition>()
  readonly #ending = new Map<number, Promise<unknown>>()
  readonly #faults: KafkaError[] = []
  readonly #closing = new AbortController()
  readonly #joined = Promise.withResolvers<void>()
  /** What the last join claimed. */
  #claimed: number[] = []
  #partitions = 0
  #committing: Promise<unknown> = Promise.resolve()

  constructor(options: ConsumerOptions) {
    this.#options = options
    const { kafka, group, topics, sessionTimeoutMs = 15_000, rebalanceTimeoutMs = 60_000 } = options
    // It may be rejected before someone waits for it.
    this.#joined.promise.catch(() => {})
    this.#closeTimeoutMs = options.closeTimeoutMs ?? 20_000
    this.#cluster = new Cluster(kafka)
    this.#fetcher = new Fetcher(this.#cluster, options.fetch)
    const heartbeatMs = options.heartbeatMs ?? Math.min(1000, sessionTimeoutMs / 5)
    this.#membership = new Membership(this.#cluster, { group, topics, sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs }, this.#owner())
    if (options.truncate !== undefined) this.#truncator = new Truncator(this.#cluster, group, options.truncate, this.#fence())
  }

  /** Resolves when the member is part of the group; rejects for what will not pass. */
  async start(): Promise<this> {
    const { topics, signal } = this.#options
    const stop = signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal])
    stop.addEventListener('abort', () => this.#joined.reject(new KafkaError('KAFKA_CLOSED', 'closed before the group was joined')))
    try {
      this.#partitions = await awaitTopics(this.#cluster, topics, stop)
      this.#membership.start()
      await this.#joined.promise
    } catch (error) {
      await this.close()
      throw error
    }
    void this.#commitRegularly()
    void this.#truncateRegularly()
    return this
  }

  /** The partitions held and fed by this member now. */
  get partitions(): number[] {
    return [...this.#held.values()].filter(({ running }) => running).map(({ number }) => number)
  }

  /** Generations this member has been part of. */
  get generations(): number {
    return this.#membership.generations
  }

  /** Records between what is complete and the end of the log, of the partitions held, as of the last fetches. */
  get lag(): number {
    return [...this.#held.values()].reduce((sum, { lag }) => sum + lag, 0)
  }

  /** For the readiness of a service. */
  check(): Check {
    const [fault] = this.#faults
    if (fault !== undefined) return { ready: false, reason: fault.message }
    if (this.#closing.signal.aborted) return { ready: false, reason: 'the consumer is closing' }
    if (!this.#membership.confirmed) return { ready: false, reason: `Kafka has not answered: whether this is still a member of the group ${this.#options.group} is not known` }
    const stalled = this.#fetcher.fault()
    return stalled === undefined ? { ready: true } : { ready: false, reason: stalled }
  }

  /** Commits what may be committed, now. */
  async commit(): Promise<void> {
    await this.#commit(() => [...this.#held.values()])
  }

  /** Closes all handlers (`shutdown`), commits, leaves the group. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    for (const held of this.#held.values()) void this.#end(held, 'shutdown')
    await Promise.all(this.#ending.values())
    await this.#membership.stop()
    await this.#fetcher.close()
    await this.#cluster.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #owner(): PartitionOwner {
    return {
      owned: () => (this.#claimed = [...this.#held.keys()]),
      assigned: async (dealt) => {
        this.#joined.resolve()
        const moving = [...this.#held.values()].filter(({ number }) => !dealt.includes(number))
        if (!this.#closing.signal.aborted) for (const number of dealt) if (!this.#held.has(number)) this.#take(number)
        const { group, kafka } = this.#options
        kafka.log?.info({ group, partitions: dealt, givenUp: moving.map(({ number }) => number), member: this.#membership.memberId }, 'partitions assigned')
        await Promise.all(moving.map((held) => this.#end(held, 'revoked')))
        // What we claimed and did not get is dealt to nobody until we join without that claim.
        return this.#claimed.some((number) => !dealt.includes(number))
      },
      lost: () => {
        if (this.#held.size === 0) return
        const { group, kafka } = this.#options
        kafka.log?.warn({ group, partitions: [...this.#held.keys()] }, 'partitions lost: the group may have given them away')
        instruments().lost.add(this.#held.size, { group })
        for (const held of this.#held.values()) void this.#end(held, 'lost')
      },
      fatal: (error) => this.#fatal(error),
    }
  }

  #fence(): TruncationFence {
    return {
      committed: (wanted) =>
        this.#membership.coordinate(this.#closing.signal, (coordinator) => committedOffsets(this.#cluster, coordinator, this.#options.group, wanted)),
      soundEpoch: ({ topic, partition }) => {
        const epoch = this.#held.get(partition)?.soundEpoch(topic)
        return epoch === this.#cluster.leaderEpoch(topic, partition) ? epoch : undefined
      },
      generation: () => (this.#membership.confirmed ? this.#membership.generations : undefined),
    }
  }

  #take(number: number): void {
    const { topics, kafka, group, maxQueuedBytesPerPartition = 2 << 20, maxQueuedBytes = 64 << 20 } = this.#options
    const held = new HeldPartition(
      {
        number,
        topics,
        group,
        fetcher: this.#fetcher,
        log: this.#cluster.log,
        assign: (partition) => this.#options.assign(partition),
        offsets: (partition, signal) => this.#startOffsets(partition, signal),
        confirmed: async (signal) => {
          while (!this.#membership.confirmed && !signal.aborted) await pause(100, signal)
        },
        hasRoom: () => [...this.#held.values()].reduce((sum, { queuedBytes }) => sum + queuedBytes, 0) < maxQueuedBytes,
        maxQueuedBytes: maxQueuedBytesPerPartition,
        commit: (partition) => this.#commitLast(partition),
        failed: (error) => {
          kafka.log?.error({ group, partition: number, error }, 'a partition is stopped')
          // Ending the process would stop all its partitions, and those of whoever got this one next.
          if (error.code !== 'KAFKA_OFFSET_OUT_OF_RANGE' && error.code !== 'KAFKA_LOG_TRUNCATED') return this.#fatal(error)
          this.#faults.push(error)
          // It stays held, so that nobody takes it up anew, but nothing goes on by itself over what will not be read.
          void held.close('shutdown', this.#closeTimeoutMs)
        },
      },
      this.#ending.get(number),
    )
    this.#held.set(number, held)
  }

  /** Closes a partition; until that is done it counts as held, unless it is lost. */
  #end(held: HeldPartition, reason: 'revoked' | 'lost' | 'shutdown'): Promise<void> {
    const { number } = held
    this.#truncator?.end(number)
    const forget = () => {
      if (this.#held.get(number) === held) this.#held.delete(number)
    }
    if (reason === 'lost') forget()
    const ended = held.close(reason, this.#closeTimeoutMs).finally(() => {
      forget()
      if (this.#ending.get(number) === ended) this.#ending.delete(number)
    })
    this.#ending.set(number, ended)
    return ended
  }

  async #startOffsets(partition: number, signal: AbortSignal): Promise<(PartitionOffset & { committed: boolean })[]> {
    const { group, topics, from = 'earliest' } = this.#options
    const wanted = topics.map((topic) => ({ topic, partition }))
    const committed = await this.#membership.coordinate(signal, (coordinator) => committedOffsets(this.#cluster, coordinator, group, wanted))
    const missing = wanted.filter(({ topic }) => !committed.some((known) => known.topic === topic))
    const found = await listOffsets(this.#cluster, missing, from, signal)
    if (from === 'earliest') this.#tellSkipped(found)
    // Committed at once: else the next member would look for a start again, and skip what was deleted or came meanwhile.
    if (found.length > 0) await this.#membership.coordinate(signal, () => this.#commitAll(found))
    // Its end may have come first, and nothing else would take the plan away.
    if (!signal.aborted) for (const offset of [...committed, ...found]) this.#truncator?.begin(offset, Date.now())
    return [...committed.map((offset) => ({ ...offset, committed: true })), ...found.map((offset) => ({ ...offset, committed: false }))]
  }

  /** Kafka forgets the offsets of a group that was away for a week, and then nothing else tells that records went unread. */
  #tellSkipped(begun: readonly PartitionOffset[]): void {
    const { kafka, group } = this.#options
    for (const { topic, partition, offset } of begun) {
      if (offset === 0n) continue
      if (this.#truncator !== undefined) {
        kafka.log?.warn({ group, topic, partition, offset: String(offset) }, 'no committed offset: beginning at the earliest record; those before were truncated after a commit, so none is missed and some come again')
        continue
      }
      kafka.log?.warn({ group, topic, partition, offset: String(offset) }, 'no committed offset, and earlier records are deleted already: unless this group is new its offsets have expired, and it may have missed records')
      instruments().skipped.add(1, { group })
    }
  }

  async #commitAll(offsets: readonly PartitionOffset[]): Promise<void> {
    const taken = await this.#membership.commit(offsets)
    if (taken.length < offsets.length) throw new KafkaError('KAFKA_BROKER', 'the group is rebalancing')
  }

  async #commitRegularly(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await pause(this.#options.commitIntervalMs ?? 5000, this.#closing.signal)
      const { group, topics } = this.#options
      instruments().lag.record(this.lag, { group })
      const changed = topics.find((topic) => this.#cluster.partitionCount(topic) !== this.#partitions)
      if (changed !== undefined && this.#faults.length === 0) {
        this.#fatal(new KafkaError('KAFKA_PARTITION_COUNTS', `${changed} had ${this.#partitions} partitions and now has ${this.#cluster.partitionCount(changed)}: sessions would split`))
      }
      await this.commit()
    }
  }

  async #truncateRegularly(): Promise<void> {
    const truncator = this.#truncator
    if (truncator === undefined) return
    while (!this.#closing.signal.aborted) {
      await pause(truncator.everyMs, this.#closing.signal)
      if (!this.#closing.signal.aborted) await truncator.truncate(Date.now())
    }
  }

  /** One at a time, so that an older offset never overtakes a newer one. False when something has to be committed again. */
  #commit(of: () => HeldPartition[]): Promise<boolean> {
    const committing = this.#committing.then(() => this.#commitNow(of()))
    this.#committing = committing
    return committing
  }

  async #commitNow(held: HeldPartition[]): Promise<boolean> {
    const offsets = held.flatMap((partition) => partition.committable())
    if (offsets.length === 0) return true
    try {
      const taken = await this.#membership.commit(offsets.map((offset) => this.#truncator?.withMarks(offset, Date.now()) ?? offset))
      this.#truncator?.committed(taken, Date.now())
      for (const offset of taken) for (const partition of held) if (partition.number === offset.partition) partition.committed(offset)
      return taken.length === offsets.length
    } catch (error) {
      this.#cluster.log.warn({ group: this.#options.group, error }, 'a commit failed; it is made again')
      return false
    }
  }

  /** What is not committed here is read and done again by the next member. */
  async #commitLast(partition: HeldPartition): Promise<void> {
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      if (await this.#commit(() => [partition])) return
      await pause(backoffMs(attempt, 100, 500))
    }
  }

  #fatal(error: unknown): void {
    const fault = toKafkaError(error, this.#options.group)
    this.#faults.push(fault)
    this.#joined.reject(fault)
    this.#options.onFatal(fault)
  }
}

/** Joins the group and resolves when that is done; waits as long as brokers or topics are missing, and says so in the log. */
export const startConsumer = (options: ConsumerOptions): Promise<Consumer> => new Consumer(options).start()
