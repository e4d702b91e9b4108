import { TOPICS, type Deletion, type SessionState, type TopicSpec } from '@longtake/contracts'
import { deletionExpiresAt } from '@longtake/domain'

/** How long what remains of a deleted session is kept. */
export interface DeletionPolicy {
  /** How long it stays known that the session was deleted, ms after the last blob was erased. */
  readonly deletedRetentionMs: number
  /** For how long at most each topic keeps a record, ms; null where no clock removes it. */
  readonly keptAtMostMs: ReadonlyMap<string, number | null>
  /** How long recordings.chunks keeps committed records, ms. */
  readonly keepCommittedMs: number
}

const TOPICS_WITH_RECORDS: readonly TopicSpec[] = [TOPICS.chunks, TOPICS.events, TOPICS.resends, TOPICS.parked, TOPICS.unwritable]

/** What ends records that no clock removes. */
function endOf(topic: string, { keepCommittedMs }: DeletionPolicy): string {
  switch (topic) {
    case TOPICS.chunks.name:
      return `, until block-writer truncates the topic ${inWords(keepCommittedMs)} after it has committed them`
    case TOPICS.unwritable.name:
      return ', if there are any, until an operator sends them back (npm run parked), which drops those of deleted sessions'
    default:
      return ''
  }
}

const UNITS = [['hour', 3_600_000], ['minute', 60_000], ['second', 1_000]] as const

/** A duration in the largest unit of which it is a multiple, as `5 minutes`. */
function inWords(ms: number): string {
  const [name, unitMs] = UNITS.find(([, unitMs]) => ms % unitMs === 0) ?? ['millisecond', 1]
  const count = ms / unitMs
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

/** When the record of the deletion is removed, ms since the epoch; `Infinity` as long as nobody has seen that nothing is left. */
function expiryOf(state: SessionState, retentionMs: number): number {
  const { erasedAt, expiredAt } = state.deletion ?? {}
  if (erasedAt === undefined) return Infinity
  return expiredAt === undefined ? deletionExpiresAt(state, retentionMs) : Date.parse(expiredAt)
}

/** What remains of a deleted session, where and until when; undefined for one that is not deleted. */
export function toDeletion(state: SessionState, policy: DeletionPolicy): Deletion | undefined {
  const { deletedRetentionMs, keptAtMostMs } = policy
  const { deletedAt, deletion } = state
  if (deletedAt === null) return undefined
  const after = (ms: number | null | undefined): string | null => (ms === null || ms === undefined ? null : new Date(Date.parse(deletedAt) + ms).toISOString())
  const expiresAt = expiryOf(state, deletedRetentionMs)
  const until = Number.isFinite(expiresAt) ? new Date(expiresAt).toISOString() : null
  return {
    deletedAt,
    erasedAt: deletion?.erasedAt ?? null,
    remains: [
      ...TOPICS_WITH_RECORDS.map(({ name, holds }) => ({
        where: name,
        what: `${holds}${endOf(name, policy)}`,
        until: after(keptAtMostMs.get(name)),
      })),
      { where: TOPICS.status.name, what: 'the id of the session and when it was created and deleted', until },
      { where: 'storage', what: 'an empty blob named after the session, which stops late chunks', until },
    ],
  }
}
