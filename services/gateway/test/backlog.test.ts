import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '@longtake/service'
import { watchBacklog } from '../src/backlog-watch.ts'
import { backlogRecords, nextBacklogLevel, RecordSizes, type BacklogLevel } from '../src/backlog.ts'

const levels = (shares: number[]): BacklogLevel[] => {
  let level: BacklogLevel = 'open'
  return shares.map((share) => (level = nextBacklogLevel(level, share * 1000, 1000)))
}

test('given a backlog that grows and shrinks, windows close before chunks are refused, and open later than they closed', () => {
  assert.deepEqual(levels([0.5, 0.79, 0.8, 0.99, 1, 0.95, 0.9, 0.89, 0.7, 0.6, 0.59]), ['open', 'open', 'closing', 'closing', 'full', 'full', 'full', 'closing', 'closing', 'closing', 'open'])
})

test('given a jump, it goes from any level to any other', () => {
  assert.deepEqual(levels([5, 0, 1.2, 0.7, 0]), ['full', 'open', 'full', 'closing', 'open'])
})

test('given records of a few sizes, their mean is learned; before, a webcam is assumed', () => {
  const sizes = new RecordSizes()
  assert.equal(sizes.mean, 64 * 1024)
  for (let i = 0; i < 500_000; i += 1) sizes.add(i % 2 === 0 ? 1000 : 3000)
  assert.ok(Math.abs(sizes.mean - 2000) < 60, `${sizes.mean}`)
})

test('records of all partitions count; one whose commit is ahead of an older look at its end counts none', () => {
  assert.equal(backlogRecords([{ completed: 5n, end: 15n }, { completed: 9n, end: 7n }, { completed: 0n, end: 1n }]), 11)
})

test('given looks that fail, the backlog is reported again once Kafka answers', async () => {
  const seen: number[] = []
  const { promise: seenTwice, resolve } = Promise.withResolvers<void>()
  const answers = [async () => [{ completed: 0n, end: 7n }], async () => Promise.reject(new Error('away')), async () => [{ completed: 0n, end: 9n }]]
  using _watch = watchBacklog({
    progress: () => answers.shift()?.() ?? new Promise(() => {}),
    onRecords: (records) => (seen.push(records) === 2 ? resolve() : undefined),
    everyMs: 1,
    logger: createLogger({ service: 'gateway', level: 'silent' }),
  })
  await seenTwice
  assert.deepEqual(seen, [7, 9])
})
