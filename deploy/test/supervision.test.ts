import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Decision, decide, healthy, type Health, MAX_RESTARTS, type Observation, RESTART_WINDOW_MS, unlessBusy } from '../local/supervision.ts'

/** Observations as [when it began, when it ended, what it was]; gives what was decided after each. */
function run(observations: readonly (readonly [number, number, Observation])[], before: Health = healthy): { decisions: Decision[]; health: Health } {
  let health = before
  const decisions = observations.map(([beganMs, nowMs, observation]) => {
    const next = decide(health, observation, beganMs, nowMs)
    health = next.health
    return next.decision
  })
  return { decisions, health }
}
const actions = (observations: Parameters<typeof run>[0]): string[] => run(observations).decisions.map(({ action }) => action)

test('a process that has ended is restarted at once', () => {
  assert.deepEqual(run([[0, 10, 'ended']]).decisions, [{ action: 'restart', pauseMs: 500, reason: 'its process has ended' }])
})

test('one that answers nothing, or rejects each write, is restarted after seven seconds; one lost probe is none', () => {
  for (const observation of ['silent', 'rejects'] as const) {
    assert.deepEqual(actions([[0, 3500, observation], [4000, 6999, observation], [7000, 7001, observation]]), ['wait', 'wait', 'restart'])
    assert.deepEqual(actions([[0, 3500, observation], [4000, 4010, 'works'], [6010, 9510, observation]]), ['wait', 'wait', 'wait'])
  }
})

test('one that is slow to write but answers gets thirty seconds', () => {
  assert.deepEqual(actions([[0, 3500, 'slow'], [4000, 29_000, 'slow'], [29_500, 30_000, 'slow']]), ['wait', 'wait', 'restart'])
})

test('one that does not answer because it is at work is slow; where its CPU time is unknown, it is silent', () => {
  assert.deepEqual([unlessBusy('silent', 1800, 3500), unlessBusy('silent', 20, 3500), unlessBusy('silent', 0, 3500)], ['slow', 'silent', 'silent'])
  assert.deepEqual([unlessBusy('rejects', 3500, 3500), unlessBusy('works', 3500, 3500)], ['rejects', 'works'])
})

test('a computer that has slept is no outage: time without a probe does not count', () => {
  assert.deepEqual(actions([[0, 10, 'works'], [3_600_000, 3_603_500, 'silent']]), ['wait', 'wait'])
})

test('restarts have growing pauses, and after five within ten minutes there is no sixth', () => {
  const { decisions, health } = run(Array.from({ length: MAX_RESTARTS + 1 }, (_, n) => [n * 1000, n * 1000, 'ended'] as const))
  assert.deepEqual(decisions.map((decision) => (decision.action === 'restart' ? decision.pauseMs : decision.action)), [500, 1000, 2000, 4000, 8000, 'give-up'])
  assert.equal(run([[RESTART_WINDOW_MS + 5000, RESTART_WINDOW_MS + 5000, 'ended']], health).decisions[0]?.action, 'restart')
})
