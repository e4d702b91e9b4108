import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Cluster } from '../src/cluster.ts'
import type { KafkaError } from '../src/errors.ts'
import type { FetchedPartition } from '../src/fetch/decode.ts'
import { Fetcher, type FetchTarget } from '../src/fetch/fetcher.ts'
import { logBatch } from './fixtures/moving-cluster.ts'

/** A record batch's frame of format 2, with bytes in it that its checksum does not fit. */
function brokenBatch(): Buffer {
  const batch = Buffer.alloc(100, 7)
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  return batch
}

interface Scene {
  fetcher: Fetcher
  target: FetchTarget
  /** What the broker answers from now on. */
  answer: { batches: Buffer } | Error
  until(isSo: () => boolean): Promise<void>
}

function scene(): Scene {
  const log = { error() {}, warn() {}, info() {}, debug() {} }
  const asked: Scene = {
    answer: { batches: Buffer.alloc(0) },
    target: { topic: 'chunks', partition: 3, nextOffset: 0n, wants: () => true, accept: () => undefined, failed: (error) => assert.fail(error) },
    fetcher: new Fetcher({
      log,
      want: () => undefined,
      leader: () => 1,
      refresh: () => Promise.resolve(),
      async raw() {
        await nextTurn()
        if (asked.answer instanceof Error) throw asked.answer
        const partition: FetchedPartition = { topic: 'chunks', partition: 3, errorCode: 0, highWatermark: 1n, batches: asked.answer.batches }
        return { errorCode: 0, partitions: [partition] }
      },
    } as unknown as Cluster),
    async until(isSo) {
      while (!isSo()) await nextTurn()
    },
  }
  return asked
}

test('a partition that cannot be decoded is named as long as that lasts, a broker without an answer too', { timeout: 20_000 }, async () => {
  const read = scene()
  let wants = true
  read.fetcher.add({ ...read.target, wants: () => wants })
  read.answer = { batches: brokenBatch() }
  await read.until(() => /^chunks\/3 cannot be read for 0 s: ./.test(read.fetcher.fault(0) ?? ''))
  assert.equal(read.fetcher.fault(), undefined, 'not before it has lasted')
  wants = false
  assert.equal(read.fetcher.fault(0), undefined, 'nobody wants it')
  wants = true
  read.answer = { batches: Buffer.alloc(0) }
  read.fetcher.wake()
  await read.until(() => read.fetcher.fault(100) === undefined)
  read.answer = new Error('connect ECONNREFUSED')
  await read.until(() => /^Kafka has not answered for \d+ s$/.test(read.fetcher.fault(100) ?? ''))
  wants = false
  read.answer = { batches: Buffer.alloc(0) }
  await read.until(() => read.fetcher.fault(100) === undefined)
  await read.fetcher.close()
})

interface Question {
  api: string
  partition: { partition: number; fetchOffset?: string; currentLeaderEpoch: number; leaderEpoch?: number }
}

/** A broker that leads partition 3 in an epoch, and answers what each test has it answer. */
class Leader implements AsyncDisposable {
  epoch = 4
  readonly questions: Question[] = []
  readonly handed: bigint[] = []
  readonly errors: object[] = []
  readonly stopped: KafkaError[] = []
  fetched: (fetchOffset: number) => Partial<FetchedPartition>[] = () => [{}]
  throttleTimeMs = 0
  epochEnd: { errorCode: number; leaderEpoch: number; endOffset: bigint } = { errorCode: 0, leaderEpoch: 4, endOffset: 99n }
  readonly fetcher: Fetcher

  constructor(start: { offset: bigint; epoch?: number } = { offset: 0n }) {
    const silent = () => undefined
    this.fetcher = new Fetcher({
      log: { debug: silent, info: silent, warn: silent, error: (fields) => void this.errors.push(fields) },
      want: silent,
      leader: () => 1,
      leaderEpoch: () => this.epoch,
      refresh: () => Promise.resolve(),
      raw: <T>(_: number, api: string, args: object) => this.#answer(api, args) as Promise<T>,
    })
    this.fetcher.add({
      topic: 'chunks',
      partition: 3,
      nextOffset: start.offset,
      ...(start.epoch === undefined ? {} : { startEpoch: start.epoch }),
      wants: () => true,
      accept: ({ records }) => this.handed.push(...records.map(({ offset }) => offset)),
      failed: (error) => this.stopped.push(error),
    })
  }

