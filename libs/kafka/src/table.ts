import { Cluster } from './cluster.ts'
import { KafkaError } from './errors.ts'
import { Fetcher, type FetchedRecords, type FetchTarget, type FetcherOptions } from './fetch/fetcher.ts'
import type { KafkaConfig } from './kafkajs.ts'
import { awaitTopics, listOffsets, type PartitionOffset } from './offsets.ts'
import type { KafkaRecord } from './record.ts'
import { isCompacted } from './topics.ts'

export interface TableOptions {
  kafka: KafkaConfig
  topic: string
  /** Default: all. */
  partitions?: readonly number[]
  /** Where to begin. Default earliest; latest for announcements that concern only who listens now. */
  from?: 'earliest' | 'latest'
  /** With `stopAtEnd`: reads these offsets only, as far as they are still there; `to` is the first that is not read. */
  range?: { from: bigint; to: bigint }
  /** Called in offset order per partition, never two at a time in one partition. A rejection is fatal: the reader stops. */
  onRecord(record: KafkaRecord): void | Promise<void>
  onFatal(error: KafkaError): void
  /** Reads nothing that comes after the start. Default false. */
  stopAtEnd?: boolean
  fetch?: FetcherOptions
}

/**
 * Reads whole partitions for itself alone: every instance sees every record, and nothing is committed. It fetches by
 * partition without any consumer group, so no group is left behind and no rebalance interrupts it.
 */
export class TableReader implements AsyncDisposable {
  /** Resolves when all that was there at the start has been handed to `onRecord`; rejects when reading stops before. */
  readonly caughtUp: Promise<void>
  readonly #options: TableOptions
  readonly #cluster: Cluster
  readonly #fetcher: Fetcher
  readonly #streams = new Map<number, TableStream>()
  readonly #first = new Map<number, bigint>()
  readonly #closing = new AbortController()
  readonly #opened: Promise<PartitionOffset[]>
  #fault: KafkaError | undefined

  constructor(options: TableOptions) {
    this.#options = options
    this.#cluster = new Cluster(options.kafka)
    this.#fetcher = new Fetcher(this.#cluster, options.fetch)
    this.#opened = this.#open()
    this.caughtUp = this.#opened.then((ends) => this.#reach(ends))
    // Who does not wait for it still hears of a fault through onFatal.
    this.caughtUp.catch(() => {})
  }

