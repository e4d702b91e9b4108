import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '@longtake/service'
import { watchBacklog } from '../src/backlog-watch.ts'
import { Backlog } from '../src/backlog-state.ts'
import { backlogRecords, LogHistory, nextBacklogLevel, RecordSizes, type BacklogLevel } from '../src/backlog.ts'

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

const MINUTE = 60_000

test('given a log without the progress of its group, what is older than committed records are kept counts', () => {
  const history = new LogHistory(60 * MINUTE)
  const seen = (start: number, end: number, minute: number): number => {
    const partitions = [{ start: BigInt(start), end: BigInt(end) }]
    history.saw(partitions, minute * MINUTE)
    return history.overdueRecords(partitions)
  }
  assert.equal(seen(0, 1000, 0), 1000, 'whether any of it is committed cannot be known yet')
  // 100 records a minute, all committed at once and truncated an hour later.
  for (let minute = 1; minute < 60; minute += 1) seen(0, 1000 + 100 * minute, minute)
  assert.equal(seen(1000, 7000, 60), 0)
  assert.equal(seen(2000, 8000, 70), 0)
  // Nothing is committed from here on, which shows when it should have been truncated.
  assert.equal(seen(5000, 11_000, 100), 0)
  assert.equal(seen(5000, 13_000, 120), 2000)
})

test('given a backlog that cannot be seen, what is sent meanwhile counts, and the gateway is not ready after a while', () => {
  const backlog = new Backlog(100 * 64 * 1024, 0)
  backlog.saw(50, 0)
  for (let i = 0; i < 40; i += 1) backlog.acknowledged(64 * 1024)
  backlog.missed('refused')
  assert.equal(backlog.level, 'closing')
  assert.deepEqual(backlog.check(MINUTE - 1, MINUTE), { ready: true, reason: backlog.reason })
  assert.match(backlog.reason ?? '', /send windows are closed; estimated: refused$/)
  assert.equal(backlog.check(MINUTE, MINUTE).ready, false)
  backlog.saw(10, MINUTE, 'no right to describe the group')
  assert.equal(backlog.level, 'open')
  assert.deepEqual(backlog.check(MINUTE, MINUTE), { ready: true, reason: 'no right to describe the group' })
  backlog.saw(10, MINUTE)
  assert.deepEqual(backlog.check(9 * MINUTE, MINUTE), { ready: true })
})

/** What a watch reports of looks that end like this, one after the other. */
async function reports(looks: readonly { progress: Error | [bigint, bigint]; extent?: Error | [bigint, bigint] }[]): Promise<string[]> {
  const seen: string[] = []
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const report = (text: string): void => void (seen.push(text) === looks.length && resolve())
  let at = -1
  const orThrow = <T>(value: Error | T): T => {
    if (value instanceof Error) throw value
    return value
  }
  using _watch = watchBacklog({
    progress: async () => {
      at += 1
      const [completed, end] = orThrow(looks[at]?.progress ?? new Error('over'))
      return [{ completed, end }]
    },
    extents: async () => {
      const [start, end] = orThrow(looks[at]?.extent ?? new Error('over'))
      return [{ start, end }]
    },
    history: new LogHistory(60 * MINUTE),
    onRecords: (records, fault) => report(`${records}${fault === undefined ? '' : ` (${fault})`}`),
    onUnseen: (fault) => report(`unseen (${fault})`),
    everyMs: 1,
    steadyMs: () => at * MINUTE,
    logger: createLogger({ service: 'gateway', level: 'silent' }),
  })
  await done
  return seen
}

test('given looks that fail, the backlog is reported again once Kafka answers', async () => {
  const away = new Error('away')
  const seen = await reports([{ progress: [0n, 7n] }, { progress: away, extent: away }, { progress: [0n, 9n] }])
  assert.deepEqual(seen, ['7', 'unseen (away)', '9'])
})

test('given a group that may not be described, the log itself says what the backlog is', async () => {
  const progress = new Error('Group authorization failed')
  const seen = await reports([{ progress: [5n, 105n] }, { progress, extent: [5n, 125n] }, { progress, extent: [105n, 130n] }])
  const fault = '(the progress of block-writer cannot be read: Group authorization failed)'
  assert.deepEqual(seen, ['100', `100 ${fault}`, `0 ${fault}`])
})
