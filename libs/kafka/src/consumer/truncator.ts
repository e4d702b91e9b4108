import type { Cluster } from '../cluster.ts'
import { deleteRecords, partitionKey, type PartitionOffset, type TopicPartition } from '../offsets.ts'
import { instruments } from '../metrics.ts'
import { decodeMarks, encodeMarks, TruncationPlan } from './truncation-plan.ts'

export interface TruncationOptions {
  /** Records stay for so long after the group has committed behind them. */
  readonly behindMs: number
  /** Default: 60,000, or a tenth of a shorter `behindMs`. */
  readonly everyMs?: number
}

/** What the truncator must ask before it deletes anything. */
export interface TruncationFence {
  /** The group's committed offsets as Kafka has them now. */
  committed(wanted: readonly PartitionOffset[]): Promise<PartitionOffset[]>
  /**
   * The epoch of the partition's leader whose log is known to hold the position; undefined where no such leader is known,
   * as after an election while the partition was paused. In a log that was cut off or made anew the records before the
   * committed offset are other ones, which nobody has read.
   */
  soundEpoch(of: TopicPartition): number | undefined
  /** Something that changes with every generation; undefined when the membership is in doubt. */
  generation(): number | undefined
}

/**
 * Truncates the partitions that a member holds behind what its group has committed (DeleteRecords, KIP-107). The broker
 * does not fence that request, so it is sent only while the membership is confirmed, in the generation in which Kafka was
 * asked for the committed offset, never beyond that, and to a leader that has just confirmed the epoch in which its log is
 * known to be the one that was read (KIP-320). What fails is tried again at the next round.
 */
export class Truncator {
  readonly everyMs: number
  readonly #cluster: Cluster
  readonly #group: string
  readonly #behindMs: number
  readonly #fence: TruncationFence
  readonly #plans = new Map<string, { topic: string; partition: number; plan: TruncationPlan }>()
  #failures = 0

  constructor(cluster: Cluster, group: string, { behindMs, everyMs }: TruncationOptions, fence: TruncationFence) {
    this.everyMs = everyMs ?? Math.min(60_000, behindMs / 10)
    this.#cluster = cluster
    this.#group = group
    this.#behindMs = behindMs
    this.#fence = fence
  }

  /** A partition is taken up at its committed offset, whose metadata may carry marks of the owner before. */
  begin({ topic, partition, offset, metadata }: PartitionOffset, now: number): void {
    this.#plans.set(partitionKey({ topic, partition }), { topic, partition, plan: new TruncationPlan(this.#behindMs, offset, now, decodeMarks(metadata)) })
  }

  /** The partition is somebody else's, or about to be. */
  end(partition: number): void {
    for (const [key, of] of this.#plans) if (of.partition === partition) this.#plans.delete(key)
  }

  /** The coordinator has taken these commits. */
  committed(offsets: readonly PartitionOffset[], now: number): void {
    for (const offset of offsets) this.#plans.get(partitionKey(offset))?.plan.committed(offset.offset, now)
  }

  /** The offset with the metadata that its commit has to carry. */
  withMarks(offset: PartitionOffset, now: number): PartitionOffset {
    const marks = this.#plans.get(partitionKey(offset))?.plan.inheritance(now) ?? []
    return marks.length === 0 ? offset : { ...offset, metadata: encodeMarks(marks) }
  }

  /** Deletes what is due; never rejects. */
  async truncate(now: number): Promise<void> {
    const due = [...this.#plans.values()].flatMap(({ topic, partition, plan }) => {
      const offset = plan.due(now)
      const isDue = offset !== undefined && this.#fence.soundEpoch({ topic, partition }) !== undefined
      return isDue ? [{ topic, partition, offset }] : []
    })
    instruments().truncationOverdue.record(this.#overdueMs(now) / 1000, { group: this.#group })
    if (due.length === 0) return
    try {
      const generation = this.#fence.generation()
      if (generation === undefined) return
      const committed = new Map((await this.#fence.committed(due)).map((of) => [partitionKey(of), of.offset]))
      if (this.#fence.generation() !== generation) return
      const allowed = due.flatMap((of) => {
        const limit = committed.get(partitionKey(of))
        const soundEpoch = this.#plans.has(partitionKey(of)) ? this.#fence.soundEpoch(of) : undefined
        if (limit === undefined || soundEpoch === undefined) return []
        return [{ ...of, offset: of.offset < limit ? of.offset : limit, soundEpoch }]
      })
      const { deleted, failed } = await deleteRecords(this.#cluster, allowed)
      for (const of of deleted) this.#plans.get(partitionKey(of))?.plan.truncated(of.offset)
      if (deleted.length > 0) {
        instruments().truncations.add(deleted.length, { group: this.#group, outcome: 'truncated' })
        this.#cluster.log.debug({ group: this.#group, partitions: deleted.length }, 'partitions truncated behind committed offsets')
      }
      this.#report(failed.length, failed[0]?.error, now)
    } catch (error) {
      this.#report(due.length, error, now)
    }
  }

  #report(partitions: number, error: unknown, now: number): void {
    if (partitions === 0) {
      this.#failures = 0
      return
    }
    instruments().truncations.add(partitions, { group: this.#group, outcome: 'failed' })
    this.#failures += 1
    const overdueMs = this.#overdueMs(now)
    const fields = { group: this.#group, partitions, failures: this.#failures, overdueMs, error }
    const text = 'truncation failed, retrying: committed records stay on the disks of the brokers'
    // Not lost and not urgent, until disks fill up.
    if (overdueMs > this.#behindMs && this.#failures % 10 === 0) this.#cluster.log.error(fields, text)
    else if (this.#failures % 10 === 1) this.#cluster.log.warn(fields, text)
  }

  #overdueMs(now: number): number {
    return this.#plans.values().reduce((most, { plan }) => Math.max(most, plan.overdueMs(now)), 0)
  }
}