  async #answer(api: string, args: object): Promise<unknown> {
    await nextTurn()
    const [partition] = (args as { topics: { partitions: Question['partition'][] }[] }).topics[0]!.partitions
    this.questions.push({ api, partition: partition! })
    if (api === 'OffsetForLeaderEpoch') return { topics: [{ topic: 'chunks', partitions: [{ partition: 3, ...this.epochEnd }] }] }
    const empty = { topic: 'chunks', partition: 3, errorCode: 0, highWatermark: 99n, batches: Buffer.alloc(0) }
    return { throttleTimeMs: this.throttleTimeMs, errorCode: 0, partitions: this.fetched(Number(partition!.fetchOffset)).map((each) => ({ ...empty, ...each })) }
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await nextTurn()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fetcher.close()
  }
}

const upTo = (end: number, epoch: number) => (fetchOffset: number) => [{ batches: fetchOffset < end ? logBatch(fetchOffset, end, epoch) : Buffer.alloc(0) }]

test('given a leader of a new epoch that has all that was read, then reading goes on there', { timeout: 20_000 }, async () => {
  await using leader = new Leader()
  leader.fetched = upTo(3, 4)
  await leader.until(() => leader.handed.length === 3)
  leader.epoch = 6
  leader.fetched = upTo(5, 6)
  await leader.until(() => leader.handed.length === 5)
  const validations = leader.questions.filter(({ api }) => api === 'OffsetForLeaderEpoch').map(({ partition }) => partition)
  assert.deepEqual(validations, [{ topic: 'chunks', partition: 3, currentLeaderEpoch: 6, leaderEpoch: 4 }])
  assert.deepEqual(leader.questions.filter(({ partition }) => Number(partition.fetchOffset) === 3).at(-1)?.partition.currentLeaderEpoch, 6)
  assert.equal(leader.stopped.length, 0)
})

test('given a leader of a new epoch that lacks what was read, then the partition stops with an alarm before anything else is read', { timeout: 20_000 }, async () => {
  for (const epochEnd of [
    { errorCode: 0, leaderEpoch: 4, endOffset: 2n }, // the third record is cut off
    { errorCode: 0, leaderEpoch: 3, endOffset: 3n }, // the third record is another one
    { errorCode: 0, leaderEpoch: -1, endOffset: -1n }, // the topic was made anew
  ]) {
    await using leader = new Leader()
    leader.fetched = upTo(3, 4)
    await leader.until(() => leader.handed.length === 3)
    leader.epoch = 6
    leader.epochEnd = epochEnd
    leader.fetched = upTo(9, 6)
    await leader.until(() => leader.stopped.length > 0)
    assert.equal(leader.stopped[0]?.code, 'KAFKA_LOG_TRUNCATED')
    assert.deepEqual(leader.handed, [0n, 1n, 2n])
  }
})

test('given the epoch of a committed offset, then it is validated before the first fetch', { timeout: 20_000 }, async () => {
  await using leader = new Leader({ offset: 50n, epoch: 2 })
  leader.epochEnd = { errorCode: 0, leaderEpoch: 2, endOffset: 40n }
  await leader.until(() => leader.stopped.length > 0)
  assert.equal(leader.stopped[0]?.code, 'KAFKA_LOG_TRUNCATED')
  assert.deepEqual(leader.questions.map(({ api }) => api), ['OffsetForLeaderEpoch'])
})

test('given one answer that the offset is out of range, as of a deposed leader, then reading goes on; given only such, it stops', { timeout: 20_000 }, async () => {
  await using leader = new Leader()
  let refusals = 1
  leader.fetched = (offset) => (refusals-- > 0 ? [{ errorCode: 1 }] : upTo(3, 4)(offset))
  await leader.until(() => leader.handed.length === 3)
  assert.equal(leader.stopped.length, 0)
  leader.fetched = () => [{ errorCode: 1 }]
  await leader.until(() => leader.stopped.length > 0)
  assert.equal(leader.stopped[0]?.code, 'KAFKA_OFFSET_OUT_OF_RANGE')
})

