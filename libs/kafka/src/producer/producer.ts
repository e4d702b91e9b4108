import { MAX_MESSAGE_BYTES, TOPICS } from '@longtake/contracts'
import { backoffMs, pause } from '../backoff.ts'
import { Cluster, isStaleMetadata } from '../cluster.ts'
import { KafkaError, RETRIABLE_AFTER_ALL, toKafkaError } from '../errors.ts'
import { createErrorFromCode, type KafkaConfig } from '../kafkajs.ts'
import { instruments } from '../metrics.ts'
import { PARKING_BYTES } from '../parked.ts'
import { recordBytes, type OutgoingRecord } from '../record.ts'
import { failSpan, injectTrace } from '../trace.ts'
import { Lane, type Parcel } from './lane.ts'
import type { Batch } from './encode.ts'
import { produce, type Outcome } from './produce.ts'

export interface ProducerOptions {
  kafka: KafkaConfig
  /** A batch's size at most; not above the topics' `max.message.bytes`. Default {@link MAX_MESSAGE_BYTES}. */
  maxBatchBytes?: number
  /** A request holds the batches of many partitions of one broker. Default 16 MiB. */
  maxRequestBytes?: number
  /** Unacknowledged bytes held at most; above it `send` rejects at once with KAFKA_BUFFER_FULL. Default 64 MiB. */
  maxBufferedBytes?: number
  /** How long a record is tried before it is rejected with KAFKA_DELIVERY_TIMEOUT. Default 120,000. */
  deliveryTimeoutMs?: number
}

/** One request is worked on by the broker, one waits in its socket: brokers take one request of a connection at a time. */
const REQUESTS_IN_FLIGHT = 2
const FIRST_BACKOFF_MS = 50
const MAX_BACKOFF_MS = 1000

/** idle: empty · offered: waits for its broker · under-way: its batch is in a request · waiting: between two attempts */
type LaneState = 'idle' | 'offered' | 'under-way' | 'waiting'
interface LaneEntry {
  readonly lane: Lane
  state: LaneState
}

interface SentBatch extends Batch {
  readonly entry: LaneEntry
  readonly bytes: number
}

