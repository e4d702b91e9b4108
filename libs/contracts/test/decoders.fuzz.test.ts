import assert from 'node:assert/strict'
import { fuzz, mutatedJson } from '@longtake/testkit'
import fc from 'fast-check'
import * as contracts from '../src/index.ts'
import * as samples from './samples.ts'

type Decode = (record: contracts.EncodedRecord) => object

/** A fault in words that fit on a line, or a value that says the same after another journey. */
function assertDecoded(decode: Decode, encode: (value: never) => contracts.EncodedRecord, record: contracts.EncodedRecord): void {
  const decoded = decode(record)
  if (contracts.isRecordFault(decoded)) return assert.ok(decoded.details.length < 2000, `${decoded.details.length} characters about a fault`)
  assert.deepEqual(decode(encode(decoded as never)), decoded)
}

const recordOf = (kind: string, value: unknown): contracts.EncodedRecord => ({ key: 'exam-2026_17', value: contracts.encodeJson(value), headers: { kind } })
const byType = (values: readonly { type: string }[]) => mutatedJson(values).map((value) => ({ value, kind: typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' ? value.type : 'chunk' }))

fuzz('events with one thing changed', 1500, byType(samples.events), ({ kind, value }) => {
  assertDecoded(contracts.decodeEvent, contracts.encodeEvent, recordOf(kind, value))
})

fuzz('declarations with one thing changed', 1000, byType(samples.declarations), ({ kind, value }) => {
  assertDecoded(contracts.decodeChunksRecord, (value: never) => ('kind' in value ? contracts.encodeChunkRecord(value) : contracts.encodeDeclaration(value)), recordOf(kind, value))
})

fuzz('states with one thing changed', 1000, mutatedJson([samples.state]), (value) => {
  assertDecoded(contracts.decodeStatus, contracts.encodeStatus, recordOf('session-state', value))
})

fuzz('requests with one thing changed', 500, byType(samples.requests), ({ kind, value }) => {
  assertDecoded(contracts.decodeClientRequest, contracts.encodeClientRequest, recordOf(kind, value))
})

fuzz('headers of chunks with one thing changed', 1000, mutatedJson([contracts.encodeChunkRecord(samples.chunk).headers]), (headers) => {
  if (typeof headers !== 'object' || headers === null) return
  const texts = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]))
  assertDecoded(contracts.decodeChunksRecord, (value: never) => contracts.encodeChunkRecord(value), { key: 'exam-2026_17', value: Uint8Array.of(1), headers: texts })
})

fuzz('messages of either side with one thing changed', 1500, mutatedJson([...samples.clientMessages, ...samples.serverMessages]), (value) => {
  const text = JSON.stringify(value)
  for (const parse of [contracts.parseClientMessage, contracts.parseServerMessage]) {
    const parsed = parse(text)
    if (contracts.isWireFault(parsed)) assert.ok(parsed.details.length < 2000)
    else assert.deepEqual(parsed, JSON.parse(text))
  }
})

fuzz('bytes that are nearly JSON', 500, fc.tuple(fc.constantFrom(...samples.events), fc.nat(1000), fc.nat(255)), ([event, at, byte]) => {
  const record = contracts.encodeEvent(event)
  record.value[at % record.value.length] = byte
  assertDecoded(contracts.decodeEvent, contracts.encodeEvent, record)
})
