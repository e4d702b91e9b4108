import type { ParkedReason } from '@longtake/contracts'
import { instruments } from '../metrics.ts'
import { toParked } from '../parked.ts'
import type { Producer } from '../producer/producer.ts'
import type { KafkaRecord } from '../record.ts'

export interface Parker {
  /** Resolves when the broker has the copy; only then may the record be `done`. */
  park(record: KafkaRecord, why: { reason: ParkedReason; details: string }): Promise<void>
}

/** Sets records aside as they are in `recordings.parked` or `recordings.unwritable`; `npm run parked` lists them and sends them back. */
export function createParker({ producer, group }: { producer: Producer; group: string }): Parker {
  return {
    async park(record, why) {
      await producer.send(toParked(record, group, why, new Date().toISOString()))
      instruments().parked.add(1, { topic: record.topic, reason: why.reason })
    },
  }
}
