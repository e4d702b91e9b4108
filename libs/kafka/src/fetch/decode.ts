import { crc32c } from '@node-rs/crc32'
import type { EpochStart } from '../consumer/epoch-history.ts'
import { KafkaError } from '../errors.ts'
import { decodeRecordBatch, Decoder, type RawRecord } from '../kafkajs.ts'
import { NO_EPOCH } from '../protocol.ts'
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

export interface FetchResponse {
  /** Above 0 the client has used up its quota; the answer may then be empty (KIP-219). */
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly partitions: FetchedPartition[]
}

/** Decodes a Fetch response of version 11. kafkajs's own throws all away when one partition has an error. */
export function decodeFetchResponse(bytes: Buffer): Promise<FetchResponse> {
  const decoder = new Decoder(bytes)
  const throttleTimeMs = decoder.readInt32()
  const errorCode = decoder.readInt16()
  decoder.readInt32() // session id: sessions are not used
  const partitions = decoder
    .readArray((topics) => {
      const topic = topics.readString()
      return topics.readArray((d) => decodePartition(d, topic))
    })
    .flat()
  return Promise.resolve({ throttleTimeMs, errorCode, partitions })
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
const EPOCH_AT = 12
const MAGIC_AT = 16
const CRC_AT = 17
const CRC_FROM = 21
const LAST_OFFSET_DELTA_AT = 23
const BATCH_HEADER = 61

/** What a fetch has asked of one partition, as far as the answer must fit it. */
export interface FetchQuestion {
  readonly fetchOffset: bigint
  /** True where compaction may have left holes between the offsets. */
  readonly compacted: boolean
  /** Of the last batch read before; {@link NO_EPOCH} when it is not known. A log's leader epochs never fall. */
  readonly lastEpoch: number
  /** Of the leader asked, which has no batch of a later one; {@link NO_EPOCH} when it is not known. */
  readonly leaderEpoch: number
}

export interface DecodedBatches {
  readonly records: KafkaRecord[]
  /** Behind the last whole batch; the fetch offset when there is none. */
  readonly nextOffset: bigint
  /** Of the last whole batch; the question's `lastEpoch` when there is none. */
  readonly lastEpoch: number
  /** Where each leader epoch begins, as far as the records are of another one than those before. */
  readonly epochs: readonly EpochStart[]
}

/**
 * The records from the fetch offset on, and the offset behind the last batch: compaction may leave a batch without
 * records, or without its last ones, and reading must move on all the same. Throws KAFKA_UNEXPECTED_ANSWER for whatever is not the
 * continuation that was asked for: a batch that ends before the fetch offset, offsets that fall or repeat, a hole in a topic that
 * is not compacted (nothing but compaction makes one: DeleteRecords answers with OFFSET_OUT_OF_RANGE), a leader epoch that falls.
 */
export async function decodeBatches(fetched: FetchedPartition, question: FetchQuestion): Promise<DecodedBatches> {
  const { topic, partition, batches } = fetched
  const { fetchOffset, compacted, leaderEpoch } = question
  const unexpected = (what: string) => new KafkaError('KAFKA_UNEXPECTED_ANSWER', `${topic}/${partition} was asked for offset ${fetchOffset}, but ${what}`)
  const records: KafkaRecord[] = []
  const epochs: EpochStart[] = []
  let { lastEpoch } = question
  let nextOffset = fetchOffset
  let at = 0
  while (at + BATCH_HEADER <= batches.length) {
    const length = batches.readInt32BE(at + LENGTH_AT)
    const end = at + LENGTH_AT + 4 + length
    if (end - at < BATCH_HEADER) throw unexpected(`the answer holds a batch of ${length} bytes`)
    if (end > batches.length) break
    if (batches[at + MAGIC_AT] !== 2) throw new Error(`${topic}/${partition} holds a batch of format ${batches[at + MAGIC_AT]}`)
    const baseOffset = batches.readBigInt64BE(at)
    if (crc32c(batches.subarray(at + CRC_FROM, end)) !== batches.readUInt32BE(at + CRC_AT)) {
      throw new Error(`the batch at ${topic}/${partition} offset ${baseOffset} does not match its checksum`)
    }
    const behind = baseOffset + BigInt(batches.readInt32BE(at + LAST_OFFSET_DELTA_AT)) + 1n
    // The first batch is the one that holds the fetch offset, and so may begin before it.
    if (behind <= nextOffset || (at > 0 && baseOffset < nextOffset)) throw unexpected(`a batch of offsets ${baseOffset} to ${behind - 1n} came where ${nextOffset} is next`)
    if (!compacted && baseOffset > nextOffset) throw unexpected(`offsets ${nextOffset} to ${baseOffset - 1n} are missing before the next batch`)
    const epoch = batches.readInt32BE(at + EPOCH_AT)
    if (epoch < lastEpoch || (leaderEpoch !== NO_EPOCH && epoch > leaderEpoch)) {
      throw unexpected(`the batch at ${baseOffset} is of leader epoch ${epoch}, after ${lastEpoch} and from a leader of ${leaderEpoch}`)
    }
    const decoded = await decodeRecordBatch(new Decoder(batches.subarray(at, end)))
    let expected = baseOffset
    for (const raw of decoded.records) {
      const offset = BigInt(raw.offset)
      if (offset < expected || offset >= behind || (!compacted && offset > expected)) throw unexpected(`a record of offset ${offset} came where ${expected} is next`)
      expected = offset + 1n
      if (offset >= fetchOffset && !raw.isControlRecord) records.push(toRecord(topic, partition, offset, raw))
    }
    if (!compacted && expected < behind) throw unexpected(`records ${expected} to ${behind - 1n} are missing in their batch`)
    if (epoch !== lastEpoch) epochs.push({ offset: nextOffset, leaderEpoch: epoch })
    nextOffset = behind
    lastEpoch = epoch
    at = end
  }
  return { records, nextOffset, lastEpoch, epochs }
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
