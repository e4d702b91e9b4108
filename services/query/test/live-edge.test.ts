import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFarBehind, livePositionMs } from '../pages/live-edge.ts'

const MINUTE = 60_000

test('a young recording is followed from its beginning, an older one from so far back that it lasts until more comes', () => {
  assert.equal(livePositionMs(0), 0)
  assert.equal(livePositionMs(5_000), 0)
  assert.equal(livePositionMs(20_000), 7_000)
  assert.equal(livePositionMs(MINUTE), MINUTE - 33_000)
  assert.equal(livePositionMs(60 * MINUTE), 60 * MINUTE - 63_000)
})

test('who follows is not thrown forward by one step of growth, but by a pause of many', () => {
  for (const [before, after] of [[2_000, 5_000], [20_000, 30_000], [MINUTE, MINUTE + 30_000], [60 * MINUTE, 61 * MINUTE]] as const) {
    assert.equal(isFarBehind(livePositionMs(before), after), false, `${before} → ${after}`)
  }
  assert.equal(isFarBehind(livePositionMs(10 * MINUTE), 20 * MINUTE), true)
})
