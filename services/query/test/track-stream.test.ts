import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { PIECE_BYTES, streamTrack, type ReadPiece } from '../src/track-stream.ts'

const content = Buffer.alloc(PIECE_BYTES * 2 + 1000, 'abcdefghij')

function reader(generationAt: (offset: number) => number = () => 1): { read: ReadPiece; offsets: number[] } {
  const offsets: number[] = []
  return {
    offsets,
    read: async (offset, count) => {
      offsets.push(offset)
      async function* bytes() {
        yield content.subarray(offset, offset + count)
      }
      return { bytes: bytes(), version: { generation: generationAt(offset), commit: 1 } }
    },
  }
}

test('a range is read in pieces and comes out whole', async () => {
  const { read, offsets } = reader()
  const start = 17
  const end = content.length - 3
  const got = await buffer(streamTrack(read, { start, end, generation: 1 }))
  assert.ok(got.equals(content.subarray(start, end + 1)))
  assert.deepEqual(offsets, [17, 17 + PIECE_BYTES, 17 + 2 * PIECE_BYTES])
})

test('moved bytes end the response with an error before any of them is sent', async () => {
  const { read } = reader((offset) => (offset === 0 ? 1 : 2))
  let sent = 0
  const stream = streamTrack(read, { start: 0, end: content.length - 1, generation: 1 })
  await assert.rejects(
    async () => {
      for await (const chunk of stream) sent += (chunk as Buffer).length
    },
    { code: 'MOVED_WHILE_READING' },
  )
  assert.equal(sent, PIECE_BYTES)
})

test('a reader who goes away aborts the read under way', async () => {
  const aborted = new Promise<void>((resolve) => {
    const stream = streamTrack(
      (_offset, _count, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            resolve()
            reject(new Error('aborted'))
          })
          setImmediate(() => stream.destroy())
        }),
      { start: 0, end: 10, generation: 1 },
    )
    stream.on('error', () => undefined)
    stream.resume()
  })
  await aborted
})
