const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Names, cleanup and retention of all topics; every one is keyed by session id and has the same partition count. */
export const TOPICS = {
  chunks: { name: 'recordings.chunks', cleanup: 'delete', retentionMs: 48 * HOUR, holds: 'chunk bytes and the declarations of clients' },
  events: { name: 'recordings.events', cleanup: 'delete', retentionMs: 365 * DAY, holds: 'facts about sessions' },
  status: { name: 'recordings.status', cleanup: 'compact', retentionMs: -1, holds: 'the latest folded state of each session' },
  resends: { name: 'recordings.resends', cleanup: 'delete', retentionMs: HOUR, holds: 'requests to the gateways that hold the clients' },
  parked: { name: 'recordings.parked', cleanup: 'delete', retentionMs: 365 * DAY, holds: 'records that could not be handled, with the reason' },
} as const satisfies Record<string, TopicSpec>

export interface TopicSpec {
  readonly name: string
  readonly cleanup: 'delete' | 'compact'
  /** Milliseconds; -1 keeps for ever. */
  readonly retentionMs: number
  readonly holds: string
}

export type TopicKey = keyof typeof TOPICS

/** Bounds a record *batch* (`max.message.bytes`), so a whole chunk with its headers must fit well below it. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
export const DEFAULT_PARTITIONS = 12

/** Consumer groups, one for each service that shares its partitions among instances. */
export const GROUPS = {
  blockWriter: 'longtake.block-writer',
  completeness: 'longtake.completeness',
  finalizer: 'longtake.finalizer',
  remuxer: 'longtake.remuxer',
} as const
