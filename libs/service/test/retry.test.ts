import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orAborted, retrying } from '../src/index.ts'

const delays = { firstMs: 1, maxMs: 2 }

test('it is attempted until it succeeds, and each failure is reported', async () => {
  const failures: unknown[] = []
  let attempts = 0
  const attempt = (): Promise<string> => {
    attempts += 1
    return attempts < 4 ? Promise.reject(new Error(`failure ${attempts}`)) : Promise.resolve('done')
  }
  const { signal } = new AbortController()
  assert.equal(await retrying(attempt, { delays, signal, failed: (error, count) => failures.push([(error as Error).message, count]) }), 'done')
  assert.deepEqual(failures, [['failure 1', 1], ['failure 2', 2], ['failure 3', 3]])
})

test('an abort ends it with its reason, in a pause too, and before the first attempt', async () => {
  const stopping = new AbortController()
  const failed = () => stopping.abort(new Error('stopped'))
  await assert.rejects(retrying(() => Promise.reject(new Error('no')), { delays: { firstMs: 60_000, maxMs: 60_000 }, signal: stopping.signal, failed }), /stopped/)
  await assert.rejects(retrying(() => assert.fail('not attempted'), { delays, signal: stopping.signal }), /stopped/)
})

test('what was begun has its own outcome', async () => {
  const { signal } = new AbortController()
  assert.equal(await orAborted(Promise.resolve(1), signal), 1)
  await assert.rejects(orAborted(Promise.reject(new Error('refused')), signal), /refused/)
})

test('once the signal aborts nobody waits for what was begun', async () => {
  const stopping = new AbortController()
  const begun = Promise.withResolvers<void>()
  const waiting = orAborted(begun.promise, stopping.signal)
  stopping.abort(new Error('stopping'))
  await assert.rejects(waiting, /stopping/)
  await assert.rejects(orAborted(begun.promise, stopping.signal), /stopping/)
  begun.reject(new Error('nobody listens'))
})
