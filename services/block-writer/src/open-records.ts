import type { KafkaRecord } from '@longtake/kafka'
import type { ByteBudget } from './budget.ts'
import type { Track } from './core/index.ts'
import { instruments } from './telemetry.ts'
import { isHeld, sizeOf, type Entry } from './track-entry.ts'

/** The records of a track that no commit covers, in their order, and what they hold in memory. */
export class OpenRecords {
  readonly #budget: ByteBudget
  readonly #done: (record: KafkaRecord) => void
  /** What the track in memory has not taken yet, and what it has. */
  #incoming: Entry[] = []
  #taken: Entry[] = []
  #bytes = 0
  /** Of all that was ever here, or is in a commit. */
  #lastOffset = -1n
  #closed = false

  /** @param done the record is durable in storage, or nothing is lost without it */
  constructor(budget: ByteBudget, done: (record: KafkaRecord) => void) {
    this.#budget = budget
    this.#done = done
  }

  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#incoming.length === 0 && this.#taken.length === 0
  }

  get incoming(): readonly Entry[] {
    return this.#incoming
  }

  /** The one to be taken next. */
  get next(): Entry | undefined {
    return this.#incoming[0]
  }

  /** Offset of the last one that is open; of the last that was, if none is. */
  get last(): bigint {
    return (this.#incoming.at(-1) ?? this.#taken.at(-1))?.record.offset ?? this.#lastOffset
  }

  /** What was taken, apart from what waits at a hole. */
  ready(track: Track): Entry[] {
    return this.#taken.filter((entry) => !isHeld(track, entry))
  }

  /** Below this offset nothing is open any more once the ready ones are committed. */
  nextOffset(track: Track): bigint {
    return (this.#taken.find((entry) => isHeld(track, entry)) ?? this.#incoming[0])?.record.offset ?? this.#lastOffset + 1n
  }

  /** Whether something up to this offset is open. @param behindHoles also what waits at a hole; else it is in nobody's way */
  isOpen(upTo: bigint, behindHoles: boolean, track: Track | null): boolean {
    const isInTheWay = (entry: Entry): boolean => entry.record.offset <= upTo
    return this.#incoming.some(isInTheWay) || this.#taken.some((entry) => isInTheWay(entry) && (behindHoles || track === null || !isHeld(track, entry)))
  }

  add(entry: Entry): void {
    this.#incoming.push(entry)
    this.#count(sizeOf(entry.content))
  }

  /** The track has the next one: it stays until its commit. */
  takeNext(): void {
    const entry = this.#incoming.shift()!
    this.#taken.push(entry)
    this.passed(entry.record.offset)
  }

  /** The next one needs no commit: the track has it already, or it is parked. */
  settleNext(): void {
    const entry = this.#incoming.shift()!
    this.passed(entry.record.offset)
    this.#release([entry])
  }

  /** These are committed, or parked. */
  settle(entries: readonly Entry[]): void {
    const settled = new Set(entries)
    this.#incoming = this.#incoming.filter((entry) => !settled.has(entry))
    this.#taken = this.#taken.filter((entry) => !settled.has(entry))
    this.#release(entries)
  }

  /** The session is deleted: nothing of it is kept. */
  settleAll(): void {
    const all = [...this.#taken, ...this.#incoming]
    this.#taken = []
    this.#incoming = []
    this.#release(all)
  }

  /** The track that took them is forgotten: another one takes them again. */
  takeBack(): void {
    this.#incoming = [...this.#taken, ...this.#incoming]
    this.#taken = []
  }

  /** A record up to this offset is in a commit, or was settled. */
  passed(offset: bigint): void {
    if (offset > this.#lastOffset) this.#lastOffset = offset
  }

  /** Gives all memory back; a commit that is under way then gives nothing back again. */
  close(): void {
    this.#count(-this.#bytes)
    this.#closed = true
  }

  #release(entries: readonly Entry[]): void {
    for (const { content } of entries) this.#count(-sizeOf(content))
    for (const { record } of entries) this.#done(record)
  }

  #count(bytes: number): void {
    if (this.#closed) return
    this.#bytes += bytes
    instruments.bufferedBytes.add(bytes)
    if (bytes >= 0) this.#budget.take(bytes)
    else this.#budget.give(-bytes)
  }
}
