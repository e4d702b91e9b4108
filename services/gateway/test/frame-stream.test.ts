import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeStreamFrame, OPCODES } from '@longtake/contracts'
import { seededRandom } from '@longtake/testkit'
import { FrameStream } from '../src/frame-stream.ts'
import { bytes } from './conversation.ts'

const MAX_BYTES = 1000

/** What comes out, copied before the bytes could be reused. */
function read(stream: FrameStream, offset: number, sent: Uint8Array): unknown[] {
  const frames: unknown[] = []
  for (const frame of stream.read(offset, sent))
    frames.push('fault' in frame ? frame : [frame.opcode, Buffer.from(frame.payload).toString('hex')])
  return frames
}

const PAYLOADS = [bytes(1, 1), bytes(0), bytes(MAX_BYTES, 2), bytes(300, 3), bytes(5, 4)]
const STREAM = Buffer.concat(PAYLOADS.map((payload) => encodeStreamFrame(OPCODES.binary, payload)))
const FRAMES = PAYLOADS.map((payload) => [OPCODES.binary, Buffer.from(payload).toString('hex')])

test('each frame is read once and in order, however the stream is cut and repeated', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seededRandom(seed)
    const stream = new FrameStream(MAX_BYTES)
    const frames: unknown[] = []
    while (stream.received < STREAM.length) {
      const from = random.chance(0.3) ? random.between(0, stream.received) : stream.received
      const reused = Buffer.from(STREAM.subarray(from, from + random.between(1, seed % 2 === 0 ? 8 : 700)))
      frames.push(...read(stream, from, reused))
      reused.fill(0)
    }
    assert.deepEqual(frames, FRAMES, `seed ${seed}`)
    assert.equal(stream.received, STREAM.length)
  }
})

test('bytes behind a hole are rejected', () => {
  const stream = new FrameStream(MAX_BYTES)
  read(stream, 0, STREAM.subarray(0, 10))
  assert.deepEqual(read(stream, 11, STREAM.subarray(11)), [{ fault: 'hole' }])
  assert.equal(stream.received, 10)
  assert.equal(read(stream, 10, STREAM.subarray(10)).length, FRAMES.length - 1)
})

test('a frame that is too long or of an unknown kind is rejected by its prefix', () => {
  for (const [prefix, fault] of [
    [[2, 0, 0, 0x03, 0xe9], { fault: 'too-long', bytes: 1001 }],
    [[2, 0xff, 0xff, 0xff, 0xff], { fault: 'too-long', bytes: 0xffff_ffff }],
    [[9, 0, 0, 0, 1], { fault: 'unknown-opcode' }],
  ] as const) {
    const stream = new FrameStream(MAX_BYTES)
    assert.deepEqual(read(stream, 0, Uint8Array.from(prefix)), [fault])
    assert.deepEqual(read(stream, 5, STREAM), [])
  }
})
