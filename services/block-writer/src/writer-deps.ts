import type { ParkedReason, RecordingEvent } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import type { ByteBudget } from './budget.ts'
import type { Clock } from './clock.ts'
import type { CommitLimits, CommitPolicy, TrackLimits } from './core/index.ts'
import type { StorageTurns } from './storage-turns.ts'
import type { TrackStorage } from './track-storage.ts'

export interface WriterSettings {
  readonly policy: CommitPolicy
  readonly limits: TrackLimits
  readonly commitLimits: CommitLimits
  /** So many bytes of media, made of pending chunks, are committed before more of those are loaded. */
  readonly workBytes: number
  /** First and longest wait after a failure, ms. */
  readonly retryMs: number
  readonly maxRetryMs: number
}

export interface WriterDeps {
  readonly storage: TrackStorage
  readonly settings: WriterSettings
  readonly clock: Clock
  readonly budget: ByteBudget
  /** Of the whole process. */
  readonly turns: StorageTurns
  readonly logger: Logger
  /** Whether the session was deleted. */
  isErased(): Promise<boolean>
  /** Deletes all that the session has in storage. */
  erase(): Promise<void>
  /** Resolves when the broker has it. */
  publish(event: RecordingEvent): Promise<void>
  park(record: KafkaRecord, why: { reason: ParkedReason; details: string }): Promise<void>
  /**
   * Hands over the records of the partition from offset `from` to the one before `to`, as far as Kafka still has them.
   * Resolves with the first offset that it has.
   */
  readBack(from: bigint, to: bigint, onRecord: (record: KafkaRecord) => void): Promise<bigint>
  /** The record is durable in storage, or nothing is lost without it. */
  done(record: KafkaRecord): void
  /** Aborts when the partition is not ours any more. */
  readonly signal: AbortSignal
}
