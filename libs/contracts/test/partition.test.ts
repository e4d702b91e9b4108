import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2, partitionOf } from '../src/index.ts'

test('murmur2 agrees with the reference values of Apache Kafka (UtilsTest.testMurmur2)', () => {
  const reference: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  }
  for (const [text, hash] of Object.entries(reference)) assert.equal(murmur2(new TextEncoder().encode(text)), hash, text)
})

test('sessions spread over all partitions', () => {
  const counts = Array.from({ length: 12 }, () => 0)
  for (let i = 0; i < 12_000; i++) counts[partitionOf(`session-${i}`, 12)]!++
  assert.ok(counts.every((count) => count > 800 && count < 1200), counts.join(' '))
})
