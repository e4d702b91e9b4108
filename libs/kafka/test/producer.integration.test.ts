import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProducer, KafkaError, readPartitionToEnd } from '../src/index.ts'
import { kafka, makeTopics, unique } from './support.ts'

const valuesIn = async (topic: string, partition: number): Promise<string[]> => {
  const values: string[] = []
  await readPartitionToEnd({ kafka: kafka(), topic, partition, onRecord: ({ value }) => void values.push(value.toString()) })
  return values
}
const code = (error: unknown) => (error instanceof KafkaError ? error.code : error)

test('every acknowledged record is in its partition at its offset, in the order of the sends', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['order'], 3)
  await using producer = createProducer({ kafka: kafka(), maxBatchBytes: 4096 })
  assert.equal(await producer.partitionCount(topic), 3)
  const sent = Array.from({ length: 600 }, (_, index) => ({ partition: index % 3, value: `${index} ${'x'.repeat(index % 200)}` }))
  const acks = await Promise.all(sent.map(({ partition, value }) => producer.send({ topic, partition, key: 's', value: Buffer.from(value), headers: { kind: 'chunk' } })))
  for (const partition of [0, 1, 2]) {
    const values = await valuesIn(topic, partition)
    assert.deepEqual(values, sent.filter((record) => record.partition === partition).map(({ value }) => value))
    sent.forEach((record, index) => record.partition === partition && assert.equal(values[Number(acks[index]!.offset)], record.value))
  }
  assert.equal(producer.bufferedBytes, 0)
})

test('a record that is too large is refused alone; its neighbours in batch and request arrive in order', async () => {
  const [small = '', other = ''] = [...(await makeTopics(kafka(), ['small'], 2, { 'max.message.bytes': '2000' })), ...(await makeTopics(kafka(), ['other'], 1))]
  await using producer = createProducer({ kafka: kafka() })
  await Promise.all([producer.partitionCount(small), producer.partitionCount(other)])
  const values = Array.from({ length: 40 }, (_, index) => (index === 17 || index === 30 ? `${index} ${'x'.repeat(3000)}` : `${index} ${'x'.repeat(100)}`))
  // One tick, so one request: the refusal of one partition's batch must leave the other partitions untouched.
  const sends = values.map((value) => producer.send({ topic: small, partition: 0, key: 's', value: Buffer.from(value) }))
  const beside = [producer.send({ topic: small, partition: 1, key: 's', value: Buffer.from('beside') }), producer.send({ topic: other, partition: 0, key: 's', value: Buffer.from('beside') })]
  const outcomes = await Promise.allSettled(sends)
  outcomes.forEach((outcome, index) => assert.equal(outcome.status === 'rejected' ? code(outcome.reason) : 'acknowledged', index === 17 || index === 30 ? 'KAFKA_RECORD_TOO_LARGE' : 'acknowledged'))
  await Promise.all(beside)
  assert.deepEqual(await valuesIn(small, 0), values.filter((_, index) => index !== 17 && index !== 30))
})

test('a record whose content the topic refuses is rejected alone', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['timely'], 1, { 'message.timestamp.after.max.ms': '60000' })
  await using producer = createProducer({ kafka: kafka() })
  await producer.partitionCount(topic)
  const send = (timestamp: number) => producer.send({ topic, partition: 0, key: 's', value: Buffer.from('v'), timestamp })
  const now = Date.now()
  const outcomes = await Promise.allSettled([send(now), send(now + 3_600_000), send(now + 1)])
  assert.deepEqual(outcomes.map((outcome) => (outcome.status === 'rejected' ? code(outcome.reason) : outcome.status)), ['fulfilled', 'KAFKA_RECORD_INVALID', 'fulfilled'])
})

test('a partition that nobody leads times out by itself; the others of the topic are not delayed', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['lonely'], 1)
  await using producer = createProducer({ kafka: kafka() })
  const missing = producer.send({ topic, partition: 7, key: 's', value: Buffer.from('never') }, { deliveryTimeoutMs: 1500 })
  const order: string[] = []
  const timedOut = assert.rejects(missing, { code: 'KAFKA_DELIVERY_TIMEOUT', retryable: true }).then(() => order.push('timed out'))
  await producer.send({ topic, partition: 0, key: 's', value: Buffer.from('v') }).then(() => order.push('acknowledged'))
  await timedOut
  assert.deepEqual(order, ['acknowledged', 'timed out'])
  await assert.rejects(producer.send({ topic: unique('none'), partition: 0, key: 's', value: null }, { deliveryTimeoutMs: 300 }), { code: 'KAFKA_DELIVERY_TIMEOUT' })
})

test('above its buffer it refuses at once, and takes again what fits', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['full'], 1)
  await using producer = createProducer({ kafka: kafka(), maxBufferedBytes: 10_000 })
  const send = () => producer.send({ topic, partition: 0, key: 's', value: Buffer.alloc(4000) })
  const first = [send(), send()]
  assert.ok(producer.bufferedBytes > 8000 && producer.bufferedBytes < 10_000)
  assert.equal(producer.lanes().length, 1)
  await assert.rejects(send(), { code: 'KAFKA_BUFFER_FULL', retryable: true })
  await Promise.all(first)
  assert.equal(producer.bufferedBytes, 0)
  await send()
})

test('with no broker at all it retries until the deadline, and closing settles what waits', async () => {
  const nowhere = createProducer({ kafka: { brokers: ['127.0.0.1:1'], clientId: 'test' } })
  const waiting = nowhere.send({ topic: 't', partition: 0, key: 's', value: null })
  const settled = assert.rejects(waiting, { code: 'KAFKA_CLOSED' })
  await assert.rejects(nowhere.send({ topic: 't', partition: 0, key: 's', value: null }, { deliveryTimeoutMs: 200 }), { code: 'KAFKA_DELIVERY_TIMEOUT' })
  await nowhere.close({ timeoutMs: 10 })
  await settled
  await assert.rejects(nowhere.send({ topic: 't', partition: 0, key: 's', value: null }), { code: 'KAFKA_CLOSED' })
})

test('flush waits for all that was sent before', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['flush'], 1)
  await using producer = createProducer({ kafka: kafka() })
  let acknowledged = 0
  for (let index = 0; index < 50; index += 1) void producer.send({ topic, partition: 0, key: 's', value: Buffer.from('v') }).then(() => (acknowledged += 1))
  await producer.flush()
  assert.equal(acknowledged, 50)
})
