import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMarks, encodeMarks, TruncationPlan } from '../src/consumer/truncation-plan.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

test('given commits over time, records are due once an hour has passed since a commit behind them', () => {
  const plan = new TruncationPlan(HOUR, 100n, 0)
  for (let minute = 1; minute <= 30; minute += 1) plan.committed(100n + BigInt(minute), minute * MINUTE)
  assert.equal(plan.due(HOUR - 1), undefined)
  assert.equal(plan.due(HOUR), 100n)
  assert.equal(plan.due(HOUR + 10 * MINUTE), 110n)
  assert.equal(plan.due(3 * HOUR), 130n)
})

test('given a commit every second, few marks stand for all of them and none is due early', () => {
  const plan = new TruncationPlan(HOUR, 0n, 0)
  for (let second = 1; second <= 7200; second += 1) {
    plan.committed(BigInt(second), second * 1000)
    const due = plan.due(second * 1000)
    if (due === undefined) continue
    assert.ok(Number(due) * 1000 + HOUR <= second * 1000, `offset ${due} at ${second} s`)
    plan.truncated(due)
  }
  // What was committed an hour before is deleted, to within the distance of two marks.
  assert.ok(plan.overdueMs(7200_000) <= MINUTE)
  assert.equal(plan.due(7200_000 + HOUR), 7200n)
})

test('given owners that change every ten minutes, truncation goes on: each inherits the oldest mark', () => {
  let truncated = 0n
  let metadata: string | undefined
  let committed = 0n
  for (let minute = 0; minute < 300; minute += 10) {
    const plan = new TruncationPlan(HOUR, committed, minute * MINUTE, decodeMarks(metadata))
    for (let step = 0; step < 10; step += 1) {
      const now = (minute + step) * MINUTE
      committed += 1n
      metadata = encodeMarks(plan.inheritance(now))
      plan.committed(committed, now)
      const due = plan.due(now)
      if (due !== undefined) plan.truncated((truncated = due))
      assert.ok(truncated <= committed)
    }
  }
  assert.ok(truncated > 150n, `truncated to ${truncated} of ${committed}`)
})

test('given an offset that an operator has set back, what lies behind it is kept', () => {
  const plan = new TruncationPlan(HOUR, 10n, 0)
  plan.committed(20n, 10 * MINUTE)
  plan.committed(15n, 20 * MINUTE)
  assert.equal(plan.due(10 * HOUR), 15n)
})

test('given a mark beyond the committed offset, or of a clock that was ahead, it neither deletes too much nor blocks', () => {
  assert.equal(new TruncationPlan(HOUR, 10n, 0, [{ offset: 50n, at: -10 * HOUR }]).due(HOUR), 10n)
  assert.equal(new TruncationPlan(HOUR, 10n, 0, [{ offset: 5n, at: 1000 * HOUR }]).due(HOUR), 10n)
})

test('given an owner that ends before it truncates what is due, or right after, the next one knows what comes then', () => {
  const first = new TruncationPlan(HOUR, 10n, 0)
  first.committed(20n, 30 * MINUTE)
  const inherited = first.inheritance(HOUR + MINUTE)
  for (const next of [new TruncationPlan(HOUR, 20n, HOUR + MINUTE, inherited), new TruncationPlan(HOUR, 20n, HOUR + MINUTE, decodeMarks(encodeMarks(inherited)))]) {
    assert.equal(next.due(HOUR + MINUTE), 10n)
    next.truncated(10n)
    assert.equal(next.due(HOUR + 31 * MINUTE), 20n)
  }
})

test('marks of others and garbage in the metadata are ignored', () => {
  const marks = [{ offset: 7n, at: 1 }, { offset: 2n ** 62n, at: 1_800_000_000_000 }]
  assert.deepEqual(decodeMarks(encodeMarks(marks)), marks)
  for (const metadata of [undefined, '', 'truncate=', 'truncate=1@', 'truncate=-1@5', 'consumer-1', 'truncate=1@2 ', 'truncate=1@2,', 'truncate=1@2,3@4,5@6']) assert.deepEqual(decodeMarks(metadata), [])
})
