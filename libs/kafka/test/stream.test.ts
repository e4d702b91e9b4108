import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stream, type StreamOptions } from '../src/consumer/stream.ts'
import type { KafkaRecord } from '../src/record.ts'

test('a partition with the most incomplete records that it may have is read on once one is completed', async () => {
  let wakes = 0
  const silent = () => undefined
  const options = {
    topic: 'chunks',
    partition: 0,
    start: 0n,
    group: 'g',
    fetcher: { add: () => silent, wake: () => void (wakes += 1) },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    open: async () => false,
    handle: silent,
    wants: () => true,
    failed: (error: Error) => assert.fail(error),
  }
  const stream = new Stream(options as unknown as StreamOptions)
  const value = Buffer.alloc(0)
  let next = 0n
  while (stream.wants()) {
    const start = next
    const end = start + 100_000n
    const record = (_: unknown, i: number) => ({ offset: start + BigInt(i), value }) as unknown as KafkaRecord
    const records = Array.from({ length: 100_000 }, record)
    stream.accept({ records, fetchOffset: start, nextOffset: end, epochs: [], leaderEpoch: 0, highWatermark: end })
    next = end
  }
  wakes = 0
  // Out of order, as the oldest one may stay incomplete for long.
  stream.done(next - 1n)
  assert.deepEqual([stream.wants(), wakes], [true, 1])
  stream.done(next - 2n)
  assert.equal(wakes, 1)
  stream.stop()
  await stream.ended
})
