import type { ChunkRecord } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import type { BudgetAccount } from './budget.ts'
import { RecordQueue } from './record-queue.ts'
import { instruments } from './telemetry.ts'
import { bytesHeldBy, sizeOf, type Entry, type TrackContent } from './track-entry.ts'

/**
 * The records of a track that no commit covers, in their order, and what they hold in memory. A record, a question and what a hole
 * holds cost the same however many there are; a commit costs in proportion to what it covers.
 */
export class OpenRecords {
  readonly #memory: BudgetAccount
  readonly #done: (record: KafkaRecord) => void
  /** What the track in memory has not taken yet. */
  readonly #incoming = new RecordQueue<Entry>()
  /** What it has taken and a commit would cover, by offset. */
  #ready: Entry[] = []
  /** The same, but held at a hole first: not by offset. */
  #released: Entry[] = []
  /** Of these the record with the lowest offset. */
  #firstReleased: Entry | undefined
  /** What it holds at a hole, by offset. */
  readonly #held = new Map<TrackContent, Entry>()
  #readyBytes = 0
  /** Of all that was ever taken or settled here; and of the last that was taken. */
  #lastOffset = -1n
  #lastTaken = -1n
  #closed = false

  /** @param done the record is durable in storage, or nothing is lost without it */
  constructor(memory: BudgetAccount, done: (record: KafkaRecord) => void) {
    this.#memory = memory
    this.#done = done
  }

  /** Memory that they hold, with what each takes beside its payload. */
  get bytes(): number {
    return this.#memory.bytes
  }

  /** Payload that a commit would cover. */
  get readyBytes(): number {
    return this.#readyBytes
  }

  get isEmpty(): boolean {
    return this.#incoming.isEmpty && !this.#hasTaken
  }

  get #hasTaken(): boolean {
    return this.#firstReady !== undefined || this.#held.size > 0
  }

  get incoming(): readonly Entry[] {
    return this.#incoming.toArray()
  }

  /** The one to be taken next. */
  get next(): Entry | undefined {
    return this.#incoming.first
  }

  /** Offset of the last one that is open; of the last that was, if none is. */
  get last(): bigint {
    return this.#incoming.last?.record.offset ?? (this.#hasTaken ? this.#lastTaken : this.#lastOffset)
  }

  /** When the first of those was received that a commit would cover, ms; null when there is none. */
  get readySince(): number | null {
    return this.#firstReady?.receivedAt ?? null
  }

  /** When the oldest was received, ms; null when there is none. */
  get since(): number | null {
    const times = [this.#incoming.first, this.#firstReady, this.#firstHeld].flatMap((entry) => entry?.receivedAt ?? [])
    return times.length === 0 ? null : Math.min(...times)
  }

  get #firstReady(): Entry | undefined {
    const [first] = this.#ready
    const released = this.#firstReleased
    return first === undefined || (released !== undefined && released.record.offset < first.record.offset) ? released : first
  }

  /** What was taken, apart from what waits at a hole, by offset. */
  ready(): Entry[] {
    return [...this.#ready, ...this.#released].sort(byOffset)
  }

  /** Below this offset nothing is open any more once the ready ones are committed; 0 before any record came. */
  nextOffset(): bigint {
    return (this.#firstHeld ?? this.#incoming.first)?.record.offset ?? this.#lastOffset + 1n
  }

  get #firstHeld(): Entry | undefined {
    const [first] = this.#held.values()
    return first
  }

  /** Whether something up to this offset is open. @param behindHoles also what waits at a hole; else it is in nobody's way */
  isOpen(upTo: bigint, behindHoles: boolean): boolean {
    const first = [this.#incoming.first, this.#firstReady, ...(behindHoles ? [this.#firstHeld] : [])]
    return first.some((entry) => entry !== undefined && entry.record.offset <= upTo)
  }

  add(entry: Entry): void {
    this.#incoming.push(entry)
    this.#count(bytesHeldBy(entry))
  }

  /** The track has the next one: it stays until its commit. @param held it waits at a hole */
  takeNext(held: boolean): void {
    const entry = this.#incoming.shift()!
    this.#lastTaken = entry.record.offset
    this.#passed(entry.record.offset)
    if (held) {
      this.#held.set(entry.content, entry)
    } else {
      this.#ready.push(entry)
      this.#readyBytes += sizeOf(entry.content)
    }
  }

  /** The track does not hold these at a hole any more. */
  release(chunks: readonly ChunkRecord[]): void {
    for (const chunk of chunks) {
      const entry = this.#held.get(chunk)
      if (entry === undefined) continue
      this.#held.delete(chunk)
      this.#released.push(entry)
      this.#readyBytes += sizeOf(chunk)
      if (this.#firstReleased === undefined || entry.record.offset < this.#firstReleased.record.offset) this.#firstReleased = entry
    }
  }

  /** The next one needs no commit: the track has it already, or it is parked. */
  settleNext(): void {
    const entry = this.#incoming.shift()!
    this.#passed(entry.record.offset)
    this.#finish([entry])
  }

  /** All that were ready are committed. */
  settleReady(): void {
    const ready = this.ready()
    this.#forgetReady()
    this.#finish(ready)
  }

  /** The session is deleted: nothing of it is kept. */
  settleAll(): void {
    this.takeBack()
    this.#finish(this.#incoming.takeAll())
  }

  /** The track that took them is forgotten: another one takes them again. */
  takeBack(): void {
    if (!this.#hasTaken) return
    const taken = [...this.ready(), ...this.#held.values()].sort(byOffset)
    const incoming = this.#incoming.takeAll()
    this.#forgetReady()
    this.#held.clear()
    for (const entry of taken) this.#incoming.push(entry)
    for (const entry of incoming) this.#incoming.push(entry)
  }

  /** Gives all memory back; a commit that is under way then gives nothing back again. */
  close(): void {
    this.#count(-this.bytes)
    this.#closed = true
  }

  #passed(offset: bigint): void {
    if (offset > this.#lastOffset) this.#lastOffset = offset
  }

  #forgetReady(): void {
    this.#ready = []
    this.#released = []
    this.#firstReleased = undefined
    this.#readyBytes = 0
  }

  #finish(entries: readonly Entry[]): void {
    this.#count(-entries.reduce((sum, entry) => sum + bytesHeldBy(entry), 0))
    for (const { record } of entries) this.#done(record)
  }

  #count(bytes: number): void {
    if (this.#closed) return
    instruments.bufferedBytes.add(bytes)
    this.#memory.change(bytes)
  }
}

const byOffset = (a: Entry, b: Entry): number => (a.record.offset < b.record.offset ? -1 : 1)
