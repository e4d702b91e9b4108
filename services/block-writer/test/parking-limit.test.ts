import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientRequest, ParkedReason } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { limitParking } from '../src/limited-parker.ts'
import { ParkingLimit } from '../src/parking-limit.ts'

const record = (key: string, bytes: number): KafkaRecord => ({ topic: 't', partition: 3, offset: 1n, key, value: Buffer.alloc(bytes), tombstone: false, headers: {}, timestamp: 0 })

/** A parker with a limit of 1,000 bytes, and what comes of it. */
function setUp() {
  const lines: string[] = []
  const world = { now: Date.parse('2026-03-01T12:00:00Z'), parked: [] as string[], requests: [] as [number, ClientRequest][], lines, isDown: false }
  const parker = limitParking({
    parker: { park: async ({ key }) => void world.parked.push(key) },
    limit: new ParkingLimit(1000),
    logger: createLogger({ service: 'block-writer', destination: { write: (line) => lines.push(line) } }),
    now: () => world.now,
    request: async (partition, request) => {
      if (world.isDown) throw new Error('not authorized')
      world.requests.push([partition, request])
    },
  })
  const park = (session: string, reason: ParkedReason = 'other-content', bytes = 400) => parker.park(record(session, bytes), { reason, details: '' })
  return { world, park }
}

test('given a client that sends other bytes for its chunks again and again, all that was acknowledged is parked', async () => {
  const { world, park } = setUp()
  for (let chunk = 0; chunk < 20; chunk += 1) await park('s-1')
  assert.equal(world.parked.length, 20)
})

test('given a session that has parked all that it may, gateways are asked to refuse its chunks, and again while it goes on', async () => {
  const { world, park } = setUp()
  for (let chunk = 0; chunk < 2; chunk += 1) await park('s-1')
  assert.deepEqual(world.requests, [])
  await park('s-1', 'not-a-recording')
  await park('s-2')
  const request = (at: string) => [3, { type: 'parking-full', session: 's-1', at }]
  assert.deepEqual(world.requests, [request('2026-03-01T12:00:00.000Z')])
  world.now += 59_000
  await park('s-1')
  assert.equal(world.requests.length, 1)
  world.now += 1000
  await park('s-1')
  assert.deepEqual(world.requests[1], request('2026-03-01T12:01:00.000Z'))
  assert.match(world.lines[0]!, /gateways refuse its chunks/)
})

test('given gateways that cannot be asked, the record is parked and the others go on', async () => {
  const { world, park } = setUp()
  world.isDown = true
  for (let chunk = 0; chunk < 5; chunk += 1) await park('s-1')
  assert.equal(world.parked.length, 5)
  assert.equal(world.lines.length, 1, 'once a minute')
  assert.match(world.lines[0]!, /could not be asked.*not authorized|not authorized.*could not be asked/)
})

test('given what a client cannot bring about at will, it counts for no limit', async () => {
  const { world, park } = setUp()
  const reasons: ParkedReason[] = ['unwritable', 'unknown-kind', 'bad-header', 'invalid', 'not-json']
  for (const reason of reasons) await park('s-1', reason, 1_000_000)
  assert.deepEqual([world.parked.length, world.requests], [5, []])
})
