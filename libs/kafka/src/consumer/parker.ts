import { TOPICS } from '@longtake/contracts'
import { instruments } from '../metrics.ts'
import type { Producer } from '../producer/producer.ts'
import type { KafkaRecord } from '../record.ts'

/** Added to the headers of a parked record; with them a command can send it to where it came from. */
export const PARKED_HEADERS = {
  /** A word for machines, of the caller's closed list. */
  reason: 'parked-reason',
  /** A sentence for people. */
  details: 'parked-details',
  group: 'parked-group',
  topic: 'parked-topic',
  partition: 'parked-partition',
  offset: 'parked-offset',
  /** ISO 8601. */
  at: 'parked-at',
} as const

export interface Parker {
  /** Resolves when the broker has the copy; only then may the record be `done`. */
  park(record: KafkaRecord, why: { reason: string; details: string }): Promise<void>
}

/** Sets records aside as they are in `recordings.parked`, in the same partition, with the reason in the headers. */
export function createParker({ producer, group }: { producer: Producer; group: string }): Parker {
  return {
    async park(record, { reason, details }) {
      await producer.send({
        topic: TOPICS.parked.name,
        partition: record.partition,
        key: record.key,
        value: record.tombstone ? null : record.value,
        headers: {
          ...record.headers,
          [PARKED_HEADERS.reason]: reason,
          [PARKED_HEADERS.details]: details,
          [PARKED_HEADERS.group]: group,
          [PARKED_HEADERS.topic]: record.topic,
          [PARKED_HEADERS.partition]: String(record.partition),
          [PARKED_HEADERS.offset]: String(record.offset),
          [PARKED_HEADERS.at]: new Date().toISOString(),
        },
        timestamp: record.timestamp,
      })
      instruments().parked.add(1, { topic: record.topic, reason })
    },
  }
}
