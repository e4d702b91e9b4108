import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Cluster } from '../src/cluster.ts'
import type { FetchedPartition } from '../src/fetch/decode.ts'
import { Fetcher, type FetchTarget } from '../src/fetch/fetcher.ts'

/** A record batch's frame of format 2, with bytes in it that its checksum does not fit. */
function brokenBatch(): Buffer {
  const batch = Buffer.alloc(100, 7)
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  return batch
}

interface Scene {
  fetcher: Fetcher
  target: FetchTarget
  /** What the broker answers from now on. */
  answer: { batches: Buffer } | Error
  until(isSo: () => boolean): Promise<void>
}

function scene(): Scene {
  const log = { error() {}, warn() {}, info() {}, debug() {} }
  const asked: Scene = {
    answer: { batches: Buffer.alloc(0) },
    target: { topic: 'chunks', partition: 3, nextOffset: 0n, wants: () => true, accept: () => undefined, failed: (error) => assert.fail(error) },
    fetcher: new Fetcher({
      log,
      want: () => undefined,
      leader: () => 1,
      refresh: () => Promise.resolve(),
      async raw() {
        await nextTurn()
        if (asked.answer instanceof Error) throw asked.answer
        const partition: FetchedPartition = { topic: 'chunks', partition: 3, errorCode: 0, highWatermark: 1n, batches: asked.answer.batches }
        return { errorCode: 0, partitions: [partition] }
      },
    } as unknown as Cluster),
    async until(isSo) {
      while (!isSo()) await nextTurn()
    },
  }
  return asked
}

test('a partition that cannot be decoded is named as long as that lasts, a broker without an answer too', { timeout: 20_000 }, async () => {
  const read = scene()
  let wants = true
  read.fetcher.add({ ...read.target, wants: () => wants })
  read.answer = { batches: brokenBatch() }
  await read.until(() => /^chunks\/3 cannot be read for 0 s: ./.test(read.fetcher.fault(0) ?? ''))
  assert.equal(read.fetcher.fault(), undefined, 'not before it has lasted')
  wants = false
  assert.equal(read.fetcher.fault(0), undefined, 'nobody wants it')
  wants = true
  read.answer = { batches: Buffer.alloc(0) }
  read.fetcher.wake()
  await read.until(() => read.fetcher.fault(100) === undefined)
  read.answer = new Error('connect ECONNREFUSED')
  await read.until(() => /^Kafka has not answered for \d+ s$/.test(read.fetcher.fault(100) ?? ''))
  wants = false
  read.answer = { batches: Buffer.alloc(0) }
  await read.until(() => read.fetcher.fault(100) === undefined)
  await read.fetcher.close()
})
