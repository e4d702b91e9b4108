import assert from 'node:assert/strict'
import { test } from 'node:test'
import { etagOf, ifRangeHolds, planRange } from '../src/range.ts'

test('whole, open, closed and suffix ranges', () => {
  assert.deepEqual(planRange(undefined, 100), { kind: 'whole' })
  assert.deepEqual(planRange('bytes=0-', 100), { kind: 'part', start: 0, end: 99 })
  assert.deepEqual(planRange('bytes=10-19', 100), { kind: 'part', start: 10, end: 19 })
  assert.deepEqual(planRange('bytes=90-500', 100), { kind: 'part', start: 90, end: 99 })
  assert.deepEqual(planRange('bytes=-7', 100), { kind: 'part', start: 93, end: 99 })
  assert.deepEqual(planRange('bytes=-700', 100), { kind: 'part', start: 0, end: 99 })
})

test('a range behind the end is unsatisfiable', () => {
  assert.deepEqual(planRange('bytes=100-', 100), { kind: 'unsatisfiable' })
})

test('what is malformed, of another unit or in several pieces is answered by the whole', () => {
  for (const header of ['bytes=a-b', 'lines=1-2', 'bytes=0-1,5-6', 'nonsense']) assert.deepEqual(planRange(header, 100), { kind: 'whole' }, header)
})

test('If-Range holds for the same commit, and behind the header for any commit of the same layout', () => {
  const version = { generation: 2, commit: 9 }
  assert.ok(ifRangeHolds(undefined, version, 0, 65_536))
  assert.ok(ifRangeHolds(etagOf(version), version, 0, 65_536))
  assert.ok(ifRangeHolds(etagOf({ generation: 2, commit: 8 }), version, 65_536, 65_536))
  assert.ok(!ifRangeHolds(etagOf({ generation: 2, commit: 8 }), version, 65_535, 65_536))
  assert.ok(!ifRangeHolds(etagOf({ generation: 1, commit: 9 }), version, 70_000, 65_536))
  assert.ok(!ifRangeHolds('Wed, 21 Oct 2015 07:28:00 GMT', version, 70_000, 65_536))
})
