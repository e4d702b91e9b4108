import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planRange, type ByteRange } from '../src/range.ts'

const selects = (header: string, total: number, ...ranges: [number, number][]): void => {
  const expected = { kind: 'ranges', ranges: ranges.map(([start, end]): ByteRange => ({ start, end })) }
  assert.deepEqual(planRange(header, total), expected, header)
}

test('a single range: open, closed, beyond the end, suffix', () => {
  selects('bytes=0-', 100, [0, 99])
  selects('bytes=0-0', 100, [0, 0])
  selects('bytes=0-1', 100, [0, 1])
  selects('bytes=10-19', 100, [10, 19])
  selects('bytes=90-500', 100, [90, 99])
  selects('bytes=0-999999999', 100, [0, 99])
  selects('bytes=99-', 100, [99, 99])
  selects('bytes=-1', 100, [99, 99])
  selects('bytes=-7', 100, [93, 99])
  selects('bytes=-999999999', 100, [0, 99])
  selects('Bytes=5-9', 100, [5, 9])
})

test('several ranges keep the order of the request; those that overlap or touch become one, those behind the end are left out', () => {
  selects('bytes=0-0,5-9', 100, [0, 0], [5, 9])
  selects('bytes=50-59, 10-19', 100, [50, 59], [10, 19])
  selects('bytes=0-9,10-19', 100, [0, 19])
  selects('bytes=40-49,0-9,5-44', 100, [0, 49])
  selects('bytes=0-1,-2,200-', 100, [0, 1], [98, 99])
  selects('bytes= ,0-1,,', 100, [0, 1])
})

test('ranges that select no byte are unsatisfiable', () => {
  for (const header of ['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=200-,-0']) {
    assert.deepEqual(planRange(header, 100), { kind: 'unsatisfiable' }, header)
  }
  assert.deepEqual(planRange('bytes=0-', 0), { kind: 'unsatisfiable' })
  assert.deepEqual(planRange('bytes=-5', 0), { kind: 'unsatisfiable' })
})

test('no header, a malformed one, another unit, an invalid member and very many ranges select the whole', () => {
  const many = `bytes=${Array.from({ length: 17 }, (_, i) => `${i * 2}-${i * 2}`).join(',')}`
  for (const header of [undefined, 'bytes=', 'bytes=,', 'bytes=5-2', 'bytes=0-1,5-2', 'bytes=a-b', 'bytes=--1', 'lines=1-2', 'nonsense', '0-5', many]) {
    assert.deepEqual(planRange(header, 100), { kind: 'whole' }, header)
  }
})
