import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as contracts from '../src/index.ts'
import * as samples from './samples.ts'

test('any bytes as a chunk frame give a frame or a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoded = contracts.decodeChunkFrame(bytes)
      if (typeof decoded === 'string') return
      assert.ok(decoded.payload.length > 0 && decoded.handle <= 255 && Number.isSafeInteger(decoded.capturedAt))
      assert.deepEqual(contracts.encodeChunkFrame(decoded), bytes)
    }),
  )
})

test('any text as a message gives a message or a fault', () => {
  const nearly = fc.constantFrom(...samples.clientMessages).chain((message) =>
    fc.record({ key: fc.constantFrom(...Object.keys(message)), value: fc.jsonValue() }).map(({ key, value }) => JSON.stringify({ ...message, [key]: value })),
  )
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), nearly), (text) => {
      const parsed = contracts.parseClientMessage(text)
      assert.ok('fault' in parsed || 'type' in parsed)
      assert.ok('type' in contracts.parseServerMessage(text) || 'fault' in contracts.parseServerMessage(text))
    }),
  )
})

test('any record gives a value or a fault', () => {
  const valid = [contracts.encodeChunkRecord(samples.chunk), ...samples.declarations.map(contracts.encodeDeclaration), ...samples.events.map(contracts.encodeEvent)]
  const broken = fc.constantFrom(...valid).chain((record) =>
    fc.record({
      key: fc.oneof(fc.constant(record.key), fc.string()),
      value: fc.oneof(fc.constant(record.value), fc.uint8Array(), fc.json().map((text) => new TextEncoder().encode(text))),
      headers: fc.dictionary(fc.constantFrom(...Object.keys(record.headers)), fc.string()).map((changed) => ({ ...record.headers, ...changed })),
    }),
  )
  fc.assert(
    fc.property(broken, (record) => {
      for (const decode of [contracts.decodeChunksRecord, contracts.decodeEvent, contracts.decodeStatus, contracts.decodeClientRequest]) {
        assert.equal(typeof decode(record), 'object')
      }
    }),
    { numRuns: 500 },
  )
})

test('headers that look like object members are no kinds', () => {
  const record = { key: 'a', value: new Uint8Array([123, 125]), headers: { kind: 'constructor' } }
  const decoded = contracts.decodeChunksRecord(record)
  assert.ok('fault' in decoded && decoded.fault === 'unknown-kind')
})

test('an instant is a moment', () => {
  const digits = (from: number, to: number) => fc.integer({ min: from, max: to }).map((value) => String(value).padStart(2, '0'))
  const written = fc.tuple(fc.integer({ min: 0, max: 9999 }), digits(0, 13), digits(0, 32), digits(0, 25), digits(0, 61), digits(0, 61), fc.constantFrom('Z', '+00:00', '-23:59', '+24:00', '+05:60', '+99:99'))
  fc.assert(
    fc.property(written, ([year, month, day, hour, minute, second, zone]) => {
      const startedAt = `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}${zone}`
      const message = contracts.parseClientMessage(JSON.stringify({ ...samples.clientMessages.find(({ type }) => type === 'open'), startedAt }))
      assert.ok(contracts.isWireFault(message) || Number.isFinite(Date.parse(startedAt)), startedAt)
    }),
    { numRuns: 2_000 },
  )
  for (const startedAt of ['2026-12-31T23:59:59.999Z', '2026-03-01T10:00:00+05:30', '0000-01-01T00:00:00Z']) {
    const open = { ...samples.clientMessages.find(({ type }) => type === 'open'), startedAt }
    assert.ok(!contracts.isWireFault(contracts.parseClientMessage(JSON.stringify(open))), startedAt)
  }
})
