import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ParkedReason } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { limitParking } from '../src/limited-parker.ts'
import { ParkingLimit } from '../src/parking-limit.ts'

const record = (key: string, bytes: number): KafkaRecord => ({ topic: 't', partition: 0, offset: 1n, key, value: Buffer.alloc(bytes), tombstone: false, headers: {}, timestamp: 0 })

test('given a client that sends other bytes for its chunks again and again, its session parks up to the limit, others are not affected', () => {
  const limit = new ParkingLimit(1000)
  const parked = Array.from({ length: 20 }, () => limit.admit('s-1', 'other-content', 100)).filter(Boolean).length
  assert.equal(parked, 10)
  assert.equal(limit.admit('s-1', 'not-a-recording', 1), false)
  assert.equal(limit.admit('s-2', 'other-content', 100), true)
})

test('given what may be the only copy of something acknowledged, it is parked whatever there is already', () => {
  const limit = new ParkingLimit(1000)
  limit.admit('s-1', 'other-content', 1000)
  const reasons: ParkedReason[] = ['unwritable', 'unknown-kind', 'bad-header', 'invalid', 'not-json']
  for (const reason of reasons) assert.equal(limit.admit('s-1', reason, 1_000_000), true, reason)
})

test('what is not parked is logged with its session and what that means, and the first of each session is', async () => {
  const lines: string[] = []
  const logger = createLogger({ service: 'block-writer', destination: { write: (line) => lines.push(line) } })
  const parked: string[] = []
  const parker = limitParking({ park: async ({ key }) => void parked.push(key) }, new ParkingLimit(150), logger)
  for (const session of ['s-1', 's-1', 's-1', 's-2', 's-2', 's-1', 's-2']) await parker.park(record(session, 100), { reason: 'other-content', details: '' })
  assert.deepEqual(parked, ['s-1', 's-2'])
  assert.deepEqual(lines.map((line) => (JSON.parse(line) as { session: string }).session), ['s-1', 's-2'])
  assert.match(lines[0]!, /kept nowhere/)
})
