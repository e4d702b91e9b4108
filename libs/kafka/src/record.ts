/** A record as it was read. */
export interface KafkaRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** Text; empty where the record has none. */
  readonly key: string
  /** A copy of its own, so that keeping one record does not keep its whole fetch in memory. Empty for a tombstone. */
  readonly value: Buffer
  /** A record without a value: on a compacted topic it deletes its key. */
  readonly tombstone: boolean
  /** UTF-8 text; of a repeated header the last. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds since the epoch, by the producer's clock. */
  readonly timestamp: number
}

/** A record to be sent. The value must not be changed until `send` has settled. */
export interface OutgoingRecord {
  readonly topic: string
  readonly partition: number
  readonly key: string
  /** Null is a tombstone. */
  readonly value: Uint8Array | null
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Milliseconds since the epoch; default now. */
  readonly timestamp?: number | undefined
}

/** What is encoded of a record; where it goes stands around its batch. */
export type RecordContent = Omit<OutgoingRecord, 'topic' | 'partition'>

/** Upper bound of what the record takes in a batch, in bytes. */
export function recordBytes(record: RecordContent): number {
  let bytes = RECORD_OVERHEAD + Buffer.byteLength(record.key) + (record.value?.byteLength ?? 0)
  for (const name in record.headers) bytes += HEADER_OVERHEAD + Buffer.byteLength(name) + Buffer.byteLength(record.headers[name] ?? '')
  return bytes
}
/** Length, attributes, timestamp and offset deltas, and the lengths of key, value and headers, at their longest. */
const RECORD_OVERHEAD = 1 + 10 + 5 * 5
const HEADER_OVERHEAD = 2 * 5
/** What stands before the records of a batch. */
export const BATCH_OVERHEAD = 61
