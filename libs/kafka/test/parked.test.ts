import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_MESSAGE_BYTES, TOPICS } from '@longtake/contracts'
import { createProducer } from '../src/index.ts'
import { PARKING_BYTES, toParked } from '../src/parked.ts'
import { recordBytes } from '../src/record.ts'

const record = (valueBytes: number) => ({ topic: TOPICS.events.name, partition: 0, key: 'k', headers: {}, value: Buffer.alloc(valueBytes) })

test('what is too large to be parked is refused before anybody has to read it', async () => {
  const largest = record(MAX_MESSAGE_BYTES - PARKING_BYTES - recordBytes(record(0)))
  const read = { ...largest, offset: 2n ** 62n, tombstone: false, timestamp: 0 }
  const parked = toParked(read, 'g'.repeat(200), { reason: 'not-a-recording', details: '\u20AC'.repeat(5000) }, new Date(0).toISOString())
  assert.ok(recordBytes(parked) + 200 < MAX_MESSAGE_BYTES, `${recordBytes(parked)} bytes`)
  await using producer = createProducer({ kafka: { brokers: ['127.0.0.1:1'], clientId: 'test' } })
  await assert.rejects(producer.send(record(largest.value.length + 1)), { code: 'KAFKA_RECORD_TOO_LARGE' })
})
