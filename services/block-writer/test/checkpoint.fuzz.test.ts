import assert from 'node:assert/strict'
import { gunzipSync, gzipSync } from 'node:zlib'
import { BLOBS, LongtakeError } from '@longtake/contracts'
import { concat, fuzz, loadRecording, recordingNames, recut } from '@longtake/testkit'
import fc from 'fast-check'
import { decodeCheckpoint, encodeCheckpoint } from '../src/core/checkpoint.ts'
import { METADATA, partState } from '../src/core/index.ts'
import { newPart, SESSION, World } from './harness.ts'

const streams = new Map(recordingNames.map((name) => [name, concat(loadRecording(name).chunks).subarray(0, 60_000)]))
const name = fc.constantFrom(...recordingNames)

/** The checkpoint of a track with holes, as a commit left it. */
async function someCheckpoint(name: (typeof recordingNames)[number], cuts: number, lacking: readonly number[]): Promise<Uint8Array> {
  const world = new World()
  world.own()
  const part = newPart({ mimeType: loadRecording(name).mimeType })
  world.open(part)
  for (const [seq, bytes] of recut(streams.get(name)!, cuts).entries()) if (!lacking.includes(seq)) world.chunk(part, seq, bytes)
  await world.pass(10_000)
  const properties = await world.memory.properties(BLOBS.file(SESSION, 'webcam', 0))
  if (properties === null) return encodeCheckpoint({ number: 0, commitId: '', generation: 0, nextOffset: '0', startedAt: null, container: null, header: null, headerBytes: 0, parts: [] })
  return (await world.memory.readAll(properties.metadata[METADATA.checkpoint]!))!.bytes
}

fuzz('a checkpoint says after packing what it said before', 25, fc.record({ name, cuts: fc.nat(1000), lacking: fc.array(fc.nat(30), { maxLength: 6 }) }), async ({ name, cuts, lacking }) => {
  const bytes = await someCheckpoint(name, cuts, lacking)
  const read = decodeCheckpoint(bytes)
  const again = encodeCheckpoint(read)
  assert.deepEqual(gunzipSync(again), gunzipSync(bytes))
  assert.deepEqual(decodeCheckpoint(again).parts.map(partState), read.parts.map(partState))
  for (const { saved } of read.parts.flatMap(({ runs }) => runs)) {
    const tail = saved?.tail.bytes ?? null
    if (tail !== null) assert.equal(tail.buffer.byteLength, tail.length, 'a tail keeps nothing else in memory')
  }
})

const wounds = fc.array(fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), byte: fc.nat(255) }), { minLength: 1, maxLength: 4 })
const damage = fc.oneof(
  fc.record({ do: fc.constant('packed' as const), wounds, end: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant('plain' as const), wounds, end: fc.double({ min: 0.5, max: 1, noNaN: true }) }),
)

fuzz('a checkpoint with any damage is read or refused by INVALID_SHAPE, without a crash', 120, fc.record({ name, damage }), async ({ name, damage }) => {
  const bytes = await sample(name)
  const broken = (of: Uint8Array): Uint8Array => {
    const copy = new Uint8Array(of.subarray(0, Math.ceil(damage.end * of.length)))
    for (const { at, byte } of damage.wounds) if (copy.length > 0) copy[Math.floor(at * copy.length)] = byte
    return copy
  }
  try {
    const { parts } = decodeCheckpoint(damage.do === 'packed' ? broken(bytes) : gzipSync(broken(gunzipSync(bytes))))
    assert.ok(Array.isArray(parts))
  } catch (error) {
    assert.ok(error instanceof LongtakeError && error.code === 'INVALID_SHAPE', String(error))
  }
})

const samples = new Map<string, Promise<Uint8Array>>()
function sample(name: (typeof recordingNames)[number]): Promise<Uint8Array> {
  const known = samples.get(name) ?? someCheckpoint(name, 3, [2, 5])
  samples.set(name, known)
  return known
}
