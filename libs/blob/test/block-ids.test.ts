import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBlockOf, newBlockIds } from '../src/index.ts'

test('ids differ between incarnations, and within one even for equal bytes', () => {
  const same = Buffer.from('same')
  const [mine, theirs] = [newBlockIds(), newBlockIds()]
  const ids = [mine(same), mine(same), theirs(same), mine(Buffer.alloc(1_000_000))]
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.equal(Buffer.from(id, 'base64').length, 32)
})

test('an id proves its bytes and no others', () => {
  const id = newBlockIds()(Buffer.from('right'))
  assert.ok(isBlockOf(id, Buffer.from('right')))
  for (const other of ['', id.slice(4), Buffer.alloc(32).toString('base64')]) assert.ok(!isBlockOf(other, Buffer.from('right')))
  assert.throws(() => newBlockIds(new Uint8Array(5)), RangeError)
})
