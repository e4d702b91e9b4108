import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { requireKafkajs } from '../src/kafkajs-patches.ts'
import { encodeProduce } from '../src/producer/encode.ts'
import { BATCH_OVERHEAD, recordBytes } from '../src/record.ts'

const kafkajsRequest = requireKafkajs('kafkajs/src/protocol/requests/produce/v7/request') as (args: object) => { encode: () => Promise<{ buffer: Buffer }> }

const record = fc.record({
  key: fc.string({ unit: 'grapheme', maxLength: 80 }),
  value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null }),
  headers: fc.option(fc.dictionary(fc.string({ minLength: 1, maxLength: 70 }).filter((name) => name !== '__proto__'), fc.string({ unit: 'grapheme', maxLength: 200 }), { maxKeys: 4, noNullPrototype: true }), { nil: undefined }),
  // Of equal length as text, for that is how kafkajs compares them; days apart, so that differences exceed 32 bits.
  timestamp: fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
})
// kafkajs takes id and epoch from the request, the sequence from each partition.
const identity = fc.record({ producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), epoch: fc.nat({ max: 0x7fff }) })
const batches = fc.uniqueArray(fc.record({ topic: fc.constantFrom('recordings.chunks', 'recordings.events'), partition: fc.nat({ max: 50 }), firstSequence: fc.nat(), records: fc.array(record, { minLength: 1, maxLength: 5 }) }), {
  minLength: 1,
  maxLength: 6,
  selector: ({ topic, partition }) => `${topic}/${partition}`,
})

test('a Produce request is to the byte what kafkajs makes of it', async () => {
  await fc.assert(
    fc.asyncProperty(identity, batches, async ({ producerId, epoch }, given) => {
      const topicData = [...Map.groupBy(given, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
        topic,
        partitions: ofTopic.map(({ partition, firstSequence, records }) => ({
          partition,
          firstSequence,
          messages: records.map(({ value, timestamp, headers = {}, ...rest }) => ({ ...rest, headers, value: value === null ? null : Buffer.from(value), timestamp: String(timestamp) })),
        })),
      }))
      const expected = await kafkajsRequest({ acks: -1, timeout: 10_000, producerId: producerId.toString(), producerEpoch: epoch, topicData }).encode()
      const encoded = encodeProduce(given.map(({ firstSequence: first, ...batch }) => ({ ...batch, sequence: { producerId, epoch, first } })), 10_000)
      assert.deepEqual(encoded, Buffer.from(expected.buffer))
    }),
  )
})

test('the bytes that a batch is planned with are never fewer than it takes', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 10 }), (records) => {
      const planned = records.reduce((sum, each) => sum + recordBytes(each), BATCH_OVERHEAD)
      const outside = 2 + 2 + 4 + 4 + 2 + 't'.length + 4 + 8
      assert.ok(encodeProduce([{ topic: 't', partition: 0, sequence: { producerId: 0n, epoch: 0, first: 0 }, records }], 1).length - outside <= planned)
    }),
  )
})
