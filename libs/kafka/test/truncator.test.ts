import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../src/cluster.ts'
import { Truncator, type TruncationFence } from '../src/consumer/truncator.ts'

const cluster = { leader: () => 1, log: { debug() {}, info() {}, warn() {}, error() {} }, refresh: async () => {} }

/** A truncator over a broker that answers as told; resolves with the requests it was sent. */
function truncating(fence: Partial<TruncationFence>, answer: (requested: { partition: number; offset: string }[]) => { partition: number; errorCode: number }[]) {
  const requests: { partition: number; offset: string }[][] = []
  const rawAdmin = async (_node: number, _api: string, { topics }: { topics: { topic: string; partitions: { partition: number; offset: string }[] }[] }) => {
    const [{ topic, partitions }] = topics as [(typeof topics)[0]]
    requests.push(partitions)
    return { topics: [{ topic, partitions: answer(partitions) }] }
  }
  const whole: TruncationFence = { committed: async (wanted) => wanted.map((of) => ({ ...of, offset: 1000n })), isSound: () => true, generation: () => 1, ...fence }
  const truncator = new Truncator({ ...cluster, rawAdmin } as unknown as Cluster, 'g', { behindMs: 1000, everyMs: 100 }, whole)
  return { truncator, requests }
}
const fine = (requested: { partition: number }[]) => requested.map(({ partition }) => ({ partition, errorCode: 0 }))
const at = (offset: bigint, partition = 0) => ({ topic: 't', partition, offset })

test('given a committed offset that Kafka has set back, no more than that is deleted', async () => {
  const { truncator, requests } = truncating({ committed: async (wanted) => wanted.map((of) => ({ ...of, offset: 3n })) }, fine)
  truncator.begin(at(10n), 0)
  await truncator.truncate(5000)
  assert.deepEqual(requests, [[{ partition: 0, offset: '3' }]])
})

test('given a membership in doubt, a newer generation, or a partition that has moved, nothing is deleted', async () => {
  const doubtful = truncating({ generation: () => undefined }, fine)
  doubtful.truncator.begin(at(10n), 0)
  await doubtful.truncator.truncate(5000)
  let generation = 0
  const newer = truncating({ generation: () => (generation += 1) }, fine)
  newer.truncator.begin(at(10n), 0)
  await newer.truncator.truncate(5000)
  const moved = truncating({ committed: async (wanted) => (moved.truncator.end(0), [...wanted]) }, fine)
  moved.truncator.begin(at(10n), 0)
  await moved.truncator.truncate(5000)
  assert.deepEqual([doubtful.requests, newer.requests, moved.requests.flat()], [[], [], []])
})

test('given a log that is not known to hold the position, also only since Kafka was asked, nothing is deleted', async () => {
  const stopped = truncating({ isSound: ({ partition }) => partition !== 0 }, fine)
  stopped.truncator.begin(at(10n, 0), 0)
  stopped.truncator.begin(at(20n, 1), 0)
  await stopped.truncator.truncate(5000)
  let isSound = true
  const stopping = truncating({ isSound: () => isSound, committed: async (wanted) => ((isSound = false), [...wanted]) }, fine)
  stopping.truncator.begin(at(10n), 0)
  await stopping.truncator.truncate(5000)
  assert.deepEqual([stopped.requests.flat(), stopping.requests.flat()], [[{ partition: 1, offset: '20' }], []])
})

test('given a partition whose truncation fails, it alone is tried again, and nothing is thrown', async () => {
  const { truncator, requests } = truncating({}, (requested) => requested.map(({ partition }) => ({ partition, errorCode: partition === 1 && requests.length === 1 ? 7 : 0 })))
  truncator.begin(at(10n, 0), 0)
  truncator.begin(at(20n, 1), 0)
  await truncator.truncate(5000)
  await truncator.truncate(6000)
  await truncator.truncate(7000)
  assert.deepEqual(requests.map((partitions) => partitions.map(({ partition }) => partition)), [[0, 1], [1]])
  const broken = truncating({ committed: async () => Promise.reject(new Error('coordinator away')) }, fine)
  broken.truncator.begin(at(10n), 0)
  await broken.truncator.truncate(5000)
  assert.deepEqual(broken.requests, [])
})
