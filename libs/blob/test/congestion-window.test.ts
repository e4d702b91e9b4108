import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CongestionWindow } from '../src/congestion-window.ts'

const LIMITS = { initial: 8, min: 2, max: 64, maxBytes: 64_000 }

/** A window whose answers take `latencyMs` each, one flight after another. */
function given(limits = LIMITS) {
  const window = new CongestionWindow(limits)
  let now = 0
  return {
    window,
    flights(count: number, latencyMs: number, { full = true, bytes = 0, operation = 'put' } = {}) {
      for (let i = 0; i < count; i++) {
        if (full) window.limited(now)
        const sentAt = now
        now += latencyMs
        for (let n = window.requests; n > 0; n--) window.answered(operation, bytes, sentAt, now)
      }
      return window.requests
    },
    congested(sentAt = now) {
      window.congested(sentAt, ++now)
      return window.requests
    },
    get now() {
      return now
    },
  }
}

test('while answers come as fast as ever, a window in the way of requests opens to its maximum', () => {
  assert.equal(given().flights(20, 50), LIMITS.max)
})

test('a window that is in nobody’s way stays as it is', () => {
  assert.equal(given().flights(50, 50, { full: false }), LIMITS.initial)
})

test('a refusal halves the window once for all requests of a flight, and never below the minimum', () => {
  const it = given()
  it.flights(20, 50)
  const sentAt = it.now
  assert.equal(it.congested(sentAt), 32)
  assert.equal(it.congested(sentAt), 32)
  for (let i = 0; i < 10; i++) it.congested()
  assert.equal(it.window.requests, LIMITS.min)
})

test('after a refusal it opens by small steps, and is open again within seconds', () => {
  const it = given()
  it.flights(20, 50)
  it.congested()
  const halved = it.window.requests
  assert.ok(it.flights(2, 50) < halved * 1.6)
  for (let i = 0; i < 10; i++) it.congested()
  const before = it.now
  while (it.flights(1, 100) < LIMITS.max) assert.ok(it.now - before < 10_000)
})

test('answers that take much longer than they used to shrink it, and the usual latency opens it again', () => {
  const it = given()
  it.flights(20, 50)
  const shrunk = it.flights(20, 500)
  assert.ok(shrunk < LIMITS.max / 2, `${shrunk}`)
  assert.ok(it.flights(40, 50) > shrunk)
})

test('slow answers alone never make it smaller than it began: fewer requests may not mend them', () => {
  const it = given()
  it.flights(20, 100)
  const sizes = Array.from({ length: 50 }, () => it.flights(1, 2_000))
  assert.equal(Math.min(...sizes), LIMITS.initial)
})

test('operations are not compared with each other, and what is quick anyway is no matter', () => {
  const it = given()
  it.flights(20, 2)
  it.flights(20, 300, { operation: 'commit' })
  assert.equal(it.flights(20, 100), LIMITS.max)
})

test('a storage that has become slower for good is accepted after a while', () => {
  const it = given()
  it.flights(20, 50)
  const shrunk = it.flights(20, 500)
  assert.ok(it.flights(300, 500) > shrunk)
})

test('a slow upload is compared with uploads of its size, not with small requests', () => {
  const it = given()
  it.flights(20, 20)
  assert.equal(it.flights(20, 800, { bytes: 4 * 1024 * 1024 }), LIMITS.max)
})

test('one very late answer among many is no congestion', () => {
  const it = given()
  it.flights(20, 50)
  it.window.answered('put', 0, it.now - 20_000, it.now)
  assert.equal(it.flights(2, 50), LIMITS.max)
})

test('the bytes under way shrink with the window', () => {
  const it = given()
  it.flights(20, 50)
  assert.equal(it.window.bytes, LIMITS.maxBytes)
  it.congested()
  assert.equal(it.window.bytes, LIMITS.maxBytes / 2)
})