  check(): { ready: true } | { ready: false; reason: string } {
    if (this.#fault !== undefined) return { ready: false, reason: this.#fault.message }
    if (this.#streams.size === 0) return { ready: false, reason: `${this.#options.topic} is not being read yet` }
    const fault = this.#fetcher.fault()
    return fault === undefined ? { ready: true } : { ready: false, reason: fault }
  }

  /** Where reading of a partition began, once it has. */
  firstOffset(partition: number): bigint | undefined {
    return this.#first.get(partition)
  }

  /**
   * Resolves when `onRecord` has had everything that was acknowledged in the partition before this call; with an
   * offset from a send's acknowledgement, when it has had that record, without asking the broker.
   */
  async waitFor(partition: number, offset?: bigint): Promise<void> {
    await this.#opened
    const { topic } = this.#options
    const stream = this.#streams.get(partition)
    if (stream === undefined) throw new RangeError(`${topic}/${partition} is not read here`)
    if (offset !== undefined) return stream.reached(offset + 1n)
    const [end] = await listOffsets(this.#cluster, [{ topic, partition }], 'latest', this.#closing.signal)
    await stream.reached(end?.offset ?? 0n)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#stop(new KafkaError('KAFKA_CLOSED', `the reader of ${this.#options.topic} is closed`))
    await this.#fetcher.close()
    await Promise.all([...this.#streams.values()].map((stream) => stream.ended))
    await this.#cluster.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Starts reading; returns where each partition ended then. */
  async #open(): Promise<PartitionOffset[]> {
    const { topic, from = 'earliest', stopAtEnd = false, range } = this.#options
    const { signal } = this.#closing
    const count = await awaitTopics(this.#cluster, [topic], signal)
    const partitions = this.#options.partitions ?? Array.from({ length: count }, (_, partition) => partition)
    const wanted = partitions.map((partition) => ({ topic, partition }))
    const latest = await listOffsets(this.#cluster, wanted, 'latest', signal)
    const ends = range === undefined ? latest : latest.map((end) => ({ ...end, offset: lesser(end.offset, range.to) }))
    const starts = from === 'latest' ? ends : await listOffsets(this.#cluster, wanted, from, signal)
    for (const { partition, offset: earliest } of starts) {
      const offset = range === undefined || range.from < earliest ? earliest : range.from
      this.#first.set(partition, offset)
      const end = stopAtEnd ? ends.find((of) => of.partition === partition)?.offset : undefined
      const stream = new TableStream({
        topic,
        partition,
        start: offset,
        end,
        onRecord: (record) => this.#options.onRecord(record),
        wake: () => this.#fetcher.wake(),
        failed: (error) => {
          this.#fault ??= error
          this.#stop(error)
          this.#options.onFatal(error)
        },
      })
      this.#streams.set(partition, stream)
      this.#fetcher.add(stream)
    }
    return ends
  }

  async #reach(ends: readonly PartitionOffset[]): Promise<void> {
    await Promise.all(ends.map(async ({ partition, offset }) => this.#streams.get(partition)?.reached(offset)))
  }

  #stop(error: KafkaError): void {
    for (const stream of this.#streams.values()) stream.stop(error)
  }
}

const QUEUED_BYTES = 4 << 20

interface TableStreamOptions {
  topic: string
  partition: number
  start: bigint
  end: bigint | undefined
  onRecord(record: KafkaRecord): void | Promise<void>
  wake(): void
  failed(error: KafkaError): void
}

class TableStream implements FetchTarget {
  readonly topic: string
  readonly partition: number
  readonly compacted: boolean
  nextOffset: bigint
  readonly #options: TableStreamOptions
  #queuedBytes = 0
  /** Up to here `onRecord` has had everything. */
  #seen: bigint
  #stopped: KafkaError | undefined
  #waiters: { offset: bigint; resolve(): void; reject(error: KafkaError): void }[] = []
  #work: Promise<void> = Promise.resolve()

  constructor(options: TableStreamOptions) {
    this.topic = options.topic
    this.partition = options.partition
    // A table of a topic that is not ours is taken to hold the latest value of each key.
    this.compacted = isCompacted(options.topic) ?? true
    this.nextOffset = options.start
    this.#seen = options.start
    this.#options = options
  }

  get ended(): Promise<void> {
    return this.#work
  }

  wants(): boolean {
    const { end } = this.#options
    return this.#stopped === undefined && this.#queuedBytes < QUEUED_BYTES && (end === undefined || this.nextOffset < end)
  }

  accept({ records, nextOffset: behind }: FetchedRecords): void {
    const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
    this.#queuedBytes += bytes
    this.#work = this.#work.then(() => this.#hand(records, behind)).finally(() => {
      this.#queuedBytes -= bytes
      this.#options.wake()
    })
  }

  async #hand(records: KafkaRecord[], behind: bigint): Promise<void> {
    for (const record of records) {
      if (this.#stopped !== undefined) return
      try {
        await this.#options.onRecord(record)
      } catch (error) {
        this.failed(new KafkaError('KAFKA_REFUSED', `the reader of ${this.topic}/${this.partition} failed at offset ${record.offset}`, { cause: error }))
        return
      }
    }
    this.#seen = behind
    const reached = this.#waiters.filter(({ offset }) => offset <= behind)
    this.#waiters = this.#waiters.filter(({ offset }) => offset > behind)
    for (const waiter of reached) waiter.resolve()
  }

  reached(offset: bigint): Promise<void> {
    if (this.#seen >= offset) return Promise.resolve()
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    return new Promise((resolve, reject) => this.#waiters.push({ offset, resolve, reject }))
  }

  failed(error: KafkaError): void {
    this.#options.failed(error)
  }

  stop(error: KafkaError): void {
    this.#stopped ??= error
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(this.#stopped)
  }
}

export const readTable = (options: TableOptions): TableReader => new TableReader(options)

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b)

type OnePartition = Omit<TableOptions, 'partitions' | 'onFatal' | 'from' | 'stopAtEnd' | 'range'> & { partition: number; signal?: AbortSignal }

/**
 * Hands over one partition from its first record to at least what was its end when the call began, then ends; for loading a
 * store at the assignment of a partition. Rejects when `signal` aborts.
 */
export async function readPartitionToEnd(options: OnePartition): Promise<void> {
  await readOnce(options)
}

/**
 * Hands over the records of one partition from offset `from` to the one before `to`, as far as they are still there, then ends.
 * Resolves with the first offset that was: above `from` where the log is truncated. Rejects when `signal` aborts.
 */
export async function readRange({ from, to, ...options }: OnePartition & { from: bigint; to: bigint }): Promise<bigint> {
  const onRecord: OnePartition['onRecord'] = async (record) => (record.offset < to ? options.onRecord(record) : undefined)
  return (await readOnce({ ...options, onRecord, range: { from, to } })) ?? from
}

async function readOnce(options: OnePartition & Pick<TableOptions, 'range'>): Promise<bigint | undefined> {
  const { partition, signal, ...rest } = options
  const reader = new TableReader({ ...rest, partitions: [partition], stopAtEnd: true, onFatal: () => {} })
  const close = () => void reader.close()
  signal?.addEventListener('abort', close)
  if (signal?.aborted) close()
  try {
    await reader.caughtUp
    return reader.firstOffset(partition)
  } finally {
    signal?.removeEventListener('abort', close)
    await reader.close()
  }
}
