import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WrittenTo } from '../src/written-to.ts'

test('what Kafka had is written once block-writer has come to where it ended, and its events are folded', () => {
  const writtenTo = new WrittenTo(10n)
  assert.equal(writtenTo.at, -Infinity)
  writtenTo.saw({ at: 1000, chunksEnd: 50n, written: 40n, eventsEnd: 10n })
  assert.equal(writtenTo.at, -Infinity, 'block-writer is behind')
  writtenTo.saw({ at: 2000, chunksEnd: 70n, written: 55n, eventsEnd: 12n })
  assert.equal(writtenTo.at, -Infinity, 'two of its events are to come')
  writtenTo.folded(11n)
  assert.equal(writtenTo.at, -Infinity)
  writtenTo.folded(12n)
  assert.equal(writtenTo.at, 1000)
  writtenTo.saw({ at: 3000, chunksEnd: 70n, written: 70n, eventsEnd: 12n })
  assert.equal(writtenTo.at, 3000)
})
