import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_MESSAGE_BYTES, type TopicSpec } from '@longtake/contracts'
import { adjustTopics, consumerLag, createProducer, ensureTopics, KafkaError, sizeLimitBytes, startConsumer } from '../src/index.ts'
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
    assert.deepEqual(error.message.split('\n').filter((line) => line.includes(', needed ')).map((line) => line.trim()).toSorted(), [
      `${chunks.name}: partitions is 3, needed 4`,
      `${chunks.name}: retention.ms is 3600000, needed 7200000`,
      `${status.name}: cleanup.policy is compact, needed delete`,
      `${status.name}: partitions is 3, needed 4`,
    ].toSorted())
    return true
  })
  await ensureTopics(kafka(), layout, wanted)
})

test('a write-ahead log of an earlier version is refused with the way out, and brought over without losing its other settings', async () => {
  const name = unique('log')
  const wanted: TopicSpec[] = [{ name, cleanup: 'delete', retentionMs: -1, segmentBytes: 64 << 20, segmentMs: 600_000, holds: 'x' }]
  await ensureTopics(kafka(), layout, [{ name, cleanup: 'delete', retentionMs: 172_800_000, holds: 'x' }])
  await withAdmin(kafka(), async (admin) => {
    const configEntries = Object.entries({ 'cleanup.policy': 'delete', 'retention.ms': '172800000', 'retention.bytes': '1000000000', 'segment.bytes': String(1 << 30), 'max.message.bytes': String(MAX_MESSAGE_BYTES), 'min.insync.replicas': '1', 'unclean.leader.election.enable': 'false', 'compression.type': 'producer', 'flush.messages': '12345' })
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name, configEntries: configEntries.map(([key, value]) => ({ name: key, value })) }] })
  })
  await assert.rejects(ensureTopics(kafka(), layout, wanted), { code: 'KAFKA_TOPICS_DIFFER', message: /retention\.ms is 172800000, needed -1[^]*retention\.bytes is 1000000000, needed -1[^]*deploy\/provision\.ts/ })

  const changes = await adjustTopics(kafka(), layout, wanted)
  assert.equal(changes.filter((line) => /retention\.ms changed from 172800000 to -1|retention\.bytes changed from 1000000000 to -1|segment\.bytes|segment\.ms/.test(line)).length, 4)
  await ensureTopics(kafka(), layout, wanted)
  const { resources } = await withAdmin(kafka(), (admin) => admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name }] }))
  assert.equal(resources[0]?.configEntries.find(({ configName }) => configName === 'flush.messages')?.configValue, '12345')
  assert.deepEqual(await adjustTopics(kafka(), layout, wanted), [])
})

test('retention is never shortened, and a partition count never changed', async () => {
  const [chunks] = specs() as [TopicSpec]
  await ensureTopics(kafka(), layout, [chunks])
  const other = { ...chunks, retentionMs: 60_000 }
  assert.deepEqual(await adjustTopics(kafka(), { ...layout, partitions: 6 }, [other]), [])
  const shortened = await adjustTopics(kafka(), { ...layout, mayShorten: new Set([chunks.name]) }, [other])
  assert.deepEqual(shortened, [`${chunks.name}: retention.ms changed from ${chunks.retentionMs} to 60000`], 'unless that was set on purpose')
  await assert.rejects(ensureTopics(kafka(), { ...layout, partitions: 6 }, [other]), { message: /partitions is 3, needed 6[^]*never changes[^]*LONGTAKE_TOPIC_PARTITIONS/ })
})

test('without a partition count, new topics take that of those that exist', async () => {
  const [chunks, status] = specs() as [TopicSpec, TopicSpec]
  await ensureTopics(kafka(), layout, [chunks])
  await ensureTopics(kafka(), { replicationFactor: 1 }, [chunks, status])
  const { topics } = await withAdmin(kafka(), (admin) => admin.fetchTopicMetadata({ topics: [status.name] }))
  assert.equal(topics[0]?.partitions.length, 3)
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

test('a size limit is that of all partitions; it is put on an existing topic only on purpose, and a larger one is as good', async () => {
  const [{ name }] = specs() as [TopicSpec]
  const spec = (retentionBytes?: number): TopicSpec => {
    return { name, cleanup: 'delete', retentionMs: 3_600_000, holds: 'x', ...(retentionBytes === undefined ? {} : { retentionBytes }) }
  }
  await ensureTopics(kafka(), layout, [spec()])
  assert.equal(await sizeLimitBytes(kafka(), name), null)
  await ensureTopics(kafka(), layout, [spec(3_000_000)])
  assert.deepEqual(await adjustTopics(kafka(), layout, [spec(3_000_000)]), [], 'it would delete records')
  const onPurpose = { ...layout, mayLimit: new Set([name]) }
  const changes = await adjustTopics(kafka(), onPurpose, [spec(3_000_000)])
  assert.deepEqual(changes, [`${name}: retention.bytes changed from -1 to 1000000`])
  await ensureTopics(kafka(), layout, [spec(1_500_000)])
  assert.deepEqual(await adjustTopics(kafka(), layout, [spec(6_000_000)]), [`${name}: retention.bytes changed from 1000000 to 2000000`])
  await assert.rejects(ensureTopics(kafka(), layout, [spec()]), { message: /retention\.bytes is 2000000, needed -1/ })
})