/** Sends records and says, one by one, when the broker has them (`acks=all`). See the README for what it guarantees. */
export class Producer implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #options: Required<Omit<ProducerOptions, 'kafka'>>
  readonly #ackTimeoutMs: number
  readonly #lanes = new Map<string, LaneEntry>()
  readonly #offered = new Map<number, Set<LaneEntry>>()
  readonly #inFlight = new Map<number, number>()
  readonly #pumping = new Set<number>()
  readonly #unsettled = new Set<Promise<unknown>>()
  readonly #closing = new AbortController()
  #bufferedBytes = 0

  constructor({ kafka, ...options }: ProducerOptions) {
    this.#cluster = new Cluster(kafka)
    // The broker must give up first: its answer says more than a broken connection.
    this.#ackTimeoutMs = Math.round((kafka.requestTimeoutMs ?? 15_000) * 0.7)
    this.#options = { maxBatchBytes: MAX_MESSAGE_BYTES, maxRequestBytes: 16 << 20, maxBufferedBytes: 64 << 20, deliveryTimeoutMs: 120_000, ...options }
  }

  /** Bytes that callers have sent and that are neither acknowledged nor rejected. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** How long the oldest unacknowledged record of all lanes has been waiting; 0 when there is none. */
  get oldestAgeMs(): number {
    return Math.max(0, ...this.lanes().map(({ oldestAgeMs }) => oldestAgeMs))
  }

  /** The lanes that hold records. */
  lanes(): { topic: string; partition: number; bytes: number; oldestAgeMs: number }[] {
    const now = performance.now()
    return [...this.#lanes.values()]
      .filter(({ lane }) => !lane.empty)
      .map(({ lane }) => ({ topic: lane.topic, partition: lane.partition, bytes: lane.bytes, oldestAgeMs: now - (lane.oldestAt ?? now) }))
  }

  /** The topic's partition count, asked of the cluster once; retries until the delivery timeout, or as long as a signal allows, then rejects. */
  async partitionCount(topic: string, signal?: AbortSignal): Promise<number> {
    this.#cluster.want([topic])
    const deadline = performance.now() + this.#options.deliveryTimeoutMs
    for (let failures = 1; ; failures += 1) {
      const known = this.#cluster.partitionCount(topic)
      if (known !== undefined) return known
      let cause: unknown
      try {
        await this.#cluster.refresh()
        if (this.#cluster.partitionCount(topic) !== undefined) continue
      } catch (error) {
        cause = error
      }
      if (this.#closing.signal.aborted || signal?.aborted) throw closedError()
      if (failures % 10 === 3) this.#cluster.log.warn({ topic, error: cause }, 'waiting for a topic to exist')
      if (signal === undefined && performance.now() > deadline) throw new KafkaError('KAFKA_UNREACHABLE', `the topic ${topic} cannot be found`, { cause })
      await pause(backoffMs(failures, FIRST_BACKOFF_MS, MAX_BACKOFF_MS), this.#closing.signal)
    }
  }

  /**
   * Resolves with the record's offset once all in-sync replicas have it, and only then. Rejects with a
   * {@link KafkaError}; after KAFKA_DELIVERY_TIMEOUT or KAFKA_CLOSED the record may be in the log all the same.
   * Records of one partition reach it in the order of the calls; a retry may repeat some.
   */
  send(record: OutgoingRecord, options: { deliveryTimeoutMs?: number } = {}): Promise<{ offset: bigint }> {
    const bytes = recordBytes(record)
    if (this.#closing.signal.aborted) return Promise.reject(closedError())
    if (this.#bufferedBytes > 0 && this.#bufferedBytes + bytes > this.#options.maxBufferedBytes) {
      return Promise.reject(new KafkaError('KAFKA_BUFFER_FULL', `${this.#bufferedBytes} bytes are waiting for Kafka already`))
    }
    if (!Number.isInteger(record.partition) || record.partition < 0) {
      return Promise.reject(new KafkaError('KAFKA_RECORD_INVALID', `${record.partition} is no partition`))
    }
    // Whoever reads it must be able to park it, or would stand before it for ever.
    if (bytes > MAX_MESSAGE_BYTES - PARKING_BYTES && record.topic !== TOPICS.parked.name) {
      return Promise.reject(new KafkaError('KAFKA_RECORD_TOO_LARGE', `a record of ${bytes} bytes for ${record.topic} leaves no room for what parking adds`))
    }
    const promise = new Promise<{ offset: bigint }>((resolve, reject) => {
      this.#accept(record, bytes, options.deliveryTimeoutMs ?? this.#options.deliveryTimeoutMs, (offset) => resolve({ offset }), reject)
    })
    const settled: Promise<unknown> = promise.then(noop, noop).finally(() => this.#unsettled.delete(settled))
    this.#unsettled.add(settled)
    return promise
  }

  /** Resolves when all that was sent before is acknowledged or rejected. */
  async flush(): Promise<void> {
    await Promise.all(this.#unsettled)
  }

  /** Takes no more, waits at most `timeoutMs` for what is under way, rejects the rest with KAFKA_CLOSED, disconnects. */
  async close({ timeoutMs = 10_000 }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing.abort()
    const enough = new AbortController()
    await Promise.race([this.flush(), pause(timeoutMs, enough.signal)])
    enough.abort()
    for (const { lane } of this.#lanes.values()) lane.abandon(closedError())
    await this.#cluster.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #accept(record: OutgoingRecord, bytes: number, timeoutMs: number, resolve: (offset: bigint) => void, reject: (error: KafkaError) => void): void {
    const { headers, span } = injectTrace(record)
    const { queuedBytes, ackDuration } = instruments()
    const labels = { topic: record.topic }
    const sentAt = performance.now()
    const settled = () => {
      this.#bufferedBytes -= bytes
      queuedBytes.add(-bytes, labels)
    }
    this.#bufferedBytes += bytes
    queuedBytes.add(bytes, labels)
    const parcel: Parcel = {
      record: { ...record, headers },
      bytes,
      sentAt,
      deadline: sentAt + timeoutMs,
      resolve: (offset) => {
        settled()
        ackDuration.record((performance.now() - sentAt) / 1000, labels)
        span?.end()
        resolve(offset)
      },
      reject: (error) => {
        settled()
        if (span) {
          failSpan(span, error)
          span.end()
        }
        reject(error)
      },
    }
    const entry = this.#entry(record.topic, record.partition)
    entry.lane.push(parcel)
    if (entry.state === 'idle') this.#offer(entry)
  }

  #entry(topic: string, partition: number): LaneEntry {
    const key = `${topic}/${partition}`
    let entry = this.#lanes.get(key)
    if (entry === undefined) {
      this.#cluster.want([topic])
      entry = { lane: new Lane(topic, partition), state: 'idle' }
      this.#lanes.set(key, entry)
    }
    return entry
  }

  /** Puts the lane in front of its partition's leader. */
  #offer(entry: LaneEntry): void {
    const { lane } = entry
    const leader = this.#cluster.leader(lane.topic, lane.partition)
    if (leader === undefined) {
      const error = new KafkaError('KAFKA_UNREACHABLE', `${lane.topic}/${lane.partition} has no known leader`)
      lane.failed(lane.lastError ?? error, performance.now())
      void this.#retryLater(entry, true)
      return
    }
    entry.state = 'offered'
    const offered = this.#offered.get(leader)
    if (offered === undefined) this.#offered.set(leader, new Set([entry]))
    else offered.add(entry)
    this.#pumpSoon(leader)
  }

  // At the end of the tick, so that all its records share a request.
  #pumpSoon(nodeId: number): void {
    if (this.#pumping.has(nodeId)) return
    this.#pumping.add(nodeId)
    setImmediate(() => {
      this.#pumping.delete(nodeId)
      this.#pump(nodeId)
    })
  }

  #pump(nodeId: number): void {
    const offered = this.#offered.get(nodeId) ?? new Set<LaneEntry>()
    while (offered.size > 0 && (this.#inFlight.get(nodeId) ?? 0) < REQUESTS_IN_FLIGHT) {
      const batches: SentBatch[] = []
      let total = 0
      for (const entry of offered) {
        if (batches.length > 0 && total + this.#options.maxBatchBytes > this.#options.maxRequestBytes) break
        offered.delete(entry)
        const { lane } = entry
        lane.expire(performance.now())
        if (lane.empty) {
          entry.state = 'idle'
          continue
        }
        entry.state = 'under-way'
        const { parcels, bytes } = lane.take(this.#options.maxBatchBytes)
        batches.push({ entry, topic: lane.topic, partition: lane.partition, records: parcels.map(({ record }) => record), bytes })
        total += bytes
      }
      if (batches.length > 0) void this.#send(nodeId, batches)
    }
  }

  async #send(nodeId: number, batches: SentBatch[]): Promise<void> {
    this.#inFlight.set(nodeId, (this.#inFlight.get(nodeId) ?? 0) + 1)
    const outcomes = await produce(this.#cluster, nodeId, batches, this.#ackTimeoutMs)
    this.#inFlight.set(nodeId, (this.#inFlight.get(nodeId) ?? 1) - 1)
    batches.forEach((batch, index) => this.#settle(batch, outcomes[index]!))
    this.#pumpSoon(nodeId)
  }

  #settle({ entry, topic, records, bytes }: SentBatch, outcome: Outcome): void {
    const { lane } = entry
    if ('offset' in outcome) {
      const { batchBytes, batchRecords } = instruments()
      batchBytes.record(bytes, { topic })
      batchRecords.record(records.length, { topic })
      lane.acknowledged(outcome.offset)
    } else {
      const error = 'code' in outcome ? createErrorFromCode(outcome.code) : outcome.error
      const verdict = judge(error)
      if (verdict === 'retry') {
        instruments().sendRetries.add(1, { topic })
        lane.failed(error, performance.now())
        if (lane.failures % 10 === 3) this.#cluster.log.warn({ topic, partition: lane.partition, failures: lane.failures, error }, 'Kafka did not take a batch; it is sent again')
        void this.#retryLater(entry, isStaleMetadata(error))
        return
      }
      if (verdict === 'refuse-all') lane.refusedAll(toKafkaError(error, `sending to ${topic}`))
      else lane.refused(new KafkaError(verdict, `${topic} refused a record: ${error.message}`, { cause: error }))
    }
    if (lane.empty) entry.state = 'idle'
    else this.#offer(entry)
  }

  async #retryLater(entry: LaneEntry, refresh: boolean): Promise<void> {
    const { lane } = entry
    entry.state = 'waiting'
    await pause(backoffMs(lane.failures, FIRST_BACKOFF_MS, MAX_BACKOFF_MS))
    try {
      if (refresh) await this.#cluster.refresh()
    } catch (error) {
      lane.lastError = error
    }
    lane.expire(performance.now())
    if (lane.empty) entry.state = 'idle'
    else this.#offer(entry)
  }
}

export const createProducer = (options: ProducerOptions): Producer => new Producer(options)

const noop = () => {}
const closedError = () => new KafkaError('KAFKA_CLOSED', 'the producer is closed')

function judge(error: Error & { type?: string; retriable?: boolean }): 'retry' | 'refuse-all' | 'KAFKA_RECORD_TOO_LARGE' | 'KAFKA_RECORD_INVALID' {
  switch (error.type) {
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return 'KAFKA_RECORD_TOO_LARGE'
    case 'INVALID_RECORD':
    case 'INVALID_TIMESTAMP':
      return 'KAFKA_RECORD_INVALID'
    default:
      // Without a type it is not the broker's word: a connection, or a fault of ours that must not lose the record.
      return error.type === undefined || error.retriable === true || RETRIABLE_AFTER_ALL.has(error.type) ? 'retry' : 'refuse-all'
  }
}
