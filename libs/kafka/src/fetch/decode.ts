import { crc32c } from '@node-rs/crc32'
import { decodeRecordBatch, Decoder, type RawRecord } from '../kafkajs.ts'
import type { KafkaRecord } from '../record.ts'

/** What one fetch brought of one partition. */
export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  /** The protocol's code; 0 is none. */
  readonly errorCode: number
  readonly highWatermark: bigint
  /** The record batches as they stand in the log; the last may be cut off. */
  readonly batches: Buffer
}

/** Decodes a Fetch response of version 11. kafkajs's own throws all away when one partition has an error. */
export function decodeFetchResponse(bytes: Buffer): Promise<{ errorCode: number; partitions: FetchedPartition[] }> {
  const decoder = new Decoder(bytes)
  decoder.readInt32() // throttle time: clients of ours have no quota
  const errorCode = decoder.readInt16()
  decoder.readInt32() // session id: sessions are not used
  const partitions = decoder
    .readArray((topics) => {
      const topic = topics.readString()
      return topics.readArray((d) => decodePartition(d, topic))
    })
    .flat()
  return Promise.resolve({ errorCode, partitions })
}

function decodePartition(decoder: InstanceType<typeof Decoder>, topic: string): FetchedPartition {
  const partition = decoder.readInt32()
  const errorCode = decoder.readInt16()
  const highWatermark = decoder.readInt64()
  decoder.readInt64() // last stable offset: nothing here is transactional
  decoder.readInt64() // log start offset
  decoder.readArray((d) => [d.readInt64(), d.readInt64()]) // aborted transactions
  decoder.readInt32() // preferred read replica
  const batches = decoder.readBytes() ?? Buffer.alloc(0)
  return { topic, partition, errorCode, highWatermark, batches }
}

/** Offset, length, leader epoch, magic and CRC of a record batch (format 2). */
const LENGTH_AT = 8
const MAGIC_AT = 16
const CRC_AT = 17
const CRC_FROM = 21
const LAST_OFFSET_DELTA_AT = 23
const BATCH_HEADER = 61

/**
 * The records from `fetchOffset` on, and the offset behind the last batch: compaction may leave a batch without
 * records, or without its last ones, and reading must move on all the same.
 */
export async function decodeBatches(fetched: FetchedPartition, fetchOffset: bigint): Promise<{ records: KafkaRecord[]; nextOffset: bigint }> {
  const { topic, partition, batches } = fetched
  const records: KafkaRecord[] = []
  let nextOffset = fetchOffset
  let at = 0
  while (at + BATCH_HEADER <= batches.length) {
    const end = at + LENGTH_AT + 4 + batches.readInt32BE(at + LENGTH_AT)
    if (end > batches.length) break
    if (batches[at + MAGIC_AT] !== 2) throw new Error(`${topic}/${partition} holds a batch of format ${batches[at + MAGIC_AT]}`)
    const baseOffset = batches.readBigInt64BE(at)
    if (crc32c(batches.subarray(at + CRC_FROM, end)) !== batches.readUInt32BE(at + CRC_AT)) {
      throw new Error(`the batch at ${topic}/${partition} offset ${baseOffset} does not match its checksum`)
    }
    const decoded = await decodeRecordBatch(new Decoder(batches.subarray(at, end)))
    for (const raw of decoded.records) {
      const offset = BigInt(raw.offset)
      if (offset >= fetchOffset && !raw.isControlRecord) records.push(toRecord(topic, partition, offset, raw))
    }
    const behind = baseOffset + BigInt(batches.readInt32BE(at + LAST_OFFSET_DELTA_AT)) + 1n
    if (behind > nextOffset) nextOffset = behind
    at = end
  }
  return { records, nextOffset }
}

function toRecord(topic: string, partition: number, offset: bigint, raw: RawRecord): KafkaRecord {
  const headers: Record<string, string> = {}
  for (const name in raw.headers) {
    const value = raw.headers[name]
    const last = Array.isArray(value) ? value.at(-1) : value
    headers[name] = last?.toString('utf8') ?? ''
  }
  return {
    topic,
    partition,
    offset,
    key: raw.key?.toString('utf8') ?? '',
    value: raw.value === null ? Buffer.alloc(0) : Buffer.from(raw.value),
    tombstone: raw.value === null,
    headers,
    timestamp: Number(raw.timestamp),
  }
}
