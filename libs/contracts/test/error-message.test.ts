import assert from 'node:assert/strict'
import { test } from 'node:test'
import { messageOf } from '../src/index.ts'

test('whatever is thrown has a message', () => {
  const thrown = [new RangeError('too far'), new Error(), 'closed', 4429, null, undefined]
  assert.deepEqual(thrown.map(messageOf), ['too far', '', 'closed', '4429', 'null', 'undefined'])
})
