import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from '../src/cluster.ts'
import { epochEnds } from '../src/fetch/leader-epoch.ts'
import { createProducer, startConsumer } from '../src/index.ts'
import { createErrorFromCode } from '../src/kafkajs.ts'
import { committedOffsets, listOffsets } from '../src/offsets.ts'
import { Journal, kafka, makeTopics, unexpected, unique, withAdmin } from './support.ts'

const nameOf = (code: number) => (createErrorFromCode(code) as Error & { type?: string }).type

test('a broker says where an epoch ends, and refuses questions for a leader of another epoch', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['epochs'], 1)
  await using producer = createProducer({ kafka: kafka() })
  for (const value of ['a', 'b', 'c']) await producer.send({ topic, partition: 0, key: 's', value: Buffer.from(value) })
  const cluster = new Cluster(kafka())
  cluster.want([topic])
  await cluster.refresh()
  const leader = cluster.leader(topic, 0)!
  const currentLeaderEpoch = cluster.leaderEpoch(topic, 0)!
  assert.ok(currentLeaderEpoch >= 0)
  const ask = async (of: { currentLeaderEpoch: number; leaderEpoch: number }) => {
    const [end] = await epochEnds((args) => cluster.raw(leader, 'OffsetForLeaderEpoch', args), [{ topic, partition: 0, ...of }])
    assert.ok(end !== undefined && !(end instanceof Error))
    return end
  }
  const end = await ask({ currentLeaderEpoch, leaderEpoch: currentLeaderEpoch })
  assert.deepEqual([end.errorCode, end.leaderEpoch, end.endOffset], [0, currentLeaderEpoch, 3n])
  const unknown = await ask({ currentLeaderEpoch, leaderEpoch: currentLeaderEpoch + 1 })
  assert.deepEqual([unknown.errorCode, unknown.leaderEpoch, unknown.endOffset], [0, -1, -1n])
  assert.equal(nameOf((await ask({ currentLeaderEpoch: currentLeaderEpoch + 1, leaderEpoch: 0 })).errorCode), 'UNKNOWN_LEADER_EPOCH')
  const [latest] = await listOffsets(cluster, [{ topic, partition: 0 }], 'latest', new AbortController().signal)
  assert.equal(latest?.offset, 3n)
  await cluster.close()
})

test('metadata that is asked for while other topics are asked for is that of all topics wanted', async () => {
  const [first = '', second = ''] = await makeTopics(kafka(), ['early', 'late'], 2)
  const cluster = new Cluster(kafka())
  cluster.want([first])
  const early = cluster.refresh()
  cluster.want([second])
  await cluster.refresh()
  assert.deepEqual([cluster.partitionCount(first), cluster.partitionCount(second)], [2, 2])
  await early
  await cluster.close()
})

test('a topic that is deleted and made anew has the leaders of the new one', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['anew'], 2)
  const cluster = new Cluster(kafka())
  cluster.want([topic])
  await cluster.refresh()
  assert.equal(cluster.partitionCount(topic), 2)
  await withAdmin(kafka(), async (admin) => {
    await admin.deleteTopics({ topics: [topic] })
    while (!(await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] }).catch(() => false)));
  })
  for (let tries = 1; cluster.partitionCount(topic) !== 1; tries += 1) {
    assert.ok(tries < 100, 'the new topic appears')
    await cluster.refresh()
  }
  assert.ok(cluster.leader(topic, 0) !== undefined)
  await cluster.close()
})

test('a commit carries the epoch of its last record; a group whose record is not in the log any more stops with an alarm', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['truncated'], 1)
  const group = unique('group')
  await using producer = createProducer({ kafka: kafka() })
  for (const value of ['a', 'b', 'c']) await producer.send({ topic, partition: 0, key: 's', value: Buffer.from(value) })
  const journal = new Journal()
  const join = () => startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...journal.member('member') })
  const first = await join()
  await journal.until('all records', () => journal.handled().length === 3)
  await first.close()
  const cluster = new Cluster(kafka())
  cluster.want([topic])
  await cluster.refresh()
  const coordinator = await cluster.coordinator(group)
  const [committed] = await committedOffsets(cluster, coordinator, group, [{ topic, partition: 0 }])
  assert.deepEqual([committed?.offset, committed?.leaderEpoch], [3n, cluster.leaderEpoch(topic, 0)])

  // As if the third record had been read from a leader whose election the present log knows nothing of.
  const partitions = [{ partition: 0, offset: '3', leaderEpoch: committed!.leaderEpoch! + 1 }]
  await cluster.raw(coordinator, 'OffsetCommit', { groupId: group, groupGenerationId: -1, memberId: '', topics: [{ topic, partitions }] })
  await cluster.close()
  await producer.send({ topic, partition: 0, key: 's', value: Buffer.from('d') })
  await using second = await join()
  await journal.until('the handler to be closed', () => journal.held('member').length === 0 && journal.entries.at(-1)?.what === 'closed' && !second.check().ready)
  assert.match(JSON.stringify(second.check()), /lost/)
  assert.equal(journal.handled().length, 3)
})
