import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_MESSAGE_BYTES, type TopicSpec } from '@longtake/contracts'
import { consumerLag, createProducer, ensureTopics, KafkaError, startConsumer } from '../src/index.ts'
import { Journal, kafka, unexpected, unique, withAdmin } from './support.ts'

const specs = (): TopicSpec[] => [
  { name: unique('chunks'), cleanup: 'delete', retentionMs: 3_600_000, holds: 'x' },
  { name: unique('status'), cleanup: 'compact', retentionMs: -1, holds: 'x' },
]
const layout = { partitions: 3, replicationFactor: 1 }

test('missing topics are made as specified; a second start, or two at once, changes nothing', async () => {
  const wanted = specs()
  await Promise.all([ensureTopics(kafka(), layout, wanted), ensureTopics(kafka(), layout, wanted)])
  await ensureTopics(kafka(), layout, wanted)
  const { resources } = await withAdmin(kafka(), (admin) => admin.describeConfigs({ includeSynonyms: false, resources: wanted.map(({ name }) => ({ type: 2, name })) }))
  const value = (topic: string, name: string) => resources.find(({ resourceName }) => resourceName === topic)?.configEntries.find(({ configName }) => configName === name)?.configValue
  for (const { name } of wanted) assert.equal(value(name, 'max.message.bytes'), String(MAX_MESSAGE_BYTES))
  assert.equal(value(wanted[1]!.name, 'cleanup.policy'), 'compact')
})

test('all differences are told together, and nothing is changed', async () => {
  const wanted = specs()
  await ensureTopics(kafka(), layout, wanted)
  const [chunks, status] = wanted as [TopicSpec, TopicSpec]
  await assert.rejects(ensureTopics(kafka(), { ...layout, partitions: 4 }, [{ ...chunks, retentionMs: 7_200_000 }, { ...status, cleanup: 'delete' }]), (error: unknown) => {
    assert.ok(error instanceof KafkaError)
    assert.equal(error.code, 'KAFKA_TOPICS_DIFFER')
    assert.deepEqual(error.message.split('\n').slice(1).map((line) => line.trim()).toSorted(), [
      `${chunks.name}: partitions is 3, needed 4`,
      `${chunks.name}: retention.ms is 3600000, needed 7200000`,
      `${status.name}: cleanup.policy is compact, needed delete`,
      `${status.name}: partitions is 3, needed 4`,
    ].toSorted())
    return true
  })
  await ensureTopics(kafka(), layout, wanted)
})

test('lag counts what a group has not completed', async () => {
  const [{ name: topic }] = specs() as [TopicSpec]
  await ensureTopics(kafka(), layout, [{ name: topic, cleanup: 'delete', retentionMs: -1, holds: 'x' }])
  await using producer = createProducer({ kafka: kafka() })
  for (let index = 0; index < 5; index += 1) await producer.send({ topic, partition: 1, key: 'k', value: Buffer.from('v') })
  const group = unique('group')
  const lag = async () => (await consumerLag(kafka(), group, [topic])).toSorted((a, b) => a.partition - b.partition).map((of) => of.lag)
  assert.deepEqual(await lag(), [0n, 5n, 0n])
  const journal = new Journal()
  await using consumer = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...journal.member('m', (record, partition) => void (record.offset < 2n && partition.done(record))) })
  await journal.until('all', () => journal.handled().length === 5)
  await consumer.commit()
  assert.deepEqual(await lag(), [0n, 3n, 0n])
  assert.equal(consumer.lag, 3)
})
