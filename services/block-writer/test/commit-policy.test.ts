import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMIT_POLICY as policy, commitDueAt, type Uncommitted } from '../src/core/commit-policy.ts'

const START = 1_000_000
const given = (more: Partial<Uncommitted>): Uncommitted => ({ since: START, bytes: 100, unplayableSince: null, committedMs: 100_000, roomy: true, asked: false, ...more })

test('given nothing uncommitted, nothing is due, whatever is asked', () => {
  assert.equal(commitDueAt(policy, given({ since: null, asked: true })), null)
})

test('given the first chunk of a part, it is committed soon enough to be watched within five seconds', () => {
  assert.equal(commitDueAt(policy, given({ unplayableSince: START, committedMs: 0 })), START + 2_500)
})

test('given a part that does not become playable, commits become rarer up to the usual distance', () => {
  const waits = [0, 5_000, 20_000, 500_000].map((age) => commitDueAt(policy, given({ unplayableSince: START - age }))! - START)
  assert.deepEqual(waits, [2_500, 5_000, 20_000, 30_000])
})

test('given a young recording, its oldest byte waits 30 s; given one of five minutes, 60 s', () => {
  assert.equal(commitDueAt(policy, given({ committedMs: 299_999 })), START + 30_000)
  assert.equal(commitDueAt(policy, given({ committedMs: 300_000 })), START + 60_000)
})

test('given a recording that has just begun, no more than a third is unplayable', () => {
  const waits = [1_000, 2_500, 5_000, 10_000, 58_000].map((committedMs) => commitDueAt(policy, given({ committedMs }))! - START)
  assert.deepEqual(waits, [2_500, 2_500, 2_500, 5_000, 29_000])
})

test('given a full block, or a reason of its own, it is due at once', () => {
  assert.equal(commitDueAt(policy, given({ bytes: 4 * 1024 * 1024 })), START)
  assert.equal(commitDueAt(policy, given({ asked: true })), START)
})

test('given a recording of five minutes, a commit takes twice as much, unless memory is short', () => {
  const given5 = given({ committedMs: 300_000, bytes: 4 * 1024 * 1024 })
  assert.equal(commitDueAt(policy, given5), START + 60_000)
  assert.equal(commitDueAt(policy, { ...given5, roomy: false }), START)
  assert.equal(commitDueAt(policy, { ...given5, bytes: 8 * 1024 * 1024 }), START)
})
