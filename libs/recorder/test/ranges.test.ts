import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addRange, contains, runsOf } from '../src/ranges.ts'

const range = fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 8 })).map(([from, length]): [number, number] => [from, from + length])

test('ranges hold exactly the numbers that were added, ascending and never touching', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (added) => {
      const numbers = new Set(added.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index)))
      const ranges = added.reduce<[number, number][]>((all, [from, to]) => addRange(all, from, to), [])
      assert.deepEqual(ranges, runsOf([...numbers].toSorted((a, b) => a - b)))
      for (let n = 0; n < 80; n++) assert.equal(contains(ranges, n), numbers.has(n))
    }),
  )
})
