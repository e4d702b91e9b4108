import { decodeStatus, isRecordFault } from '@longtake/contracts'
import { type KafkaConfig, type Parker, readPartitionToEnd } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import { Sessions } from './sessions.ts'

/** Reads a partition's sessions from `recordings.status`, the service's own store. */
export async function loadSessions(options: {
  kafka: KafkaConfig
  topic: string
  partition: number
  parker: Parker
  logger: Logger
  signal: AbortSignal
  deletedRetentionMs: number
}): Promise<{ sessions: Sessions; loadedTo: bigint; loadedAt: number }> {
  const { kafka, topic, partition, parker, logger, signal } = options
  const sessions = new Sessions(options.deletedRetentionMs)
  let loadedTo = 0n
  let loadedAt = 0
  await readPartitionToEnd({
    kafka,
    topic,
    partition,
    signal,
    async onRecord(record) {
      loadedTo = record.offset + 1n
      loadedAt = Math.max(loadedAt, record.timestamp)
      if (record.tombstone) return sessions.remove(record.key)
      const state = decodeStatus({ key: record.key, value: record.value, headers: { ...record.headers } })
      if (!isRecordFault(state)) return sessions.restore(state)
      logger.error({ session: record.key, offset: String(record.offset), ...state }, 'a status that cannot be read is parked')
      await parker.park(record, { reason: state.fault, details: state.details })
    },
  })
  return { sessions, loadedTo, loadedAt }
}
