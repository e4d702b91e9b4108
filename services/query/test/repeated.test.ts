import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOfRepeated } from '../pages/repeated.ts'

test('media that an earlier file has shown is skipped, from wherever in it, and nothing else is', () => {
  const repeated = [{ startMs: 0, endMs: 3_000 }, { startMs: 8_000, endMs: 9_500 }]
  assert.deepEqual([0, 1_500, 3_000, 5_000, 8_000, 9_450, 12_000].map((atMs) => endOfRepeated(repeated, atMs)), [3_000, 3_000, null, null, 9_500, null, null])
  assert.equal(endOfRepeated([], 0), null)
})
