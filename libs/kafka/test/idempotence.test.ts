import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KafkaError } from '../src/errors.ts'
import { Lane, type LaneBatch } from '../src/producer/lane.ts'
import type { Outcome } from '../src/producer/produce.ts'
import { settle } from '../src/producer/settle.ts'
import { CODES, PartitionLog } from './fixtures/partition-log.ts'

/** What befalls one attempt. Each copy of a request that is `late` arrives at a later step, or never. */
interface Step {
  fate: 'answered' | 'answer-lost' | 'request-lost' | 'late' | 'twice' | 'leader-died'
  /** Records that callers send before it, and the patience of each. */
  sends: { deadlineMs: number; bad: boolean }[]
  /** Late copies that arrive before it. */
  arrivals: number
  moveTo: number | undefined
  maxBatchRecords: number
}

const step: fc.Arbitrary<Step> = fc.record({
  fate: fc.constantFrom('answered', 'answered', 'answer-lost', 'request-lost', 'late', 'twice', 'leader-died'),
  sends: fc.array(fc.record({ deadlineMs: fc.constantFrom(2, 5, 50, 1000), bad: fc.integer({ min: 0, max: 19 }).map((dice) => dice === 0) }), { maxLength: 4 }),
  arrivals: fc.nat({ max: 2 }),
  moveTo: fc.option(fc.nat({ max: 1 }), { nil: undefined, freq: 6 }),
  maxBatchRecords: fc.integer({ min: 1, max: 6 }),
})

const RECORD_BYTES = 100
const lost: Outcome = { error: Object.assign(new Error('no answer'), { name: 'KafkaJSConnectionClosedError' }) }

interface Run {
  log: string[]
  /** By key: the offset, or the code of the rejection. */
  outcomes: Map<string, bigint | string>
}

/** One lane and its partition, a millisecond a step; in the end all is well until the lane is empty. */
function run(steps: readonly Step[], checksSequences: boolean): Run {
  const bad = new Set<string>()
  const log = new PartitionLog({ checksSequences, refuses: (key) => bad.has(key) })
  const lane = new Lane('t', 0)
  const outcomes = new Map<string, bigint | string>()
  const late: { node: number; batch: LaneBatch }[] = []
  let producerIds = 0n
  let sent = 0
  let now = 0
  const fine: Step = { fate: 'answered', sends: [], arrivals: 2, moveTo: undefined, maxBatchRecords: 3 }

  const attempt = ({ fate, sends, arrivals, moveTo, maxBatchRecords }: Step): void => {
    now += 1
    for (const { deadlineMs, bad: isBad } of sends) {
      const key = String(sent++)
      if (isBad) bad.add(key)
      const settled = (outcome: bigint | string) => {
        assert.ok(!outcomes.has(key), `${key} has two outcomes`)
        outcomes.set(key, outcome)
      }
      const record = { topic: 't', partition: 0, key, value: null, timestamp: 0 }
      lane.push({ record, bytes: RECORD_BYTES, sentAt: now, deadline: now + deadlineMs, resolve: settled, reject: ({ code }) => settled(code) })
    }
    if (moveTo !== undefined) log.moveLeader(moveTo, true)
    for (const { node, batch } of late.splice(0, arrivals)) log.produce(node, batch)
    lane.expire(now)
    if (lane.empty) return
    if (!lane.identified) lane.identify((producerIds += 1n))
    const batch = lane.take(61 + maxBatchRecords * RECORD_BYTES)
    settle(lane, deliver(fate, batch), now)
  }

  const deliver = (fate: Step['fate'], batch: LaneBatch): Outcome => {
    const node = log.leader
    if (fate === 'request-lost') return lost
    if (fate === 'late') {
      late.push({ node, batch })
      return lost
    }
    const answer = log.produce(node, batch)
    if (fate === 'leader-died') {
      log.moveLeader(1 - node, false)
      return { code: CODES.notLeader }
    }
    log.replicate()
    if (fate === 'twice') late.push({ node, batch })
    return fate === 'answer-lost' ? lost : answer
  }

  for (const each of steps) attempt(each)
  for (let tries = 0; !lane.empty || late.length > 0; tries += 1) {
    assert.ok(tries < 10_000, 'the lane does not come to an end')
    attempt(fine)
  }
  return { log: log.keys, outcomes }
}

