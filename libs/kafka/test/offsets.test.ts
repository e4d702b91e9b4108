import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../src/cluster.ts'
import { committedOffsets, listOffsets, onePartitionCount } from '../src/offsets.ts'

const wanted = [0, 1].map((partition) => ({ topic: 'chunks', partition }))
const answer = (...partitions: [partition: number, offset: number, errorCode?: number][]) => ({
  errorCode: 0,
  responses: [{ topic: 'chunks', partitions: partitions.map(([partition, offset, errorCode = 0]) => ({ partition, offset: String(offset), errorCode })) }],
})

/** A cluster of one broker that gives the answers in turn. */
function answering(...answers: object[]): Cluster {
  const cluster = {
    log: { debug() {}, info() {}, warn() {}, error() {} },
    want: () => undefined,
    refresh: () => Promise.resolve(),
    leader: () => 1,
    leaderEpoch: () => 3,
    raw: () => Promise.resolve(answers.shift() ?? assert.fail('no further question is expected')),
  }
  return cluster as unknown as Cluster
}

test('a partition that the coordinator leaves out does not look like one that was never committed', async () => {
  await assert.rejects(committedOffsets(answering(answer([0, 7])), 1, 'g', wanted), { code: 'KAFKA_UNEXPECTED_ANSWER' })
  await assert.rejects(committedOffsets(answering(answer([0, 7], [1, 5], [1, 9])), 1, 'g', wanted), { code: 'KAFKA_UNEXPECTED_ANSWER' })
  const [committed, ...others] = await committedOffsets(answering(answer([0, 7], [1, -1], [2, 9])), 1, 'g', wanted)
  assert.deepEqual([committed?.partition, committed?.offset, others], [0, 7n, []], 'what was not asked for is not used')
})

test('offsets are asked for again until every partition has one, and none is taken that was not asked for', async () => {
  const cluster = answering(answer([2, 4], [0, 7]), answer([1, 5], [1, 9]), answer([1, 6, 78]), answer([0, 99], [1, 8]))
  const found = await listOffsets(cluster, wanted, 'latest', new AbortController().signal)
  assert.deepEqual(found.map(({ partition, offset }) => [partition, offset]), [[0, 7n], [1, 8n]])
})

test('a topic that is not known yet has no partition count, neither none nor another one', () => {
  const counts = new Map([['a', 12], ['b', 12], ['c', 6]])
  const cluster = { partitionCount: (topic: string) => counts.get(topic) } as unknown as Cluster
  assert.equal(onePartitionCount(cluster, ['a', 'b']), 12)
  assert.throws(() => onePartitionCount(cluster, ['a', 'c']), { code: 'KAFKA_PARTITION_COUNTS' })
  assert.throws(() => onePartitionCount(cluster, ['a', 'unknown']), { code: 'KAFKA_BROKER' })
  assert.throws(() => onePartitionCount(cluster, ['unknown']), { code: 'KAFKA_BROKER' })
})
