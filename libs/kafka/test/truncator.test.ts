import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../src/cluster.ts'
import { Truncator, type TruncationFence } from '../src/consumer/truncator.ts'

const cluster = { leader: () => 1, log: { debug() {}, info() {}, warn() {}, error() {} }, refresh: async () => {} }

interface EpochQuestion {
  partition: number
  currentLeaderEpoch: number
}

/** The epoch of every leader. */
const EPOCH = 4

/** A truncator over a broker that answers as asked for, with the requests for deletion that the broker was sent. */
function truncating(
  fence: Partial<TruncationFence>,
  answer: (requested: { partition: number; offset: string }[]) => { partition: number; errorCode: number }[],
  epochError: (question: EpochQuestion) => number = ({ currentLeaderEpoch }) => (currentLeaderEpoch === EPOCH ? 0 : FENCED_LEADER_EPOCH),
) {
  const requests: { partition: number; offset: string }[][] = []
  const raw = async (_node: number, api: string, { topics }: { topics: { topic: string; partitions: EpochQuestion[] }[] }) => {
    assert.equal(api, 'OffsetForLeaderEpoch')
    const end = (question: EpochQuestion) => ({ partition: question.partition, errorCode: epochError(question), leaderEpoch: EPOCH, endOffset: 1000n })
    return { topics: topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map(end) })) }
  }
  const rawAdmin = async (_node: number, _api: string, { topics }: { topics: { topic: string; partitions: { partition: number; offset: string }[] }[] }) => {
    const [{ topic, partitions }] = topics as [(typeof topics)[0]]
    requests.push(partitions)
    return { topics: [{ topic, partitions: answer(partitions) }] }
  }
  const whole: TruncationFence = { committed: async (wanted) => wanted.map((of) => ({ ...of, offset: 1000n })), soundEpoch: () => EPOCH, generation: () => 1, ...fence }
  const truncator = new Truncator({ ...cluster, raw, rawAdmin } as unknown as Cluster, 'g', { behindMs: 1000, everyMs: 100 }, whole)
  return { truncator, requests }
}
const FENCED_LEADER_EPOCH = 74
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
  const stopped = truncating({ soundEpoch: ({ partition }) => (partition === 0 ? undefined : EPOCH) }, fine)
  stopped.truncator.begin(at(10n, 0), 0)
  stopped.truncator.begin(at(20n, 1), 0)
  await stopped.truncator.truncate(5000)
  let soundEpoch: number | undefined = EPOCH
  const stopping = truncating({ soundEpoch: () => soundEpoch, committed: async (wanted) => ((soundEpoch = undefined), [...wanted]) }, fine)
  stopping.truncator.begin(at(10n), 0)
  await stopping.truncator.truncate(5000)
  assert.deepEqual([stopped.requests.flat(), stopping.requests.flat()], [[{ partition: 1, offset: '20' }], []])
})

test('given a leader that was elected since the log was read, then nothing of its partition is deleted', async () => {
  const elected = truncating({ soundEpoch: ({ partition }) => (partition === 0 ? EPOCH - 1 : EPOCH) }, fine)
  elected.truncator.begin(at(10n, 0), 0)
  elected.truncator.begin(at(20n, 1), 0)
  await elected.truncator.truncate(5000)
  assert.deepEqual(elected.requests, [[{ partition: 1, offset: '20' }]])
  const unavailable = truncating({}, fine, () => 3)
  unavailable.truncator.begin(at(10n), 0)
  await unavailable.truncator.truncate(5000)
  assert.deepEqual(unavailable.requests, [])
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
