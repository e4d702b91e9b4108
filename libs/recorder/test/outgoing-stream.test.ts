import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@longtake/testkit'
import { MAX_POLLING_BODY_BYTES } from '@longtake/contracts/polling'
import { BodySize } from '../src/upload/body-size.ts'
import { closeFrame, OutgoingStream } from '../src/upload/outgoing-stream.ts'

const FRAMES = ['{"type":"ping","t":1}', Uint8Array.of(1, 2, 3), '', 'ü', new Uint8Array(300).fill(9)]
const PREFIXED = Buffer.concat(
  FRAMES.map((frame) => {
    const payload = Buffer.from(frame as string)
    return Buffer.concat([Buffer.from([typeof frame === 'string' ? 1 : 2, 0, 0, payload.length >> 8, payload.length & 255]), payload])
  }),
)

test('the stream is the frames behind their prefixes, however it is taken and confirmed', () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(seed)
    const stream = new OutgoingStream()
    const arrived = Buffer.alloc(PREFIXED.length)
    const waiting = [...FRAMES]
    while (waiting.length > 0 || stream.bufferedBytes > 0) {
      if (waiting.length > 0 && random.chance(0.5)) stream.push(waiting.shift()!)
      const bytes = stream.next(random.between(1, 50))
      arrived.set(bytes, stream.offset)
      assert.ok(stream.confirm(stream.offset + random.between(0, bytes.length)))
    }
    assert.deepEqual(arrived, PREFIXED, `seed ${seed}`)
    assert.equal(stream.offset, PREFIXED.length)
  }
})

test('a gateway cannot have received less than before, or more than there is', () => {
  const stream = new OutgoingStream()
  stream.push('abc')
  assert.ok(stream.confirm(4))
  for (const received of [3, 9, 4.5, Number.NaN]) assert.equal(stream.confirm(received), false)
  assert.deepEqual([stream.offset, stream.bufferedBytes], [4, 4])
})

test('a close frame has code 1000', () => assert.deepEqual([...closeFrame()], [8, 0, 0, 0, 2, 0x03, 0xe8]))

test('requests grow on a quick line, shrink on a slow one and after failures, within bounds', () => {
  const size = new BodySize()
  const first = size.bytes
  size.answered(first, 100)
  assert.equal(size.bytes, 2 * first)
  size.answered(10, 10)
  assert.equal(size.bytes, 2 * first, 'a small request says nothing about a large one')
  size.answered(size.bytes, 1500)
  assert.equal(size.bytes, 2 * first)
  size.answered(10, 5000)
  assert.equal(size.bytes, first)
  size.failed()
  assert.equal(size.bytes, first / 4)
  for (let i = 0; i < 20; i++) size.failed()
  assert.ok(size.bytes > 0)
  for (let i = 0; i < 20; i++) size.answered(size.bytes, 1)
  assert.ok(size.bytes < MAX_POLLING_BODY_BYTES)
})
