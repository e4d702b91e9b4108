import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { exponentialDelayMs, retryDelayMs } from '../src/index.ts'

const delays = { firstMs: 100, maxMs: 2000 }

test('delays double up to their maximum', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map((failures) => exponentialDelayMs(failures, delays)), [100, 200, 400, 800, 1600, 2000, 2000])
})

test('whatever the number of failures, jitter takes off at most a quarter', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, random) => {
      const full = exponentialDelayMs(failures, delays)
      const delay = retryDelayMs(failures, delays, random)
      assert.ok(delay >= 0.75 * full && delay <= full && full <= delays.maxMs)
    }),
  )
})
