import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from '../src/cluster.ts'
import { createProducer, logExtents, startConsumer, type Log, type Producer } from '../src/index.ts'
import { Journal, kafka, makeTopics, unexpected, unique, withAdmin } from './support.ts'

const quick = { sessionTimeoutMs: 3000, heartbeatMs: 200, commitIntervalMs: 100, closeTimeoutMs: 5000 }
const truncate = { behindMs: 600, everyMs: 100 }

const fill = (producer: Producer, topic: string, partition: number, count: number) =>
  Promise.all(Array.from({ length: count }, () => producer.send({ topic, partition, key: 's', value: Buffer.from('v') })))
const starts = async (topic: string): Promise<number[]> => {
  const offsets = await withAdmin(kafka(), (admin) => admin.fetchTopicOffsets(topic))
  return offsets.toSorted((a, b) => a.partition - b.partition).map(({ low }) => Number(low))
}
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds()); await delay(50)) assert.ok(Date.now() < deadline, what)
}

test('the owner truncates behind what is committed, never beyond a record that is not', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['wal'], 2)
  await using producer = createProducer({ kafka: kafka() })
  await fill(producer, topic, 0, 10)
  await fill(producer, topic, 1, 10)
  const journal = new Journal()
  const group = unique('group')
  // Record 4 of partition 1 is never done.
  const handle = journal.member('m', (record, partition) => void ((partition.partition === 0 || record.offset !== 4n) && partition.done(record)))
  await using consumer = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, truncate, ...handle })
  await journal.until('all', () => journal.handled().length === 20)
  await until('truncation', async () => (await starts(topic)).join() === '10,4')
  await fill(producer, topic, 0, 1)
  await journal.until('one more', () => journal.handled().length === 21)
  await until('truncation of one more', async () => (await starts(topic)).join() === '11,4')
  const extents = (await logExtents(kafka(), topic)).toSorted((a, b) => a.partition - b.partition)
  assert.deepEqual(extents, [{ partition: 0, start: 11n, end: 11n }, { partition: 1, start: 4n, end: 10n }])
  await consumer.close()
})

test('a group whose offsets Kafka has forgotten begins at the first record of a truncated log, and misses none', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['wal'], 1)
  await using producer = createProducer({ kafka: kafka() })
  await fill(producer, topic, 0, 10)
  const journal = new Journal()
  const group = unique('group')
  const first = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, truncate, ...journal.member('first', (record, partition) => void (record.offset < 6n && partition.done(record))) })
  await until('truncation', async () => (await starts(topic)).join() === '6')
  await first.close()
  await withAdmin(kafka(), (admin) => admin.deleteGroups([group]))
  const warned: string[] = []
  const log: Log = { debug() {}, info() {}, error() {}, warn: (_, message) => void warned.push(message) }
  await using _second = await startConsumer({ kafka: { ...kafka(), log }, group, topics: [topic], onFatal: unexpected, ...quick, truncate, ...journal.member('second') })
  await journal.until('what is not committed', () => journal.handled('second').length === 4)
  assert.deepEqual(journal.handled('second').map(({ offset }) => offset), [6n, 7n, 8n, 9n])
  assert.match(warned.join(), /none is missed/)
})

test('members that are replaced before anything is due do not postpone truncation', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['wal'], 1)
  await using producer = createProducer({ kafka: kafka() })
  const group = unique('group')
  const journal = new Journal()
  let member = 0
  await until('truncation', async () => {
    member += 1
    await fill(producer, topic, 0, 1)
    // Each of them lives for less than the time that records are kept.
    await using consumer = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, truncate: { behindMs: 1500, everyMs: 5 }, ...journal.member(`m${member}`) })
    await journal.until('its record', () => journal.handled().length >= member)
    await consumer.commit()
    return (await starts(topic))[0]! > 0
  })
  assert.ok(member > 2, `${member} members`)
})

test('a log that is not the one that was read keeps its records, though the committed offset lies behind them', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['wal'], 1)
  const group = unique('group')
  await using producer = createProducer({ kafka: kafka() })
  await fill(producer, topic, 0, 10)
  const cluster = new Cluster(kafka())
  cluster.want([topic])
  await cluster.refresh()
  // As after an unclean election: the group came to 8 in an epoch that this log knows nothing of, and has had all for an hour.
  const partitions = [{ partition: 0, offset: '8', leaderEpoch: cluster.leaderEpoch(topic, 0)! + 1, metadata: 'truncate=8@1' }]
  const commit = { groupId: group, groupGenerationId: -1, memberId: '', topics: [{ topic, partitions }] }
  await cluster.raw(await cluster.coordinator(group), 'OffsetCommit', commit)
  await cluster.close()
  const journal = new Journal()
  const rounds = { behindMs: 600, everyMs: 5 }
  await using consumer = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, truncate: rounds, ...journal.member('m') })
  await until('the partition to be stopped', async () => !consumer.check().ready)
  await delay(500)
  assert.deepEqual([await starts(topic), journal.handled().length], [[0], 0])
})