/** What callers rely on. Throws at the first thing that is wrong. */
function check({ log, outcomes }: Run): void {
  assert.equal(new Set(log).size, log.length, 'a record is in the log twice')
  assert.deepEqual(log, log.toSorted((a, b) => Number(a) - Number(b)), 'the order of the sends is lost')
  for (const [key, outcome] of outcomes) {
    if (typeof outcome === 'bigint') assert.equal(log[Number(outcome)], key, 'an acknowledged record is not at its offset')
    else if (outcome !== 'KAFKA_DELIVERY_TIMEOUT') assert.ok(!log.includes(key), 'a refused record is in the log')
  }
}

test('whatever becomes of requests, answers and leaders: no record twice, none missing that was acknowledged, in order', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => check(run(steps, true))), { numRuns: 2000 })
})

test('the property holds by the sequences: a broker that ignores them has records twice', () => {
  const { failed } = fc.check(fc.property(fc.array(step, { maxLength: 40 }), (steps) => check(run(steps, false))), { numRuns: 200 })
  assert.ok(failed)
})

/** A lane with one batch under way: of three records, sent before without an answer if in doubt. */
function underWay(inDoubt: boolean) {
  const lane = new Lane('t', 0)
  const outcomes: (bigint | string)[] = []
  lane.identify(7n)
  for (let index = 0; index < 3; index += 1) {
    const record = { topic: 't', partition: 0, key: String(index), value: null, timestamp: 0 }
    lane.push({ record, bytes: 100, sentAt: 0, deadline: 1000, resolve: (offset) => (outcomes[index] = offset), reject: ({ code }) => (outcomes[index] = code) })
  }
  lane.take(1000)
  if (inDoubt) {
    lane.failed(new KafkaError('KAFKA_UNREACHABLE', 'no answer'), 0)
    lane.take(1000)
  }
  return { lane, outcomes }
}

test('a batch that the log has missed the one before goes again under a new epoch, once a second leader says so', () => {
  for (const inDoubt of [false, true]) {
    const { lane, outcomes } = underWay(inDoubt)
    const { sequence } = (({ next }) => {
      assert.equal(next, 'retry')
      return lane.take(1000)
    })(settle(lane, { code: CODES.outOfOrder }, 1))
    assert.deepEqual(sequence, { producerId: 7n, epoch: 0, first: 0 })
    const step = settle(lane, { code: CODES.outOfOrder }, 2)
    assert.deepEqual([step.next, 'mayRepeat' in step && step.mayRepeat], ['restarted', false])
    assert.deepEqual(lane.take(1000).sequence, { producerId: 7n, epoch: 1, first: 0 })
    assert.deepEqual(outcomes, [])
  }
})

test('a batch that is in the log at an unknown offset is acknowledged once the end of the log is known', () => {
  const { lane, outcomes } = underWay(true)
  assert.equal(settle(lane, { code: CODES.duplicate }, 1).next, 'locate')
  lane.acknowledgedUpTo(41n)
  assert.deepEqual(outcomes, [41n, 41n, 41n])
  assert.ok(lane.empty)
})

test('a connection that fails says nothing about the batch, whatever the broker called it', () => {
  const { lane, outcomes } = underWay(false)
  const error = Object.assign(new Error('not valid given the current SASL state'), { type: 'ILLEGAL_SASL_STATE' })
  assert.equal(settle(lane, { error }, 1).next, 'retry')
  assert.deepEqual([outcomes, lane.inDoubt], [[], true])
})

test('a producer whose epoch is another’s asks for an id of its own', () => {
  for (const code of [CODES.invalidEpoch, CODES.fenced]) {
    const { lane, outcomes } = underWay(true)
    const step = settle(lane, { code }, 1)
    assert.deepEqual([step.next, 'mayRepeat' in step && step.mayRepeat, lane.identified], ['restarted', true, false])
    lane.identify(8n)
    const { parcels, sequence } = lane.take(1000)
    assert.deepEqual([parcels.length, sequence, outcomes], [3, { producerId: 8n, epoch: 0, first: 0 }, []])
  }
})
