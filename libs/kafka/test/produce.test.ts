import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../src/cluster.ts'
import { produce, type Outcome } from '../src/producer/produce.ts'

const batches = [0, 1].map((partition) => ({
  topic: 'chunks',
  partition,
  sequence: { producerId: 1n, epoch: 0, first: 0 },
  records: [{ key: 's', value: Buffer.from('v'), timestamp: 0 }],
}))

async function outcomes(...partitions: [partition: number, baseOffset: number, errorCode?: number][]): Promise<Outcome[]> {
  const answered = partitions.map(([partition, baseOffset, errorCode = 0]) => ({ partition, errorCode, baseOffset: String(baseOffset) }))
  const cluster = { raw: () => Promise.resolve({ topics: [{ topicName: 'chunks', partitions: answered }] }) }
  return produce(cluster as unknown as Cluster, 1, batches, 1000)
}
const nameOf = (outcome: Outcome | undefined): unknown => (outcome !== undefined && 'error' in outcome ? (outcome.error as { code?: string }).code : outcome)

test('each batch has the outcome that the answer names for its partition', async () => {
  assert.deepEqual(await outcomes([1, 7], [0, -1, 6]), [{ code: 6 }, { offset: 7n }])
})

test('only an answer with an offset, for exactly this partition, acknowledges a batch', async () => {
  const [leftOut, other] = await outcomes([1, 7], [2, 9])
  assert.deepEqual([nameOf(leftOut), other], ['KAFKA_UNEXPECTED_ANSWER', { offset: 7n }])
  const [twice] = await outcomes([0, 5], [0, 5], [1, 7])
  assert.equal(nameOf(twice), 'KAFKA_UNEXPECTED_ANSWER')
  const [withoutOffset] = await outcomes([0, -1], [1, 7])
  assert.equal(nameOf(withoutOffset), 'KAFKA_UNEXPECTED_ANSWER')
})
