import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, equalBytes, loadRecording, recordingNames, recut, seededRandom, shuffleWithDuplicates, syntheticChunks, syntheticRecording } from '../src/index.ts'

test('every recording is there, in several chunks, and begins like its MIME type', () => {
  for (const name of recordingNames) {
    const { chunks, mimeType } = loadRecording(name)
    assert.ok(chunks.length > 5, name)
    const start = Buffer.from(concat(chunks).subarray(0, 8))
    assert.equal(mimeType.includes('webm') ? start.readUInt32BE(0) : start.toString('latin1', 4), mimeType.includes('webm') ? 0x1a45dfa3 : 'ftyp', name)
  }
})

test('recutting keeps the bytes, cuts differently by seed, and makes single-byte chunks', () => {
  const bytes = concat(loadRecording('chrome-audio-only').chunks)
  const cut = recut(bytes, 1)
  assert.ok(equalBytes(concat(cut), bytes))
  assert.ok(cut.some((chunk) => chunk.length === 1))
  assert.ok(cut.every((chunk) => chunk.length > 0 && chunk.length <= 1 << 20))
  assert.deepEqual(recut(bytes, 1), cut)
  assert.notDeepEqual(recut(bytes, 2).map((chunk) => chunk.length), cut.map((chunk) => chunk.length))
})

test('shuffling loses nothing, doubles some and changes the order', () => {
  const chunks = Array.from({ length: 50 }, (_, value) => Uint8Array.of(value))
  const shuffled = shuffleWithDuplicates(chunks, 3)
  assert.deepEqual([...new Set(shuffled.map(({ seq }) => seq))].toSorted((a, b) => a - b), chunks.map((_, seq) => seq))
  assert.ok(shuffled.length > 55)
  assert.ok(shuffled.every(({ seq, bytes }) => bytes[0] === seq))
  assert.notDeepEqual(shuffled.map(({ seq }) => seq), shuffled.map(({ seq }) => seq).toSorted((a, b) => a - b))
})

test('a synthetic recording is the same for the same seed, about as long and as large as asked, and cut inside elements', () => {
  const options = { durationMs: 60_000, bytesPerSecond: 50_000, seed: 5 }
  const chunks = syntheticChunks(options)
  assert.deepEqual(syntheticChunks(options), chunks)
  assert.ok(Math.abs(chunks.length - 60) <= 2)
  const bytes = concat(chunks)
  assert.ok(bytes.length > 2_400_000 && bytes.length < 3_600_000, String(bytes.length))
  assert.ok(!equalBytes(concat(syntheticChunks({ ...options, seed: 6 })), bytes))
  assert.ok(chunks.filter((chunk) => [0xa3, 0x1f].includes(chunk.at(-1) ?? 0)).length > 20)
})

test('a synthetic recording of three hours is made piece by piece', () => {
  let bytes = 0
  for (const chunk of syntheticRecording({ durationMs: 3 * 3_600_000, bytesPerSecond: 2_000, seed: 1 })) bytes += chunk.length
  assert.ok(bytes > 3 * 3_600 * 1_500)
})

test('random numbers are spread and repeatable', () => {
  const random = seededRandom(9)
  const thrown = Array.from({ length: 6000 }, () => random.between(1, 6))
  for (let face = 1; face <= 6; face += 1) assert.ok(Math.abs(thrown.filter((value) => value === face).length - 1000) < 150)
  assert.deepEqual(seededRandom(9).bytes(7), seededRandom(9).bytes(7))
  assert.throws(() => random.pick([]), RangeError)
})
