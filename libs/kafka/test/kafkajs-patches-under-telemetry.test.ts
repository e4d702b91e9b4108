import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node'

test('the native checksum is in effect, too, where OpenTelemetry hooks into require and keeps what it first gave', async () => {
  new RuntimeNodeInstrumentation().disable()
  const { requireKafkajs } = await import('../src/kafkajs-patches.ts')
  const path = 'kafkajs/src/protocol/recordBatch/crc32C'
  const inEffect = requireKafkajs(path) as (bytes: Buffer) => number
  assert.equal(inEffect, requireKafkajs.cache[requireKafkajs.resolve(path)]?.exports)
  assert.equal(inEffect(Buffer.from('123456789')), 0xe3069283)
})
