import type { EpochStart } from '../consumer/epoch-history.ts'
import type { KafkaError } from '../errors.ts'
import { partitionKey } from '../offsets.ts'
import { NO_EPOCH } from '../protocol.ts'
import type { KafkaRecord } from '../record.ts'
import type { DecodedBatches, FetchQuestion } from './decode.ts'
import type { EpochEnd } from './leader-epoch.ts'

/** One partition that is being read. */
export interface FetchTarget {
  readonly topic: string
  readonly partition: number
  /** Where the next fetch begins; the fetcher moves it on, and nobody else does. */
  nextOffset: bigint
  /** Leader epoch of the record before `nextOffset`, where it is known. */
  readonly startEpoch?: number
  /** True where compaction may have left holes between the offsets. Default: any hole is a fault. */
  readonly compacted?: boolean
  /** False as long as enough is queued. */
  wants(): boolean
  /** Takes what lies between two offsets. If it throws, the position stays, and the same is fetched again. */
  accept(fetched: FetchedRecords): void
  /** The partition is fetched no more. */
  failed(error: KafkaError): void
}

export interface FetchedRecords {
  readonly records: KafkaRecord[]
  /** Where the fetch began: the target's `nextOffset`. */
  readonly fetchOffset: bigint
  /** Where the next one begins: all that is in the log before it has been handed over. */
  readonly nextOffset: bigint
  readonly epochs: readonly EpochStart[]
  /** Of the leader whose log was found to hold the position, {@link NO_EPOCH} where it is not known. */
  readonly leaderEpoch: number
  readonly highWatermark: bigint
}

/** Answers of a leader that is known to be the present one, after which an offset is believed to be out of its log. */
const OUT_OF_RANGE_ANSWERS = 3

/**
 * What is known of a partition that is being read, and what is asked about it. At most one question is open at a time, to
 * whichever broker, and an answer is used only as long as its question is the open one and its offset is the position.
 */
export class FetchState {
  readonly target: FetchTarget
  #open: FetchQuestion | null = null
  #lastEpoch: number
  /** The leader epoch under which the log was last known to hold the position: nothing was cut off before it. */
  #validEpoch = NO_EPOCH
  #outOfRange = 0
  failures = 0
  retryAt = 0
  /** The leader that it had when the loops were looked after last; undefined while none is known. */
  leader: number | undefined
  /** The error that it has met at every try since. */
  failing: { since: number; error: unknown } | null = null

  constructor(target: FetchTarget) {
    this.target = target
    this.#lastEpoch = target.startEpoch ?? NO_EPOCH
  }

  /** True when a question is open. */
  get inFlight(): boolean {
    return this.#open !== null
  }

  /** A leader of a new epoch may lack what its predecessor had (KIP-320): it has to be asked before it is read from. */
  needsValidation(leaderEpoch: number): boolean {
    return this.#lastEpoch !== NO_EPOCH && leaderEpoch !== NO_EPOCH && leaderEpoch !== this.#validEpoch
  }

  /** Opens the one question; it must be closed before the next. */
  ask(leaderEpoch: number): FetchQuestion {
    if (this.#open !== null) throw new Error(`a fetch of ${this.#name} is already in flight`)
    this.#open = { fetchOffset: this.target.nextOffset, compacted: this.target.compacted ?? false, lastEpoch: this.#lastEpoch, leaderEpoch }
    return this.#open
  }

  isOpen(question: FetchQuestion): boolean {
    return this.#open === question && this.target.nextOffset === question.fetchOffset
  }

  close(question: FetchQuestion): void {
    if (this.#open === question) this.#open = null
  }

  /** Hands over what was read and moves on. */
  advance(question: FetchQuestion, { records, nextOffset, lastEpoch, epochs }: DecodedBatches, highWatermark: bigint): void {
    if (!this.isOpen(question) || nextOffset < question.fetchOffset) throw new Error(`an answer for ${this.#name} from ${question.fetchOffset} to ${nextOffset} came at ${this.target.nextOffset}`)
    const { fetchOffset, leaderEpoch } = question
    this.target.accept({ records, fetchOffset, nextOffset, epochs, leaderEpoch, highWatermark })
    this.target.nextOffset = nextOffset
    this.#lastEpoch = lastEpoch
    if (question.leaderEpoch !== NO_EPOCH) this.#validEpoch = question.leaderEpoch
    this.#succeeded()
  }

  /**
   * Takes what the leader's log has of the epoch of the last record read. True if all that was read is in it; otherwise it was
   * cut off, and what the log holds at the position is not its continuation (KIP-320).
   */
  validated(question: FetchQuestion, end: EpochEnd): boolean {
    if (!this.isOpen(question)) throw new Error(`a validation of ${this.#name} at ${question.fetchOffset} came at ${this.target.nextOffset}`)
    if (end.leaderEpoch < question.lastEpoch || end.endOffset < question.fetchOffset) return false
    this.#validEpoch = question.leaderEpoch
    this.#succeeded()
    return true
  }

  /** Counts an attempt that brought nothing. */
  failed(error: unknown, now: number, backoffMs: (failures: number) => number): void {
    this.failures += 1
    this.failing = { since: this.failing?.since ?? now, error }
    this.retryAt = now + backoffMs(this.failures)
  }

  /** Counts an answer that the position is not in the log; true when it is to be believed. */
  outOfRange(): boolean {
    this.#outOfRange += 1
    return this.#outOfRange >= OUT_OF_RANGE_ANSWERS
  }

  #succeeded(): void {
    this.failures = 0
    this.failing = null
    this.#outOfRange = 0
  }

  get #name(): string {
    return partitionKey(this.target)
  }
}
