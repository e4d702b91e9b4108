import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestError } from '@azure/storage-blob'
import { Attempts, DEFAULT_RETRY_POLICY } from '../src/attempts.ts'
import { TryTimeout } from '../src/azure-errors.ts'
import { CongestionWindow } from '../src/congestion-window.ts'
import { VirtualClock } from '../src/simulated-storage.ts'

const ONE_AT_A_TIME = { initial: 1, min: 1, max: 1, maxBytes: 1_000 }

function given(limits = { initial: 1_000, min: 1_000, max: 1_000, maxBytes: 1_000_000 }) {
  const clock = new VirtualClock()
  return { clock, attempts: new Attempts(DEFAULT_RETRY_POLICY, clock, new CongestionWindow(limits), () => 0.5) }
}

function busy(headers: Record<string, string> = {}): RestError {
  const response = { status: 503, headers: new Map(Object.entries(headers)) }
  return new RestError('busy', { statusCode: 503, code: 'ServerBusy', response: response as never })
}

test('a deadline begins when a request is sent, not when it is queued', async () => {
  const { clock, attempts } = given(ONE_AT_A_TIME)
  const take = (ms: number) => async (signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      clock.after(ms, () => resolve('answered'))
      signal.addEventListener('abort', () => reject(new Error('aborted')))
    })
  const calls = [25_000, 25_000, 25_000].map(async (ms) => attempts.once({ lane: 'upload' }, take(ms)))
  const slow = attempts.once({ lane: 'upload' }, take(31_000))
  const refused = assert.rejects(slow, TryTimeout)
  await clock.run(200_000)
  assert.deepEqual(await Promise.all(calls), ['answered', 'answered', 'answered'])
  await refused
})

for (const [name, value] of [['retry-after', '7'], ['x-ms-retry-after-ms', '7000'], ['retry-after-ms', '7000']] as const) {
  test(`a retry waits as long as ${name} asks`, async () => {
    const { clock, attempts } = given()
    const sentAt: number[] = []
    void attempts.retried({ lane: 'control' }, async () => {
      sentAt.push(clock.now())
      if (sentAt.length === 1) throw busy({ [name]: value })
    }, () => {})
    await clock.run(60_000)
    assert.equal(sentAt.length, 2)
    assert.ok(sentAt[1]! >= 7_000 && sentAt[1]! < 8_000, `${sentAt[1]}`)
  })
}

test('however many calls fail, retries stay a small share of them', async () => {
  const { clock, attempts } = given()
  let sent = 0
  const reasons = new Map<string, number>()
  const calls = Array.from({ length: 1_000 }, async (_, n) => {
    await new Promise<void>((resolve) => clock.after(n * 20, resolve))
    return attempts
      .retried({ lane: 'control' }, async () => (sent++, Promise.reject(busy())), (_error, reason) => reasons.set(reason, (reasons.get(reason) ?? 0) + 1))
      .catch(() => 'failed')
  })
  await clock.run(120_000)
  assert.ok((await Promise.all(calls)).every((outcome) => outcome === 'failed'))
  // 15 % of 1,000, what is saved up, and one a second until the last call has ended.
  assert.ok(sent - 1_000 <= 150 + 30 + 60, `${sent - 1_000} retries`)
  assert.ok(sent - 1_000 >= 150)
  assert.deepEqual([...reasons], [['busy', sent - 1_000]])
})

test('a call that is aborted while it waits for its retry ends with the signal’s reason and leaves no slot behind', async () => {
  const { clock, attempts } = given()
  const leaving = new AbortController()
  const call = attempts.retried({ lane: 'control', signal: leaving.signal }, async () => Promise.reject(busy({ 'retry-after': '30' })), () => {})
  const reason = new Error('shutdown')
  const ended = assert.rejects(call, (error) => error === reason)
  await clock.run(1_000)
  leaving.abort(reason)
  await ended
  assert.deepEqual([attempts.queue.inFlight, attempts.queue.queued], [0, 0])
})

test('a refusal makes room for fewer requests at once, one that concerns a single blob does not', async () => {
  const { attempts } = given({ initial: 64, min: 2, max: 64, maxBytes: 1_000 })
  await assert.rejects(attempts.once({ lane: 'control' }, async () => Promise.reject(new RestError('gone', { statusCode: 404 }))))
  assert.equal(attempts.queue.limit, 64)
  await assert.rejects(attempts.once({ lane: 'control' }, async () => Promise.reject(busy())))
  assert.equal(attempts.queue.limit, 32)
})
