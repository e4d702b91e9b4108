import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LONGEST_DELAY_MS, retryDelay } from '../src/upload/retry-policy.ts'

const ALMOST_ONE = 1 - Number.EPSILON

describe('the next connection', () => {
  it('comes at once after a restart of the server, and after a token that ran out while all was well', () => {
    assert.equal(retryDelay({ code: 1012, fruitless: 0 }, ALMOST_ONE), 0)
    assert.equal(retryDelay({ code: 4401, fruitless: 0 }, ALMOST_ONE), 0)
  })
  it('is not hurried by a server that restarts again and again, or by a token that never was good', () => {
    assert.equal(retryDelay({ code: 1012, fruitless: 3 }, 0.5), 4000)
    assert.equal(retryDelay({ code: 4401, fruitless: 3 }, 0.5), 4000)
  })
  it('comes within a span that doubles up to half a minute', () => {
    const spans = [0, 1, 2, 3, 4, 5, 6, 1000].map((fruitless) => Math.ceil(retryDelay({ code: 1006, fruitless }, ALMOST_ONE) / 1000))
    assert.deepEqual(spans, [1, 2, 4, 8, 16, 30, 30, 30])
    assert.ok(retryDelay({ code: null, fruitless: 100_000 }, ALMOST_ONE) < LONGEST_DELAY_MS)
  })
  it('is spread over all of that span', () => {
    assert.equal(retryDelay({ code: 1006, fruitless: 10 }, 0), 0)
    assert.equal(retryDelay({ code: 1006, fruitless: 10 }, 0.1), 3000)
  })
})
