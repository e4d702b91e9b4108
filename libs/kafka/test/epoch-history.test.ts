import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EpochHistory } from '../src/consumer/epoch-history.ts'
import { NO_EPOCH } from '../src/protocol.ts'

test('an offset has the epoch of the record before it', () => {
  const history = new EpochHistory(2)
  history.add([{ offset: 10n, leaderEpoch: 2 }, { offset: 15n, leaderEpoch: 3 }])
  history.add([{ offset: 20n, leaderEpoch: 3 }, { offset: 22n, leaderEpoch: 7 }])
  const epochs = () => [10n, 15n, 16n, 22n, 23n].map((offset) => history.before(offset))
  assert.deepEqual(epochs(), [2, 2, 3, 3, 7])
  history.dropBefore(16n)
  assert.deepEqual(epochs().slice(2), [3, 3, 7])
})

test('without an epoch of the start it is not known until the first record', () => {
  const history = new EpochHistory(NO_EPOCH)
  history.add([{ offset: 10n, leaderEpoch: 4 }])
  assert.deepEqual([history.before(10n), history.before(11n)], [NO_EPOCH, 4])
})
