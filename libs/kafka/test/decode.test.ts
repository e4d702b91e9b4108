import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBatches, decodeFetchResponse, type FetchQuestion } from '../src/fetch/decode.ts'
import { requireKafkajs } from '../src/kafkajs-patches.ts'
import { NO_EPOCH } from '../src/protocol.ts'

const { RecordBatch } = requireKafkajs('kafkajs/src/protocol/recordBatch/v0') as { RecordBatch: (options: object) => Promise<{ buffer: Buffer }> }
const encodeRecord = requireKafkajs('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => object
const Encoder = requireKafkajs('kafkajs/src/protocol/encoder') as new () => Record<'writeInt16' | 'writeInt32' | 'writeInt64' | 'writeString' | 'writeBytes', (value: unknown) => unknown> & { buffer: Buffer }

/** A batch as it stands in the log; `deltas` are the records that compaction has left in it. */
async function batch(baseOffset: number, length: number, deltas: number[] = Array.from({ length }, (_, delta) => delta)): Promise<Buffer> {
  const records = deltas.map((delta) => encodeRecord({ offsetDelta: delta, timestampDelta: delta, key: `k${delta}`, value: Buffer.from(`v${baseOffset + delta}`), headers: { kind: 'chunk', twice: ['a', 'ä'] } }))
  const { buffer } = await RecordBatch({ records, firstOffset: baseOffset, firstTimestamp: 1000, maxTimestamp: 1000 + length, lastOffsetDelta: length - 1 })
  return Buffer.from(buffer)
}
const fetched = (batches: Buffer) => ({ topic: 't', partition: 3, errorCode: 0, highWatermark: 99n, batches })
const read = async (batches: Buffer, from: bigint, asked: Partial<FetchQuestion> = {}) => {
  const { records, nextOffset } = await decodeBatches(fetched(batches), { fetchOffset: from, compacted: false, lastEpoch: NO_EPOCH, leaderEpoch: NO_EPOCH, ...asked })
  return { offsets: records.map(({ offset }) => offset), nextOffset, records }
}

test('records come with all they carry', async () => {
  const { records } = await read(await batch(5, 2), 5n)
  assert.deepEqual(records[1], { topic: 't', partition: 3, offset: 6n, key: 'k1', value: Buffer.from('v6'), tombstone: false, headers: { kind: 'chunk', twice: 'ä' }, timestamp: 1001 })
})

test('what lies before the wanted offset in its batch is left out', async () => {
  const { offsets, nextOffset } = await read(Buffer.concat([await batch(5, 4), await batch(9, 1)]), 7n)
  assert.deepEqual({ offsets, nextOffset }, { offsets: [7n, 8n, 9n], nextOffset: 10n })
})

test('compaction may take the last records of a batch, or all of them: reading moves on', async () => {
  const { offsets, nextOffset } = await read(Buffer.concat([await batch(5, 4, [0]), await batch(9, 3, [])]), 5n, { compacted: true })
  assert.deepEqual({ offsets, nextOffset }, { offsets: [5n], nextOffset: 12n })
})

test('a hole is a fault where nothing is compacted, wherever it is', async () => {
  const holes: [string, Buffer][] = [
    ['before the first batch', await batch(6, 2)],
    ['between two batches', Buffer.concat([await batch(5, 2), await batch(8, 1)])],
    ['in a batch', await batch(5, 3, [0, 2])],
    ['at the end of a batch', await batch(5, 3, [0, 1])],
    ['a whole batch without records', await batch(5, 3, [])],
  ]
  for (const [where, batches] of holes) {
    await assert.rejects(read(batches, 5n), { code: 'KAFKA_UNEXPECTED_ANSWER' }, where)
    await read(batches, 5n, { compacted: true })
  }
})

test('what is not the continuation of the position is a fault, compacted or not', async () => {
  const wrong: [string, Buffer][] = [
    ['all of it lies before the position', await batch(2, 3)],
    ['the same batch twice', Buffer.concat([await batch(5, 2), await batch(5, 2)])],
    ['batches out of order', Buffer.concat([await batch(7, 2), await batch(5, 2)])],
    ['batches that overlap', Buffer.concat([await batch(5, 3), await batch(7, 2)])],
    ['records out of order', await batch(5, 3, [0, 2, 1])],
    ['a record twice', await batch(5, 2, [0, 0])],
    ['a record beyond its batch', await batch(5, 2, [0, 1, 2])],
  ]
  for (const compacted of [false, true]) for (const [what, batches] of wrong) await assert.rejects(read(batches, 5n, { compacted }), { code: 'KAFKA_UNEXPECTED_ANSWER' }, what)
})

test('a length that no batch has is a fault, not an end', async () => {
  const batches = await batch(5, 1)
  for (const length of [-12, 0, 48]) {
    batches.writeInt32BE(length, 8)
    await assert.rejects(read(batches, 5n), { code: 'KAFKA_UNEXPECTED_ANSWER' })
  }
})

test('a batch of an earlier leader epoch than the last one, or of a later one than its leader has, is a fault', async () => {
  const ofEpoch = async (baseOffset: number, epoch: number): Promise<Buffer> => {
    const batches = await batch(baseOffset, 1)
    batches.writeInt32BE(epoch, 12)
    return batches
  }
  const rising = Buffer.concat([await ofEpoch(5, 2), await ofEpoch(6, 4)])
  assert.equal((await read(rising, 5n, { lastEpoch: 2, leaderEpoch: 4 })).nextOffset, 7n)
  await assert.rejects(read(rising, 5n, { lastEpoch: 3 }), { code: 'KAFKA_UNEXPECTED_ANSWER' })
  await assert.rejects(read(rising, 5n, { leaderEpoch: 3 }), { code: 'KAFKA_UNEXPECTED_ANSWER' })
  await assert.rejects(read(Buffer.concat([await ofEpoch(5, 4), await ofEpoch(6, 2)]), 5n), { code: 'KAFKA_UNEXPECTED_ANSWER' })
})

test('a batch cut off at the end of the answer is read by the next fetch', async () => {
  const whole = await batch(5, 1)
  const cut = await batch(6, 1)
  for (const length of [1, 11, 12, 60, 61, cut.length - 1]) {
    const { offsets, nextOffset } = await read(Buffer.concat([whole, cut.subarray(0, length)]), 5n)
    assert.deepEqual({ offsets, nextOffset }, { offsets: [5n], nextOffset: 6n })
  }
})

test('a flipped bit anywhere behind the checksum is an error, not a record', async () => {
  const good = await batch(5, 1)
  for (let at = 17; at < good.length; at += 7) {
    const bad = Buffer.from(good)
    bad[at]! ^= 0x10
    await assert.rejects(read(bad, 5n), /checksum/)
  }
})

test('a value is a copy, so that it does not keep the whole answer in memory', async () => {
  const batches = await batch(5, 1)
  const { records } = await read(batches, 5n)
  batches.fill(0)
  assert.equal(records[0]!.value.toString(), 'v5')
})

test("one partition's error stands beside the others' records", async () => {
  const data = await batch(5, 1)
  const partition = (number: number, errorCode: number, batches: Buffer) => (encoder: InstanceType<typeof Encoder>) => {
    encoder.writeInt32(number)
    encoder.writeInt16(errorCode)
    for (const offset of [6, 6, 0]) encoder.writeInt64(offset)
    encoder.writeInt32(0)
    encoder.writeInt32(-1)
    encoder.writeBytes(batches)
  }
  const encoder = new Encoder()
  encoder.writeInt32(0)
  encoder.writeInt16(0)
  encoder.writeInt32(0)
  encoder.writeInt32(1)
  encoder.writeString('t')
  encoder.writeInt32(2)
  partition(0, 6, Buffer.alloc(0))(encoder)
  partition(1, 0, data)(encoder)
  const { partitions } = await decodeFetchResponse(encoder.buffer)
  assert.deepEqual(
    partitions.map(({ partition: number, errorCode, highWatermark, batches }) => ({ number, errorCode, highWatermark, bytes: batches.length })),
    [
      { number: 0, errorCode: 6, highWatermark: 6n, bytes: 0 },
      { number: 1, errorCode: 0, highWatermark: 6n, bytes: data.length },
    ],
  )
})
