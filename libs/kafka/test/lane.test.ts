import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KafkaError } from '../src/errors.ts'
import { Lane, sequenceAfter } from '../src/producer/lane.ts'
import { BATCH_OVERHEAD } from '../src/record.ts'

type Outcome = bigint | string

/** A lane with `count` records of 100 bytes, and what became of each. */
function laneOf(count: number, deadline: (index: number) => number = () => Infinity) {
  const lane = new Lane('t', 0)
  lane.identify(7n)
  const outcomes: (Outcome | undefined)[] = Array.from({ length: count })
  for (let index = 0; index < count; index += 1) {
    lane.push({
      record: { topic: 't', partition: 0, key: String(index), value: null, timestamp: 0 },
      bytes: 100,
      sentAt: 0,
      deadline: deadline(index),
      resolve: (offset) => (outcomes[index] = offset),
      reject: (error) => (outcomes[index] = error.code),
    })
  }
  return { lane, outcomes }
}
const keys = ({ parcels }: ReturnType<Lane['take']>) => parcels.map(({ record }) => Number(record.key))
const tooLarge = new KafkaError('KAFKA_RECORD_TOO_LARGE', 'too large')

test('a batch holds what fits, in order, and the next one goes on behind it', () => {
  const { lane, outcomes } = laneOf(5)
  const first = lane.take(BATCH_OVERHEAD + 250)
  assert.deepEqual(keys(first), [0, 1])
  assert.equal(first.bytes, BATCH_OVERHEAD + 200)
  lane.acknowledged(40n)
  assert.deepEqual(keys(lane.take(BATCH_OVERHEAD + 300)), [2, 3, 4])
  lane.acknowledged(42n)
  assert.deepEqual(outcomes, [40n, 41n, 42n, 43n, 44n])
  assert.equal(lane.bytes, 0)
})

test('a record larger than a batch goes alone, for the broker to judge', () => {
  const { lane } = laneOf(2)
  assert.deepEqual(keys(lane.take(10)), [0])
})

test('only one batch is under way', () => {
  const { lane } = laneOf(2)
  lane.take(BATCH_OVERHEAD + 100)
  assert.throws(() => lane.take(1000))
})

test('a failed batch goes again from the same head, so retries keep the order', () => {
  const { lane, outcomes } = laneOf(3)
  const first = lane.take(BATCH_OVERHEAD + 200)
  lane.failed(new Error('no answer'), 1)
  assert.deepEqual(lane.take(BATCH_OVERHEAD + 300), first, 'the same records under the same sequence, though more would fit')
  assert.deepEqual(outcomes, [undefined, undefined, undefined])
  lane.acknowledged(5n)
  assert.deepEqual(outcomes, [5n, 6n, undefined])
  assert.deepEqual(lane.take(1000).sequence, { producerId: 7n, epoch: 0, first: 2 })
})

test('exactly the refused records are rejected, wherever they stand; all others are acknowledged in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.nat({ max: 39 })), fc.integer({ min: 100, max: 5000 }), (count, refused, maxBytes) => {
      const { lane, outcomes } = laneOf(count)
      const log: number[] = []
      for (let attempts = 0; !lane.empty; attempts += 1) {
        assert.ok(attempts < 400, 'the lane does not come to an end')
        const batch = keys(lane.take(maxBytes))
        if (batch.some((index) => refused.includes(index))) lane.refused(tooLarge)
        else {
          lane.acknowledged(BigInt(log.length))
          log.push(...batch)
        }
      }
      assert.deepEqual(log, Array.from({ length: count }, (_, index) => index).filter((index) => !refused.includes(index)))
      outcomes.forEach((outcome, index) => assert.equal(outcome, refused.includes(index) ? 'KAFKA_RECORD_TOO_LARGE' : BigInt(log.indexOf(index))))
    }),
  )
})

test('a deadline ends waiting records, but never one whose batch is under way', () => {
  const { lane, outcomes } = laneOf(4, (index) => (index % 2 === 0 ? 10 : 1000))
  lane.take(BATCH_OVERHEAD + 100)
  lane.expire(10)
  assert.deepEqual(outcomes, [undefined, undefined, 'KAFKA_DELIVERY_TIMEOUT', undefined])
  lane.failed(new Error('no answer'), 10)
  assert.deepEqual(outcomes, ['KAFKA_DELIVERY_TIMEOUT', undefined, 'KAFKA_DELIVERY_TIMEOUT', undefined])
  assert.deepEqual(keys(lane.take(1000)), [1, 3])
  assert.equal(lane.bytes, 200)
})

test('a batch in doubt stays whole while one of its callers waits, and answers each of them once', () => {
  const { lane, outcomes } = laneOf(3, (index) => (index === 0 ? 10 : 1000))
  const first = lane.take(BATCH_OVERHEAD + 200)
  lane.failed(new Error('no answer'), 10)
  assert.deepEqual(outcomes, ['KAFKA_DELIVERY_TIMEOUT', undefined, undefined])
  assert.deepEqual(lane.take(1000), first)
  lane.acknowledged(40n)
  assert.deepEqual(outcomes, ['KAFKA_DELIVERY_TIMEOUT', 41n, undefined])
  assert.equal(lane.bytes, 100)
})

test('the sequence of a batch in doubt that nobody waits for is never used again', () => {
  const { lane } = laneOf(3, (index) => (index < 2 ? 10 : 1000))
  lane.take(BATCH_OVERHEAD + 200)
  lane.failed(new Error('no answer'), 10)
  const { parcels, sequence } = lane.take(1000)
  assert.deepEqual(parcels.map(({ record }) => record.key), ['2'])
  assert.deepEqual(sequence, { producerId: 7n, epoch: 1, first: 0 })
})

test('a batch that was certainly not taken is split under the sequence that it had', () => {
  const { lane } = laneOf(4)
  lane.take(1000)
  lane.refused(tooLarge)
  const half = lane.take(1000)
  assert.deepEqual([keys(half), half.sequence.epoch, half.sequence.first], [[0, 1], 0, 0])
})

test('a refused batch that may be in the log by an earlier attempt is not sent in parts', () => {
  const { lane, outcomes } = laneOf(3)
  lane.take(BATCH_OVERHEAD + 200)
  lane.failed(new Error('no answer'), 1)
  lane.take(1000)
  lane.refused(tooLarge)
  assert.deepEqual(outcomes, ['KAFKA_DELIVERY_TIMEOUT', 'KAFKA_DELIVERY_TIMEOUT', undefined])
  assert.deepEqual(lane.take(1000).sequence, { producerId: 7n, epoch: 1, first: 0 })
})

test('sequences wrap behind the last 31-bit number, within a batch too', () => {
  assert.equal(sequenceAfter(0x7fff_ffff - 1, 1), 0x7fff_ffff)
  assert.equal(sequenceAfter(0x7fff_ffff - 1, 4), 2)
})

test('behind the last epoch another producer id is needed', () => {
  const { lane } = laneOf(1)
  for (let epoch = 0; epoch < 0x7fff; epoch += 1) lane.newEpoch()
  assert.equal(lane.take(1000).sequence.epoch, 0x7fff)
  lane.newEpoch()
  assert.ok(!lane.identified)
  assert.throws(() => lane.take(1000))
})

test('what is abandoned while under way stays rejected when the answer comes', () => {
  const { lane, outcomes } = laneOf(2)
  lane.take(1000)
  lane.abandon(new KafkaError('KAFKA_CLOSED', 'closed'))
  lane.acknowledged(0n)
  assert.deepEqual(outcomes, ['KAFKA_CLOSED', 'KAFKA_CLOSED'])
})
