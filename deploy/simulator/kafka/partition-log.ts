import type { Random } from '@longtake/testkit'
import type { VirtualTime } from '../world/virtual-time.ts'
import { decodeBatch, type LoggedRecord } from './record-batch.ts'

interface Batch {
  readonly base: number
  readonly end: number
  readonly epoch: number
  readonly bytes: Buffer
}

/** What a former leader still serves until it learns that it was deposed. */
interface Deposed {
  readonly until: number
  readonly highWatermark: number
}

interface Leadership {
  readonly leader: number
  readonly epoch: number
  readonly since: number
}

/** Most recent batches of a producer, by which the log recognises a repetition (KIP-98). */
const REMEMBERED_BATCHES = 5

/** A sequence number wraps to 0 behind the largest signed 32-bit number. */
const SEQUENCES = 2 ** 31

/** Why a batch is not appended: its sequence is not the next, or its producer has a newer epoch (KIP-98). */
type Refusal = 'out-of-order' | 'fenced'

export interface ProducerBatch {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
}

/**
 * One replicated partition. All in-sync replicas have what is below the high watermark; what is between it and the
 * end exists on the leader and perhaps on some of them, and a move of the leader may cut it off.
 */
export class PartitionLog {
  readonly topic: string
  readonly index: number
  start = 0
  end = 0
  highWatermark = 0
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #history: Leadership[]
  readonly #deposed = new Map<number, Deposed>()
  readonly #producers = new Map<
    bigint,
    { epoch: number; recent: { sequence: number; count: number; base: number }[] }
  >()
  #batches: Batch[] = []
  #waiters = new Set<() => void>()

  constructor(topic: string, index: number, leader: number, time: VirtualTime, random: Random) {
    this.topic = topic
    this.index = index
    this.#time = time
    this.#random = random
    this.#history = [{ leader, epoch: 0, since: -Infinity }]
  }

  get leader(): number {
    return this.#history.at(-1)!.leader
  }

  get epoch(): number {
    return this.#history.at(-1)!.epoch
  }

  /** The leadership as a broker knows it that hears of changes after `lagMs`. */
  seenAfter(lagMs: number): Leadership {
    return this.#history.findLast(({ since }) => since + lagMs <= this.#time.now) ?? this.#history[0]!
  }

  /** How far the broker may serve consumers; undefined: it knows that it does not lead. */
  servedBy(broker: number): { highWatermark: number; isLeader: boolean } | undefined {
    if (broker === this.leader) return { highWatermark: this.highWatermark, isLeader: true }
    const deposed = this.#deposed.get(broker)
    return deposed !== undefined && this.#time.now < deposed.until ? { ...deposed, isLeader: false } : undefined
  }

  /** Calls back once when something has changed for those who wait. */
  onChange(callback: () => void): () => void {
    this.#waiters.add(callback)
    return () => this.#waiters.delete(callback)
  }

  /** Appends at the leader. A repeated batch of an idempotent producer is found again, another order refused. */
  append(
    bytes: Buffer,
    count: number,
    producer: ProducerBatch,
    replicationMs: number,
  ): { base: number } | Refusal {
    const repeated = this.#sequence(producer, count)
    if (repeated !== undefined) return repeated
    const base = this.end
    const stored = Buffer.from(bytes)
    stored.writeBigInt64BE(BigInt(base), 0)
    stored.writeInt32BE(this.epoch, 12)
    this.end = base + count
    this.#batches.push({ base, end: this.end, epoch: this.epoch, bytes: stored })
    this.#replicate(this.end, replicationMs)
    return { base }
  }

  /**
   * Another in-sync replica leads from now on. It has everything below the high watermark and any part of the rest,
   * and learns its own high watermark from the others.
   */
  moveLeader(to: number, unawareMs: number, replicationMs: number): void {
    const { leader, epoch } = this
    if (to === leader) return
    this.#deposed.set(leader, { until: this.#time.now + unawareMs, highWatermark: this.highWatermark })
    this.#deposed.delete(to)
    this.#history.push({ leader: to, epoch: epoch + 1, since: this.#time.now })
    const kept = this.#batches.filter(({ end }) => end > this.highWatermark && this.#random.chance(0.5))
    this.end = Math.max(this.highWatermark, ...kept.map(({ end }) => end))
    this.#batches = this.#batches.filter(({ end }) => end <= this.end)
    for (const producer of this.#producers.values()) {
      producer.recent = producer.recent.filter(({ base, count }) => base + count <= this.end)
    }
    this.#replicate(this.end, replicationMs)
    this.#changed()
  }

  /** Batches from the one that holds `offset`, as far as consumers may see; cut at `maxBytes` behind the first. */
  read(offset: number, below: number, maxBytes: number): Buffer {
    const found: Buffer[] = []
    let bytes = 0
    for (let index = this.#find(offset); index < this.#batches.length; index += 1) {
      const batch = this.#batches[index]!
      if (batch.end > below || (found.length > 0 && bytes >= maxBytes)) break
      found.push(batch.bytes)
      bytes += batch.bytes.length
    }
    const all = Buffer.concat(found)
    // A broker sends a slice of its file: only the first batch is sure to be whole.
    return all.subarray(0, Math.max(maxBytes, found[0]?.length ?? 0))
  }

  /** The end of an epoch's records, for consumers that check whether their log was cut (KIP-320). */
  endOfEpoch(epoch: number): { epoch: number; end: number } {
    const known = this.#history.findLast((of) => of.epoch <= epoch) ?? this.#history[0]!
    const next = this.#batches.find((batch) => batch.epoch > epoch)
    return { epoch: known.epoch, end: next?.base ?? this.end }
  }

  deleteBefore(offset: number): void {
    this.start = Math.max(this.start, Math.min(offset, this.highWatermark))
    this.#batches = this.#batches.filter(({ end }) => end > this.start)
  }

  /** The records that consumers may see, from an offset on. */
  records(from: number): LoggedRecord[] {
    const seen = this.#batches.slice(this.#find(from)).filter(({ end }) => end <= this.highWatermark)
    return seen.flatMap(({ bytes }) => decodeBatch(bytes)).filter(({ offset }) => offset >= from)
  }

  #replicate(to: number, afterMs: number): void {
    const { epoch } = this
    this.#time.after(afterMs, () => {
      if (this.epoch !== epoch || this.highWatermark >= to) return
      this.highWatermark = to
      this.#changed()
    })
  }

  #changed(): void {
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const waiter of waiters) waiter()
  }

  #find(offset: number): number {
    let [low, high] = [0, this.#batches.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#batches[middle]!.end <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #sequence(
    { producerId, producerEpoch, baseSequence }: ProducerBatch,
    count: number,
  ): { base: number } | Refusal | undefined {
    if (producerId < 0n) return undefined
    let producer = this.#producers.get(producerId)
    if (producer !== undefined && producerEpoch < producer.epoch) return 'fenced'
    if (producer === undefined || producer.epoch < producerEpoch) {
      if (producer !== undefined && baseSequence !== 0) return 'out-of-order'
      producer = { epoch: producerEpoch, recent: [] }
      this.#producers.set(producerId, producer)
    }
    const { recent } = producer
    const repeated = recent.find((batch) => batch.sequence === baseSequence && batch.count === count)
    if (repeated !== undefined) return { base: repeated.base }
    const last = recent.at(-1)
    if (last !== undefined && baseSequence !== (last.sequence + last.count) % SEQUENCES) return 'out-of-order'
    recent.push({ sequence: baseSequence, count, base: this.end })
    if (recent.length > REMEMBERED_BATCHES) recent.shift()
    return undefined
  }
}