test('given a broker that throttles with an empty answer, then that is no fault', { timeout: 20_000 }, async () => {
  await using leader = new Leader()
  leader.throttleTimeMs = 5
  leader.fetched = () => []
  await leader.until(() => leader.questions.length >= 3)
  leader.fetched = upTo(3, 4)
  await leader.until(() => leader.handed.length === 3)
  assert.deepEqual(leader.errors, [])
})

test('given an answer that does not fit, then nothing of it is used, it is logged once, and the right one is read', { timeout: 20_000 }, async () => {
  const wrong: [string, Partial<FetchedPartition>[]][] = [
    ['left out', []],
    ['another partition', [{ partition: 4, batches: logBatch(0, 3, 4) }]],
    ['beyond the position', [{ batches: logBatch(1, 3, 4) }]],
    ['a first batch that is cut off', [{ batches: logBatch(0, 3, 4).subarray(0, 70) }]],
    ['a batch of a later epoch than its leader', [{ batches: logBatch(0, 3, 5) }]],
  ]
  for (const [what, partitions] of wrong) {
    await using leader = new Leader()
    leader.fetched = () => partitions
    await leader.until(() => leader.questions.length >= 3)
    assert.deepEqual(leader.handed, [], what)
    assert.match(leader.fetcher.fault(0) ?? '', /^chunks\/3 cannot be read/, what)
    leader.fetched = upTo(3, 4)
    await leader.until(() => leader.handed.length === 3)
    assert.doesNotMatch(leader.fetcher.fault(0) ?? '', /cannot be read/, what)
    assert.equal(leader.errors.length, what === 'another partition' ? 2 : 1, what)
  }
})

test('given a partition in backoff whose move others have learned of, then it is read from its new leader', { timeout: 40_000 }, async ({ signal }) => {
  const UNKNOWN_SERVER_ERROR = -1
  // Nothing of broker 2 was read before, or it leads a partition that is paused.
  for (const isKnown of [false, true]) {
    const leaders = new Map([[3, 1], [4, 1], [5, 2]])
    const handed: bigint[] = []
    let hasFailed = false
    const silent = () => undefined
    const fetcher = new Fetcher({
      log: { debug: silent, info: silent, warn: silent, error: silent },
      want: silent,
      leader: (_, partition) => leaders.get(partition),
      refresh: () => Promise.resolve(),
      async raw<T>(nodeId: number, _: string, args: object) {
        await nextTurn()
        const { topics } = args as { topics: { partitions: { partition: number }[] }[] }
        const asked = topics[0]!.partitions.map(({ partition }) => partition)
        // It moves while it is in backoff and not asked for, so that no answer names the move.
        if (hasFailed && !asked.includes(3)) leaders.set(3, 2)
        hasFailed ||= asked.includes(3)
        const partitions = asked.map((partition) => {
          const errorCode = nodeId === 1 && partition === 3 ? UNKNOWN_SERVER_ERROR : 0
          const batches = nodeId === 2 && handed.length === 0 ? logBatch(0, 3, 4) : Buffer.alloc(0)
          return { topic: 'chunks', partition, errorCode, highWatermark: 3n, batches }
        })
        return { throttleTimeMs: 0, errorCode: 0, partitions } as T
      },
    })
    const target = { topic: 'chunks', nextOffset: 0n, wants: () => true, failed: (error: KafkaError) => assert.fail(error) }
    try {
      if (isKnown) fetcher.add({ ...target, partition: 5, wants: () => false, accept: silent })
      fetcher.add({ ...target, partition: 4, accept: silent })
      const accept: FetchTarget['accept'] = ({ records }) => handed.push(...records.map(({ offset }) => offset))
      fetcher.add({ ...target, partition: 3, accept })
      while (handed.length < 3 && !signal.aborted) await nextTurn()
    } finally {
      await fetcher.close()
    }
    assert.deepEqual(handed, [0n, 1n, 2n])
  }
})
