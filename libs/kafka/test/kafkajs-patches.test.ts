import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node'

// OpenTelemetry hooks into `require` and keeps what it first gave: the repairs must hold behind it, too.
new RuntimeNodeInstrumentation().disable()
const require = createRequire(import.meta.url)
const Queue = require('kafkajs/src/network/requestQueue') as new (options: object) => RequestQueue
const Encoder = require('kafkajs/src/protocol/encoder') as new (size?: number) => Encoder

interface RequestQueue {
  throttleCheckTimeoutId: unknown
  push(request: object): void
  fulfillRequest(answer: object): void
  destroy(): void
}
interface Encoder {
  buf: Buffer
  buffer: Buffer
  writeInt32(value: number): this
  writeString(value: string): this
  writeBuffer(value: Buffer): this
  writeVarIntBytes(value: Buffer | null): this
}

/** One request and its answer; returns the timer that is left behind. */
function timerAfterAnswer(maxInFlightRequests: number | null, requests: number): unknown {
  const logger = { debug() {}, warn() {} }
  const queue = new Queue({ requestTimeout: 1000, enforceRequestTimeout: false, clientId: 'test', broker: 'b', logger, maxInFlightRequests })
  for (let correlationId = 1; correlationId <= requests; correlationId += 1) queue.push({ entry: { correlationId, resolve() {}, reject() {} }, expectResponse: true, sendRequest() {} })
  queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 })
  const timer = queue.throttleCheckTimeoutId
  queue.destroy()
  return timer
}
const encoded = () => {
  let encoder = new Encoder(8)
  for (let size = 1; size < 3_000_000; size *= 7) encoder = encoder.writeInt32(size).writeString('ä'.repeat(20)).writeBuffer(Buffer.alloc(size, size)).writeVarIntBytes(null)
  return Buffer.from(encoder.buffer)
}

test('the repairs are needed, in effect, and change nothing else', async () => {
  assert.ok(timerAfterAnswer(null, 1), 'kafkajs no longer does it: the repair can go')
  const before = encoded()
  await import('../src/kafkajs-patches.ts')
  assert.ok(!timerAfterAnswer(null, 1), 'a queue with nothing waiting keeps no timer')
  assert.ok(timerAfterAnswer(1, 3), 'one with something waiting does')
  assert.deepEqual(encoded(), before)
})
