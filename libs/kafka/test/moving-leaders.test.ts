import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@longtake/testkit'
import fc from 'fast-check'
import { Stream } from '../src/consumer/stream.ts'
import { Fetcher } from '../src/fetch/fetcher.ts'
import { MovingCluster, TOPIC, type Mischief } from './fixtures/moving-cluster.ts'
import { VirtualTime } from './fixtures/virtual-time.ts'

const STEPS = 12
const STEP_MS = 40
const PARTITIONS = 2
/** After the last fault everything has to be read within this; the longest backoff is 2 s. */
const SETTLED_WITHIN_MS = 20_000

const probability = fc.constantFrom(0, 0, 0.1, 0.4)
const mischief: fc.Arbitrary<Mischief> = fc.record({
  delayMs: fc.constantFrom(5, 40, 200),
  staleBroker: probability,
  staleMetadata: probability,
  replayed: probability,
  twice: probability,
  reordered: probability,
  truncated: probability,
  leftOut: probability,
  broken: probability,
})

async function run(seed: number, probabilities: Mischief, withEpochs: boolean): Promise<void> {
  const random = seededRandom(seed)
  using time = new VirtualTime()
  const cluster = new MovingCluster(random, probabilities, { partitions: PARTITIONS, withEpochs })
  const fetcher = new Fetcher(cluster)
  const handed: number[][] = cluster.logs.map(() => [])
  const done = cluster.logs.map(() => new Set<number>())
  const streams = cluster.logs.map(
    (_, partition) =>
      new Stream({
        topic: TOPIC,
        partition,
        start: 0n,
        fetcher,
        log: cluster.log,
        group: 'g',
        open: () => Promise.resolve(true),
        wants: () => true,
        failed: (error) => assert.fail(error),
        handle: (record) => void handed[partition]!.push(Number(record.offset)),
      }),
  )
  const check = (): void => {
    streams.forEach(({ tracker }, partition) => {
      const records = handed[partition]!
      assert.deepEqual(records, records.map((_, index) => index), 'handed out in order, without a hole, once')
      const firstOpen = records.find((offset) => !done[partition]!.has(offset)) ?? records.length
      assert.ok(tracker.committable <= BigInt(firstOpen), `${tracker.committable} might be committed, but ${firstOpen} is not done`)
    })
  }
  const complete = (share: number): void => {
    streams.forEach(({ tracker }, partition) => {
      for (const offset of handed[partition]!) {
        if (done[partition]!.has(offset) || !random.chance(share)) continue
        done[partition]!.add(offset)
        tracker.done(BigInt(offset))
      }
    })
  }
  try {
    for (let step = 0; step < STEPS; step += 1) {
      cluster.step()
      await time.pass(STEP_MS)
      complete(0.5)
      check()
    }
    cluster.quiet = true
    cluster.step()
    const isWhole = () => cluster.logs.every(({ end }, partition) => handed[partition]!.length === end)
    for (let waited = 0; waited < SETTLED_WITHIN_MS && !isWhole(); waited += STEP_MS) await time.pass(STEP_MS)
    complete(1)
    check()
    assert.deepEqual(handed.map(({ length }) => length), cluster.logs.map(({ end }) => end), 'everything is handed out in the end')
    assert.deepEqual(streams.map(({ tracker }) => Number(tracker.committable)), cluster.logs.map(({ end }) => end))
    assert.equal(cluster.mostInFlight, 1, 'a partition is asked of one broker at a time')
  } finally {
    for (const stream of streams) stream.stop()
    const closed = fetcher.close()
    await time.pass(1000)
    await closed
  }
}

test('whatever leaders and answers do, records come once, in order, and nothing is committable before it is done', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), mischief, fc.boolean(), run),
    { numRuns: 150 },
  )
})
