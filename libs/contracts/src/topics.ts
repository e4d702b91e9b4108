const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const MiB = 1024 ** 2
const GiB = 1024 ** 3

/** Names, cleanup and retention of all topics; every one is keyed by session id and has the same partition count. */
export const TOPICS = {
  chunks: {
    name: 'recordings.chunks',
    cleanup: 'delete',
    // A write-ahead log: only block-writer truncates it, behind what it has committed. Neither time nor size does.
    retentionMs: -1,
    // Truncation frees whole segments that are no longer written to. 128 MiB bounds what an idle partition keeps
    // (24 GiB in 192 of them), and still makes less than 10,000 files of an hour of 1 GB/s on each of 12 brokers.
    segmentBytes: 128 * MiB,
    // A partition that takes little rolls its segment with the next record after this, so that it can be freed as well.
    segmentMs: 10 * MINUTE,
    holds: 'chunk bytes and the declarations of clients',
  },
  // Kafka removes whole segments, so a record outlives the retention by up to `segmentMs`.
  events: { name: 'recordings.events', cleanup: 'delete', retentionMs: 365 * DAY, segmentMs: 7 * DAY, holds: 'facts about sessions' },
  status: {
    name: 'recordings.status',
    cleanup: 'compact',
    retentionMs: -1,
    // Superseded states, and those of deleted sessions, are gone after a day or two even where little else is written.
    segmentMs: DAY,
    maxCompactionLagMs: DAY,
    holds: 'the latest folded state of each session',
  },
  resends: { name: 'recordings.resends', cleanup: 'delete', retentionMs: HOUR, holds: 'requests to the gateways that hold the clients' },
  parked: {
    name: 'recordings.parked',
    cleanup: 'delete',
    retentionMs: 365 * DAY,
    // Clients can fill it with chunks that no file can take, each session up to a limit.
    retentionBytes: 64 * GiB,
    segmentBytes: 64 * MiB,
    segmentMs: 7 * DAY,
    holds: 'records that could not be handled, with the reason',
  },
  unwritable: {
    name: 'recordings.unwritable',
    cleanup: 'delete',
    // The only copies of what was acknowledged: they stay until an operator sends them back.
    retentionMs: -1,
    segmentBytes: 64 * MiB,
    segmentMs: DAY,
    holds: 'acknowledged chunks and declarations that block-writer fails over, with the reason',
  },
} as const satisfies Record<string, TopicSpec>

export interface TopicSpec {
  readonly name: string
  readonly cleanup: 'delete' | 'compact'
  /** Milliseconds; -1 keeps for ever. */
  readonly retentionMs: number
  /**
   * Of all partitions together, without replicas; absent where there is no limit. Only where the oldest record may be deleted
   * because others were written.
   */
  readonly retentionBytes?: number
  /** Size and age at which Kafka begins another segment; absent where the broker's defaults do. */
  readonly segmentBytes?: number
  readonly segmentMs?: number
  /** Of a compacted topic: a record that was superseded is removed after so long at the latest (KIP-354). */
  readonly maxCompactionLagMs?: number
  readonly holds: string
}

export type TopicKey = keyof typeof TOPICS

/** Bounds a record *batch* (`max.message.bytes`), so a whole chunk with its headers must fit well below it. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
/** For a laptop. */
export const DEFAULT_PARTITIONS = 12
/**
 * A partition is the unit of parallelism of writers, of memory and of live viewing, and the count can never change:
 * 192 let 192 block-writers share 10,000 sessions, about 52 sessions each, and divide evenly among 2, 3, 4, 6, 8, 12,
 * 16, 24, 32, 48, 64 or 96 of them.
 */
export const PRODUCTION_PARTITIONS = 192

/** Consumer groups, one for each service that shares its partitions among instances. */
export const GROUPS = {
  blockWriter: 'longtake.block-writer',
  completeness: 'longtake.completeness',
  finalizer: 'longtake.finalizer',
  remuxer: 'longtake.remuxer',
} as const
