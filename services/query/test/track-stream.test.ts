import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { openTrack, PIECE_BYTES, type ReadPiece } from '../src/track-stream.ts'

const content = Buffer.alloc(PIECE_BYTES * 2 + 1000, 'abcdefghij')

const promised = { generation: 1, commit: 1, headerBytes: 100 }

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
  const got = await buffer(await openTrack(read, [{ start, end }], promised))
  assert.ok(got.equals(content.subarray(start, end + 1)))
  assert.deepEqual(offsets, [17, 17 + PIECE_BYTES, 17 + 2 * PIECE_BYTES])
})

test('moved bytes end the response with an error before any of them is sent', async () => {
  const { read } = reader((offset) => (offset === 0 ? 1 : 2))
  let sent = 0
  const stream = await openTrack(read, [{ start: 0, end: content.length - 1 }], promised)
  await assert.rejects(
    async () => {
      for await (const chunk of stream) sent += (chunk as Buffer).length
    },
    { code: 'MOVED_WHILE_READING' },
  )
  assert.equal(sent, PIECE_BYTES)
})

test('text between ranges is sent in its place', async () => {
  const { read } = reader()
  const got = await buffer(await openTrack(read, [Buffer.from('<'), { start: 5, end: 6 }, Buffer.from('|'), { start: 0, end: 0 }, Buffer.from('>')], promised))
  assert.equal(got.toString(), '<fg|a>')
})

test('a header of another commit than was promised is never sent; media behind it are, as they only grow', async () => {
  const at = (commit: number): ReadPiece => async (offset, count) => ({
    bytes: (async function* () {
      yield content.subarray(offset, offset + count)
    })(),
    version: { generation: 1, commit },
  })
  await assert.rejects(openTrack(at(2), [{ start: 99, end: 200 }], promised), { code: 'MOVED_WHILE_READING' })
  assert.equal((await buffer(await openTrack(at(2), [{ start: 100, end: 200 }], promised))).length, 101)
})

test('a reader who goes away aborts the read under way', async () => {
  const aborted = Promise.withResolvers<void>()
  const { read } = reader()
  const hanging: ReadPiece = (offset, count, signal) => {
    if (offset === 0) return read(offset, count, signal)
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        aborted.resolve()
        reject(new Error('aborted'))
      })
      setImmediate(() => stream.destroy())
    })
  }
  const stream = await openTrack(hanging, [{ start: 0, end: PIECE_BYTES * 2 }], promised)
  stream.on('error', () => undefined)
  stream.resume()
  await aborted.promise
})
