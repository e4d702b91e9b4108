import { crc32c } from '@node-rs/crc32'
import type { RecordContent } from '../record.ts'

const BATCH_HEADER = 61
/** Of the batch header: what the length and the checksum do not cover. */
const LENGTH_FROM = 12
const CRC_AT = 17
const CRC_FROM = 21

/** A record with its time, so that a batch that is sent again is the same to the byte. */
export type TimedRecord = RecordContent & { readonly timestamp: number }

/** By which the broker recognizes a batch that it has taken already, and misses one that it has not (KIP-98). */
export interface BatchSequence {
  readonly producerId: bigint
  readonly epoch: number
  /** Of the first record; those behind it count on. */
  readonly first: number
}

/** The records for one partition. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly sequence: BatchSequence
  readonly records: readonly TimedRecord[]
}

interface SizedRecord {
  readonly record: RecordContent
  readonly headers: readonly [string, string][]
  readonly timestampDelta: number
  /** Of all behind the length itself. */
  readonly bodyBytes: number
}

/**
 * The body of a Produce request, version 3 to 8, in one buffer of its final size: each value is copied once. kafkajs
 * copies it again and again on the way into growing buffers, which costs more than all the rest of sending.
 */
export function encodeProduce(batches: readonly Batch[], timeoutMs: number): Buffer {
  const topics = [...Map.groupBy(batches, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ partition, sequence, records }) => ({ partition, sequence, ...sizeBatch(records) })),
  }))
  const bytes = topics.reduce((sum, { topic, partitions }) => sum + 2 + Buffer.byteLength(topic) + 4 + partitions.reduce((all, batch) => all + 8 + batch.bytes, 0), 2 + 2 + 4 + 4)
  const buffer = Buffer.allocUnsafe(bytes)
  let at = 0
  at = buffer.writeInt16BE(-1, at) // no transactional id
  at = buffer.writeInt16BE(-1, at) // acks: all in-sync replicas
  at = buffer.writeInt32BE(timeoutMs, at)
  at = buffer.writeInt32BE(topics.length, at)
  for (const { topic, partitions } of topics) {
    at = buffer.writeInt16BE(Buffer.byteLength(topic), at)
    at += buffer.write(topic, at)
    at = buffer.writeInt32BE(partitions.length, at)
    for (const batch of partitions) {
      at = buffer.writeInt32BE(batch.partition, at)
      at = buffer.writeInt32BE(batch.bytes, at)
      writeBatch(buffer.subarray(at, at + batch.bytes), batch)
      at += batch.bytes
    }
  }
  return buffer
}

interface SizedBatch {
  readonly sequence: BatchSequence
  readonly records: readonly SizedRecord[]
  readonly firstTimestamp: number
  readonly maxTimestamp: number
  readonly bytes: number
}

function sizeBatch(records: readonly TimedRecord[]): Omit<SizedBatch, 'sequence'> {
  const timestamps = records.map(({ timestamp }) => timestamp)
  const firstTimestamp = Math.min(...timestamps)
  let bytes = BATCH_HEADER
  const sized = records.map((record, offsetDelta) => {
    const timestampDelta = timestamps[offsetDelta]! - firstTimestamp
    const headers = Object.entries(record.headers ?? {})
    let bodyBytes = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta) + textBytes(record.key)
    bodyBytes += record.value === null ? 1 : varintBytes(record.value.byteLength) + record.value.byteLength
    bodyBytes += varintBytes(headers.length)
    for (const [name, value] of headers) bodyBytes += textBytes(name) + textBytes(value)
    bytes += varintBytes(bodyBytes) + bodyBytes
    return { record, headers, timestampDelta, bodyBytes }
  })
  return { records: sized, firstTimestamp, maxTimestamp: Math.max(...timestamps), bytes }
}

/** A record batch of format 2, not compressed, outside of transactions. */
function writeBatch(buffer: Buffer, { sequence, records, firstTimestamp, maxTimestamp, bytes }: SizedBatch): void {
  let at = 0
  at = buffer.writeBigInt64BE(0n, at) // base offset: the broker's affair
  at = buffer.writeInt32BE(bytes - LENGTH_FROM, at)
  at = buffer.writeInt32BE(0, at) // leader epoch: likewise
  at = buffer.writeInt8(2, at)
  at += 4 // checksum, below
  at = buffer.writeInt16BE(0, at)
  at = buffer.writeInt32BE(records.length - 1, at)
  at = buffer.writeBigInt64BE(BigInt(firstTimestamp), at)
  at = buffer.writeBigInt64BE(BigInt(maxTimestamp), at)
  at = buffer.writeBigInt64BE(sequence.producerId, at)
  at = buffer.writeInt16BE(sequence.epoch, at)
  at = buffer.writeInt32BE(sequence.first, at)
  at = buffer.writeInt32BE(records.length, at)
  records.forEach(({ record, headers, timestampDelta, bodyBytes }, offsetDelta) => {
    at = writeVarint(buffer, bodyBytes, at)
    at = buffer.writeInt8(0, at)
    at = writeVarint(buffer, timestampDelta, at)
    at = writeVarint(buffer, offsetDelta, at)
    at = writeText(buffer, record.key, at)
    if (record.value === null) at = writeVarint(buffer, -1, at)
    else {
      at = writeVarint(buffer, record.value.byteLength, at)
      buffer.set(record.value, at)
      at += record.value.byteLength
    }
    at = writeVarint(buffer, headers.length, at)
    for (const [name, value] of headers) at = writeText(buffer, value, writeText(buffer, name, at))
  })
  buffer.writeUInt32BE(crc32c(buffer.subarray(CRC_FROM)), CRC_AT)
}

const textBytes = (text: string): number => {
  const bytes = Buffer.byteLength(text)
  return varintBytes(bytes) + bytes
}

function writeText(buffer: Buffer, text: string, at: number): number {
  const start = writeVarint(buffer, Buffer.byteLength(text), at)
  return start + buffer.write(text, start)
}

// Zigzag varints; by arithmetic, for timestamps differ by more than 32 bits hold.
const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1
  return bytes
}

function writeVarint(buffer: Buffer, value: number, at: number): number {
  let rest = zigzag(value)
  let next = at
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) buffer[next++] = (rest % 0x80) | 0x80
  buffer[next++] = rest
  return next
}
