import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Leaders } from '../src/leaders.ts'

const topic = 'chunks'
const said = (topicId: string, ...leaders: [nodeId: number, epoch: number][]) => ({
  topic,
  topicId,
  partitionMetadata: leaders.map(([leader, leaderEpoch], partitionId) => ({ partitionId, leader, leaderEpoch })),
})
const known = (leaders: Leaders) => [leaders.leader(topic, 0), leaders.leaderEpoch(topic, 0)]

test('a leader of an earlier epoch than is known is ignored, for its partition alone', () => {
  const leaders = new Leaders()
  leaders.update(said('a', [1, 4], [1, 4]))
  leaders.update(said('a', [2, 3], [2, 5]))
  assert.deepEqual(known(leaders), [1, 4])
  assert.deepEqual([leaders.leader(topic, 1), leaders.leaderEpoch(topic, 1)], [2, 5])
})

test('a partition without a leader has none until the next epoch has one', () => {
  const leaders = new Leaders()
  leaders.update(said('a', [1, 4]))
  leaders.update(said('a', [-1, 5]))
  assert.deepEqual(known(leaders), [undefined, 5])
  leaders.update(said('a', [1, 4]))
  assert.deepEqual(known(leaders), [undefined, 5])
  leaders.update(said('a', [3, 6]))
  assert.deepEqual(known(leaders), [3, 6])
})

test('a topic that was made anew begins with its first epoch', () => {
  const leaders = new Leaders()
  leaders.update(said('a', [1, 4], [1, 4]))
  leaders.update(said('b', [2, 0]))
  assert.deepEqual(known(leaders), [2, 0])
  assert.equal(leaders.partitionCount(topic), 1)
})

test('a broker that does not know the latest partitions takes none away', () => {
  const leaders = new Leaders()
  leaders.update(said('a', [1, 4], [2, 4]))
  leaders.update(said('a', [1, 4]))
  assert.equal(leaders.partitionCount(topic), 2)
})

test('without epochs the latest answer counts', () => {
  const leaders = new Leaders()
  leaders.update(said('a', [1, -1]))
  leaders.update(said('a', [2, -1]))
  assert.deepEqual(known(leaders), [2, undefined])
})
