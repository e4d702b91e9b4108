import { KafkaError } from '../errors.ts'
import { BATCH_OVERHEAD, type OutgoingRecord } from '../record.ts'
import type { BatchSequence, TimedRecord } from './encode.ts'

/** A record on its way, with the promise of its caller. */
export interface Parcel {
  readonly record: OutgoingRecord & TimedRecord
  readonly bytes: number
  readonly sentAt: number
  readonly deadline: number
  resolve(offset: bigint): void
  reject(error: KafkaError): void
}

export interface LaneBatch {
  readonly parcels: readonly Parcel[]
  readonly bytes: number
  readonly sequence: BatchSequence
}

/** Epochs are 16-bit, sequences 32-bit integers; both without sign. */
const MAX_EPOCH = 0x7fff
const SEQUENCES = 2 ** 31

/** The sequence of the record that is `count` records later; it wraps to 0 (KIP-98, as Kafka's DefaultRecordBatch). */
export const sequenceAfter = (first: number, count: number): number => (first + count) % SEQUENCES

/**
 * The queue of one partition. At most one batch of it is under way, so retries cannot reorder it. The batch stays at
 * the head until its outcome is known.
 *
 * Each batch carries a producer id, an epoch and a sequence, by which the broker recognizes a batch that it has taken
 * already (KIP-98). A batch that may be in the log is therefore sent again with the same records and sequence, and
 * nothing else before it. Once that ends without an answer, the sequence may be used or not: the lane begins a new
 * epoch at sequence 0, which also makes the broker reject late copies of the earlier one (KIP-360). Pure: time is an
 * argument.
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
  /** So many records from the head on were sent as one batch that may be in the log. */
  #inDoubt = 0
  /** Records in doubt whose callers have their answer already: the deadline. */
  readonly #expired = new Set<Parcel>()
  /** Falls when a batch of several is refused, to find the record at fault; grows again with every success. */
  #maxRecords = Infinity
  #identity: { readonly producerId: bigint; readonly epoch: number } | undefined
  #nextSequence = 0

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

  /** False before the first id, and when it can no longer be used. */
  get identified(): boolean {
    return this.#identity !== undefined
  }

  /** True if an earlier attempt of the batch at the head may have been successful. */
  get inDoubt(): boolean {
    return this.#inDoubt > 0
  }

  /** @param producerId an id that no other lane of this partition has used */
  identify(producerId: bigint): void {
    this.#identity = { producerId, epoch: 0 }
    this.#nextSequence = 0
  }

  push(parcel: Parcel): void {
    this.#queue.push(parcel)
    this.bytes += parcel.bytes
  }

  /**
   * The batch in doubt as it was, or else the next one: as many from the head as fit into `maxBytes`, at least one.
   * Must be settled before the next.
   */
  take(maxBytes: number): LaneBatch {
    if (this.#underWay > 0) throw new Error(`a batch of ${this.topic}/${this.partition} is under way already`)
    if (this.#identity === undefined) throw new Error(`${this.topic}/${this.partition} has no producer id`)
    const count = this.#inDoubt > 0 ? this.#inDoubt : this.#fitting(maxBytes)
    this.#underWay = count
    const parcels = this.#queue.slice(0, count)
    const bytes = parcels.reduce((sum, parcel) => sum + parcel.bytes, BATCH_OVERHEAD)
    return { parcels, bytes, sequence: { ...this.#identity, first: this.#nextSequence } }
  }

  #fitting(maxBytes: number): number {
    let bytes = BATCH_OVERHEAD
    let count = 0
    for (const parcel of this.#queue) {
      if (count > 0 && (bytes + parcel.bytes > maxBytes || count >= this.#maxRecords)) break
      bytes += parcel.bytes
      count += 1
    }
    return count
  }

  /** The broker has the batch, its first record at `baseOffset`. */
  acknowledged(baseOffset: bigint): void {
    this.#taken((index) => baseOffset + BigInt(index))
  }

  /** The broker has had the batch for long and no longer knows its place: all its records lie at or before `offset`. */
  acknowledgedUpTo(offset: bigint): void {
    this.#taken(() => offset)
  }

  #taken(offsetOf: (index: number) => bigint): void {
    const count = this.#underWay
    this.failures = 0
    this.lastError = undefined
    this.#maxRecords *= 2
    this.#nextSequence = sequenceAfter(this.#nextSequence, count)
    const expired = new Set(this.#expired)
    this.#settled()
    this.#shift(count).forEach((parcel, index) => expired.has(parcel) || parcel.resolve(offsetOf(index)))
  }

  /** The batch under way failed, or may have: it stays at the head as it is; callers past their deadline are rejected. */
  failed(error: unknown, now: number): void {
    this.failures += 1
    this.lastError = error
    if (this.#underWay > 0) this.#inDoubt = this.#underWay
    this.#underWay = 0
    this.expire(now)
  }

  /**
   * The broker refused the batch for good because of a record in it: halves until it is found, rejects only that one.
   * If an earlier attempt may have been successful, parts of it must not be sent under any sequence: all are rejected.
   */
  refused(error: KafkaError): void {
    if (this.inDoubt) {
      const { topic, partition } = this
      const message = `an earlier attempt may have brought this record into ${topic}/${partition}, a later one was refused`
      this.refusedAll(new KafkaError('KAFKA_DELIVERY_TIMEOUT', message, { cause: error }))
      return
    }
    const count = this.#underWay
    this.#underWay = 0
    if (count > 1) this.#maxRecords = Math.ceil(count / 2)
    else this.#shift(count).forEach((parcel) => parcel.reject(error))
  }

  /** The broker refused the batch for good, whatever is in it. */
  refusedAll(error: KafkaError): void {
    const gone = this.#shift(this.#underWay).filter((parcel) => !this.#expired.has(parcel))
    if (this.inDoubt) this.newEpoch()
    this.#settled()
    for (const parcel of gone) parcel.reject(error)
  }

  /** Sequences begin again at 0. Whatever is at the head counts as never sent: the caller knows it is not in the log. */
  newEpoch(): void {
    const { producerId, epoch } = this.#identity ?? { producerId: -1n, epoch: MAX_EPOCH }
    this.#identity = epoch < MAX_EPOCH ? { producerId, epoch: epoch + 1 } : undefined
    this.#nextSequence = 0
    this.#underWay = 0
    this.#inDoubt = 0
    this.#dropExpired()
  }

  /** As {@link newEpoch}, with an id that has still to come: see {@link identified}. */
  forgetIdentity(): void {
    this.#identity = undefined
    this.newEpoch()
  }

  /** Rejects records whose deadline has passed. Those under way are left to their outcome. */
  expire(now: number): void {
    const { lastError: cause } = this
    const sent = Math.max(this.#underWay, this.#inDoubt)
    const isLate = (parcel: Parcel) => parcel.deadline <= now && !this.#expired.has(parcel)
    const late = this.#queue.filter((parcel, index) => index >= this.#underWay && isLate(parcel))
    if (late.length === 0) return
    const inDoubt = new Set(this.#queue.slice(0, sent))
    // A batch in doubt stays whole, or the broker would not recognize it.
    for (const parcel of late) if (inDoubt.has(parcel)) this.#expired.add(parcel)
    this.#keep((parcel) => inDoubt.has(parcel) || parcel.deadline > now)
    // Nobody waits for it any longer, and it may be in the log: its sequence is used up.
    if (this.inDoubt && this.#underWay === 0 && this.#expired.size === this.#inDoubt) this.newEpoch()
    for (const parcel of late) {
      const waited = Math.round(now - parcel.sentAt)
      const message = `${this.topic}/${this.partition} did not acknowledge a record within ${waited} ms`
      parcel.reject(new KafkaError('KAFKA_DELIVERY_TIMEOUT', message, { cause }))
    }
  }

  /** Rejects all that waits. */
  abandon(error: KafkaError): void {
    const all = this.#shift(this.#queue.length).filter((parcel) => !this.#expired.has(parcel))
    this.#settled()
    for (const parcel of all) parcel.reject(error)
  }

  #settled(): void {
    this.#underWay = 0
    this.#inDoubt = 0
    this.#expired.clear()
  }

  #dropExpired(): void {
    this.#keep((parcel) => !this.#expired.has(parcel))
    this.#expired.clear()
  }

  #shift(count: number): Parcel[] {
    const gone = this.#queue.splice(0, count)
    for (const { bytes } of gone) this.bytes -= bytes
    return gone
  }

  #keep(stays: (parcel: Parcel) => boolean): void {
    const kept = this.#queue.filter(stays)
    this.#queue.length = 0
    this.bytes = 0
    for (const parcel of kept) this.push(parcel)
  }
}
