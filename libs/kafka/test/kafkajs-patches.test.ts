import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'

// The unrepaired library, loaded first as any other module of a process might.
const require = createRequire(import.meta.url)
const originalCrc = require('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number
const OriginalQueue = require('kafkajs/src/network/requestQueue') as QueueClass
const { RecordBatch: originalBatch } = require('kafkajs/src/protocol/recordBatch/v0') as BatchModule
const { requireKafkajs } = await import('../src/kafkajs-patches.ts')
const nativeCrc = requireKafkajs('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number
const Queue = requireKafkajs('kafkajs/src/network/requestQueue') as QueueClass
const { RecordBatch } = requireKafkajs('kafkajs/src/protocol/recordBatch/v0') as BatchModule
const encodeRecord = requireKafkajs('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => object

interface BatchModule {
  RecordBatch: (options: object) => Promise<{ buffer: Buffer }>
}
type QueueClass = new (options: object) => {
  inflight: Map<number, unknown>
  throttleCheckTimeoutId: unknown
  push(request: object): void
  fulfillRequest(answer: object): void
  destroy(): void
}

test('the checksum in effect is native and equals the one it replaces', () => {
  assert.notEqual(nativeCrc, originalCrc)
  assert.equal(nativeCrc(Buffer.from('123456789')), 0xe3069283)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => assert.equal(nativeCrc(Buffer.from(bytes)), originalCrc(Buffer.from(bytes)))))
})

test('record batches use it, and come out the same to the byte', async () => {
  const records = [encodeRecord({ key: 'session', value: Buffer.alloc(5000, 7), headers: { kind: 'chunk' } })]
  const options = { records, firstTimestamp: 1, maxTimestamp: 1, lastOffsetDelta: 0 }
  const calls: number[] = []
  const path = requireKafkajs.resolve('kafkajs/src/protocol/recordBatch/crc32C')
  const batchPath = requireKafkajs.resolve('kafkajs/src/protocol/recordBatch/v0')
  const module = requireKafkajs.cache[path]!
  // Loads the encoder once more with a spy in the same place, which proves that it is the place it sums by.
  const { exports } = module
  try {
    module.exports = (bytes: Buffer) => {
      calls.push(bytes.length)
      return nativeCrc(bytes)
    }
    delete requireKafkajs.cache[batchPath]
    const spied = requireKafkajs(batchPath) as BatchModule
    await spied.RecordBatch(options)
  } finally {
    module.exports = exports
  }
  assert.equal(calls.length, 1)
  assert.deepEqual((await RecordBatch(options)).buffer, (await originalBatch(options)).buffer)
})

test('a request queue with nothing waiting keeps no timer', () => {
  const logger = { debug() {}, warn() {} }
  const answerOne = (Class: QueueClass) => {
    const queue = new Class({ requestTimeout: 1000, enforceRequestTimeout: false, clientId: 'test', broker: 'b', logger, maxInFlightRequests: null })
    queue.push({ entry: { correlationId: 1, resolve() {}, reject() {} }, expectResponse: true, sendRequest() {} })
    queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 })
    const timer = queue.throttleCheckTimeoutId
    queue.destroy()
    return timer
  }
  assert.ok(answerOne(OriginalQueue), 'kafkajs no longer does it: the repair can go')
  assert.ok(!answerOne(Queue))
})
