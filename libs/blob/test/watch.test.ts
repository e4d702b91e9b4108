import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Conditions } from '@longtake/testkit'
import { watchStorage } from '../src/index.ts'

test('a storage that does not answer is told of with its own words, and again as well once it answers', async () => {
  const conditions = new Conditions()
  let fails = true
  let asked = 0
  const ping = async (): Promise<void> => {
    asked += 1
    setImmediate(() => conditions.changed())
    if (fails) throw new Error('ECONNREFUSED')
  }
  using watch = watchStorage({ ping }, { everyMs: 5, silenceMs: 20 })
  assert.deepEqual(watch.check(), { ready: true }, 'it gets some time')
  await conditions.until('silence', () => !watch.check().ready, 5_000, () => `${asked} times asked`)
  assert.match(JSON.stringify(watch.check()), /the storage has not answered for 0 s: ECONNREFUSED/)
  fails = false
  await conditions.until('an answer', () => watch.check().ready, 5_000, () => `${asked} times asked`)
})
