import { KafkaError } from '../errors.ts'
import { BATCH_OVERHEAD, type OutgoingRecord } from '../record.ts'

/** A record on its way, with the promise of its caller. */
export interface Parcel {
  readonly record: OutgoingRecord
  readonly bytes: number
  readonly sentAt: number
  readonly deadline: number
  resolve(offset: bigint): void
  reject(error: KafkaError): void
}

/**
 * The queue of one partition. At most one batch of it is under way, so retries cannot reorder it. The batch stays at
 * the head until its outcome is known. Pure: time is an argument.
 */
export class Lane {
  readonly topic: string
  readonly partition: number
  bytes = 0
  /** Of the last attempt; shown to callers whose deadline passes. */
  lastError: unknown
  /** Attempts in a row that brought nothing. */
  failures = 0
  readonly #queue: Parcel[] = []
  #underWay = 0
  /** Falls when a batch of several is refused, to find the record at fault; grows again with every success. */
  #maxRecords = Infinity

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get empty(): boolean {
    return this.#queue.length === 0
  }

  /** When the oldest unacknowledged record was sent. */
  get oldestAt(): number | undefined {
    return this.#queue[0]?.sentAt
  }

  push(parcel: Parcel): void {
    this.#queue.push(parcel)
    this.bytes += parcel.bytes
  }

  /** The next batch: as many from the head as fit into `maxBytes`, at least one. Must be settled before the next. */
  take(maxBytes: number): { parcels: Parcel[]; bytes: number } {
    if (this.#underWay > 0) throw new Error(`a batch of ${this.topic}/${this.partition} is under way already`)
    let bytes = BATCH_OVERHEAD
    let count = 0
    for (const parcel of this.#queue) {
      if (count > 0 && (bytes + parcel.bytes > maxBytes || count >= this.#maxRecords)) break
      bytes += parcel.bytes
      count += 1
    }
    this.#underWay = count
    return { parcels: this.#queue.slice(0, count), bytes }
  }

  /** The broker has the batch, its first record at `baseOffset`. */
  acknowledged(baseOffset: bigint): void {
    this.failures = 0
    this.#maxRecords *= 2
    this.#shift(this.#underWay).forEach((parcel, index) => parcel.resolve(baseOffset + BigInt(index)))
    this.#underWay = 0
  }

  /** The batch failed, or may have: its records stay at the head, those past their deadline are given up. */
  failed(error: unknown, now: number): void {
    this.failures += 1
    this.lastError = error
    this.#underWay = 0
    this.expire(now)
  }

  /** The broker refused the batch for good because of a record in it: halves until it is found, rejects only that one. */
  refused(error: KafkaError): void {
    const count = this.#underWay
    this.#underWay = 0
    if (count > 1) this.#maxRecords = Math.ceil(count / 2)
    else this.#shift(count).forEach((parcel) => parcel.reject(error))
  }

  /** The broker refused the batch for good, whatever is in it. */
  refusedAll(error: KafkaError): void {
    this.#shift(this.#underWay).forEach((parcel) => parcel.reject(error))
    this.#underWay = 0
  }

  /** Gives up waiting records whose deadline has passed; one under way is left to its outcome. */
  expire(now: number): void {
    const kept: Parcel[] = []
    const expired: Parcel[] = []
    this.#queue.forEach((parcel, index) => (index >= this.#underWay && parcel.deadline <= now ? expired : kept).push(parcel))
    if (expired.length === 0) return
    this.#replace(kept)
    for (const parcel of expired) {
      const waited = Math.round(now - parcel.sentAt)
      parcel.reject(new KafkaError('KAFKA_DELIVERY_TIMEOUT', `${this.topic}/${this.partition} did not acknowledge a record within ${waited} ms`, { cause: this.lastError }))
    }
  }

  /** Rejects all that waits. */
  abandon(error: KafkaError): void {
    const all = this.#shift(this.#queue.length)
    this.#underWay = 0
    for (const parcel of all) parcel.reject(error)
  }

  #shift(count: number): Parcel[] {
    const gone = this.#queue.splice(0, count)
    for (const { bytes } of gone) this.bytes -= bytes
    return gone
  }

  #replace(kept: Parcel[]): void {
    this.#queue.length = 0
    this.bytes = 0
    for (const parcel of kept) this.push(parcel)
  }
}
