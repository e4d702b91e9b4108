import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import * as contracts from '../src/index.ts'
import * as samples from './samples.ts'

// To accept a deliberate change of a format: UPDATE_GOLDEN=1 node --test libs/contracts/test/golden.test.ts
const update = process.env.UPDATE_GOLDEN === '1'

function golden(name: string, actual: string): void {
  const url = new URL(`../fixtures/${name}`, import.meta.url)
  if (update) writeFileSync(url, actual)
  assert.equal(actual, readFileSync(url, 'utf8'))
}

const asText = ({ key, value, headers }: contracts.EncodedRecord): object => ({ key, headers, value: new TextDecoder().decode(value) })
const pretty = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

test('records of recordings.chunks keep their bytes and headers', () => {
  const encoded = [contracts.encodeChunkRecord(samples.chunk), ...samples.declarations.map(contracts.encodeDeclaration)]
  golden('chunks-records.json', pretty(encoded.map(asText)))
  assert.deepEqual(encoded.map(contracts.decodeChunksRecord), [{ kind: 'chunk', ...samples.chunk }, ...samples.declarations])
})

test('events keep their form', () => {
  const encoded = samples.events.map(contracts.encodeEvent)
  golden('events.json', pretty(encoded.map(asText)))
  assert.deepEqual(encoded.map(contracts.decodeEvent), samples.events)
})

test('status and requests keep their form', () => {
  const status = contracts.encodeStatus(samples.state)
  const requests = samples.requests.map(contracts.encodeClientRequest)
  golden('status-and-requests.json', pretty([status, ...requests].map(asText)))
  assert.deepEqual(contracts.decodeStatus(status), samples.state)
  assert.deepEqual(requests.map(contracts.decodeClientRequest), samples.requests)
})

test('a chunk frame is its 48-byte big-endian header and the payload', () => {
  const frame = contracts.encodeChunkFrame({
    handle: 7,
    seq: samples.chunk.seq,
    capturedAt: samples.chunk.capturedAt,
    sha256: Uint8Array.from(Buffer.from(samples.chunk.sha256, 'hex')),
    payload: samples.chunk.payload,
  })
  golden('chunk-frame.hex', `${Buffer.from(frame).toString('hex').replace(/(.{32})/g, '$1\n')}\n`)
  const decoded = contracts.decodeChunkFrame(frame)
  assert.ok(typeof decoded !== 'string')
  assert.equal(decoded.handle, 7)
  assert.equal(decoded.seq, 12)
  assert.equal(decoded.capturedAt, samples.chunk.capturedAt)
  assert.equal(Buffer.from(decoded.sha256).toString('hex'), samples.chunk.sha256)
  assert.deepEqual(decoded.payload, samples.chunk.payload)
})

test('text frames of both sides parse to themselves', () => {
  golden('wire-messages.json', pretty({ client: samples.clientMessages, server: samples.serverMessages }))
  for (const message of samples.clientMessages) assert.deepEqual(contracts.parseClientMessage(JSON.stringify(message)), message)
  for (const message of samples.serverMessages) assert.deepEqual(contracts.parseServerMessage(JSON.stringify(message)), message)
})

test('asyncapi.json is what the schemas say', () => {
  const url = new URL('../asyncapi.json', import.meta.url)
  const actual = pretty(contracts.asyncApiDocument())
  if (update) writeFileSync(url, actual)
  assert.equal(readFileSync(url, 'utf8'), actual)
})
