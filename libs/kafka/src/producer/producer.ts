import { MAX_MESSAGE_BYTES } from '@longtake/contracts'
import { backoffMs, pause } from '../backoff.ts'
import { Cluster } from '../cluster.ts'
import { isConnectionError, KafkaError } from '../errors.ts'
import type { KafkaConfig } from '../kafkajs.ts'
import { instruments } from '../metrics.ts'
import { listOffsets, partitionKey } from '../offsets.ts'
import { PARKED_TOPICS, PARKING_BYTES } from '../parked.ts'
import { recordBytes, type OutgoingRecord } from '../record.ts'
import { failSpan, injectTrace } from '../trace.ts'
import { Lane, type Parcel } from './lane.ts'
import type { Batch } from './encode.ts'
import { produce, type Outcome } from './produce.ts'
import { initProducerId } from './producer-id.ts'
import { settle } from './settle.ts'

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
  /** The id that the lane had last. */
  producerId?: bigint
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
  /** Brokers that have left a request without an answer, while it is asked who leads their partitions now. */
  readonly #doubted = new Set<number>()
  readonly #unsettled = new Set<Promise<unknown>>()
  readonly #closing = new AbortController()
  #producerId: Promise<bigint> | undefined
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
   * Records of one partition reach it in the order of the calls; retries repeat none (KIP-98). In the one case that
   * the broker no longer knows where a batch is, `offset` is one at or behind the record's.
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
    if (bytes > MAX_MESSAGE_BYTES - PARKING_BYTES && !PARKED_TOPICS.includes(record.topic)) {
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
      record: { ...record, headers, timestamp: record.timestamp ?? Date.now() },
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
    const key = partitionKey({ topic, partition })
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
    if (!lane.identified) {
      void this.#identify(entry, leader)
      return
    }
    entry.state = 'offered'
    const offered = this.#offered.get(leader)
    if (offered === undefined) this.#offered.set(leader, new Set([entry]))
    else offered.add(entry)
    this.#pumpSoon(leader)
  }

  /** All lanes share an id; one whose id can no longer be used gets another. */
  async #identify(entry: LaneEntry, nodeId: number): Promise<void> {
    const { lane } = entry
    entry.state = 'waiting'
    try {
      let asked = (this.#producerId ??= initProducerId(this.#cluster, nodeId))
      if ((await asked) === entry.producerId) {
        if (this.#producerId === asked) this.#producerId = initProducerId(this.#cluster, nodeId)
        asked = this.#producerId
      }
      entry.producerId = await asked
      lane.identify(entry.producerId)
    } catch (error) {
      this.#producerId = undefined
      if (error instanceof KafkaError && !error.retryable) {
        lane.abandon(error)
        entry.state = 'idle'
      } else {
        lane.failed(error, performance.now())
        void this.#retryLater(entry, true)
      }
      return
    }
    this.#continue(entry)
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
    if (this.#doubted.has(nodeId)) return
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
        if (!lane.identified) {
          this.#offer(entry)
          continue
        }
        entry.state = 'under-way'
        const { parcels, bytes, sequence } = lane.take(this.#options.maxBatchBytes)
        const records = parcels.map(({ record }) => record)
        batches.push({ entry, topic: lane.topic, partition: lane.partition, sequence, records, bytes })
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
    if (outcomes.some((outcome) => 'error' in outcome && isConnectionError(outcome.error))) await this.#doubt(nodeId)
    this.#pumpSoon(nodeId)
  }

  /** A broker that hangs is not to be given the next lanes, which would wait there for as long again. */
  async #doubt(nodeId: number): Promise<void> {
    this.#doubted.add(nodeId)
    try {
      await this.#refresh()
    } catch (error) {
      this.#cluster.log.debug({ error, nodeId }, 'no metadata')
    } finally {
      this.#doubted.delete(nodeId)
    }
  }

  /** Asks for the leaders, and moves lanes that wait for a broker which leads their partition no more. */
  async #refresh(): Promise<void> {
    await this.#cluster.refresh()
    for (const [nodeId, offered] of this.#offered) {
      for (const entry of offered) {
        if (this.#cluster.leader(entry.lane.topic, entry.lane.partition) === nodeId) continue
        offered.delete(entry)
        this.#offer(entry)
      }
    }
  }

  #settle({ entry, topic, partition, records, bytes }: SentBatch, outcome: Outcome): void {
    const { lane } = entry
    const { log } = this.#cluster
    const step = settle(lane, outcome, performance.now())
    switch (step.next) {
      case 'next-batch':
        if ('offset' in outcome) {
          const { batchBytes, batchRecords } = instruments()
          batchBytes.record(bytes, { topic })
          batchRecords.record(records.length, { topic })
        }
        this.#continue(entry)
        return
      case 'retry': {
        const { error } = step
        instruments().sendRetries.add(1, { topic })
        const { failures } = lane
        if (failures % 10 === 3) log.warn({ topic, partition, failures, error }, 'batch not acknowledged, sending it again')
        void this.#retryLater(entry, step.refresh)
        return
      }
      case 'restarted': {
        const { error, mayRepeat } = step
        instruments().producerEpochs.add(1, { topic })
        const fields = { topic, partition, records: records.length, mayRepeat, error }
        log.warn(fields, 'producer sequence rejected, starting a new epoch')
        void this.#retryLater(entry, true)
        return
      }
      case 'locate':
        log.warn({ topic, partition, error: step.error }, 'batch is in the log at an unknown offset, using its end')
        void this.#locate(entry)
    }
  }

  /** For callers that wait until a reader has come to their record: the end of the log lies behind it. */
  async #locate(entry: LaneEntry): Promise<void> {
    const { lane } = entry
    const { topic, partition } = lane
    try {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#ackTimeoutMs)])
      const [end] = await listOffsets(this.#cluster, [{ topic, partition }], 'latest', signal)
      if (end === undefined || end.offset === 0n) {
        throw new KafkaError('KAFKA_UNEXPECTED_ANSWER', `${topic}/${partition} is empty`)
      }
      lane.acknowledgedUpTo(end.offset - 1n)
      this.#continue(entry)
    } catch (error) {
      lane.failed(error, performance.now())
      void this.#retryLater(entry, true)
    }
  }

  #continue(entry: LaneEntry): void {
    if (entry.lane.empty) entry.state = 'idle'
    else this.#offer(entry)
  }

  async #retryLater(entry: LaneEntry, refresh: boolean): Promise<void> {
    const { lane } = entry
    entry.state = 'waiting'
    await pause(backoffMs(lane.failures, FIRST_BACKOFF_MS, MAX_BACKOFF_MS))
    try {
      if (refresh) await this.#refresh()
    } catch (error) {
      lane.lastError = error
    }
    lane.expire(performance.now())
    this.#continue(entry)
  }
}

export const createProducer = (options: ProducerOptions): Producer => new Producer(options)

const noop = () => {}
const closedError = () => new KafkaError('KAFKA_CLOSED', 'the producer is closed')
