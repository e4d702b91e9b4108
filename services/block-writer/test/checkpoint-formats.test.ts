import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { packCues, unpackCues } from '@longtake/webm'
import { decodeCheckpoint, encodeCheckpoint } from '../src/core/checkpoint.ts'
import { partState } from '../src/core/index.ts'
import { PackedPieces, PieceList } from '../src/core/piece-list.ts'
import type { FreshPiece, StoredPiece } from '../src/core/piece.ts'

/** Written by the first version of the format: a part with two chunks of sound. */
const FORMAT_1 = `
  H4sIAAAAAAAAA91Tz4scRRSexYRg1EAO/gMPVkOoTqq6q3/qHpJVYYmL4K4gDgNWd72eadM/xu5qJmFoSBByyEFUMAgigjloEEFFRBAvEi/BWw
  QPXsxFNkTJJRBCRKS6e2ZXPKhXH32o96r6q+9936vBYP/OHOKizISCgBGYoJAQzCGvsxBLCEwCUZFlidqQEEDIJArGqWEyKQ0eoWuEVFhGGEXc
  jZxY8pADgTHmWAqVFDkElECOZ9RzcVyhggAsIFApUSqUJ3RuUtMxqGVQts1oQPV3jFL6EuiLcyWSXNOAGYYZdPR0PgdZRNtnp7i7pZIMKyWy6V
  YkUoSA0TYIqFJEpysIhiBdj1HmWpHtuSwWDOOQShEyx/Esj1HTczyHMzvmsU1t27YcS5i+xWOXurZrcc+xHeZwymiL7dEwpMtA5snQ9jh3rdCj
  lPqxvssxHe4xk8KoWZA/eVZhBYGj8RsCU1EqTW4OiVaY9WGYpmka3LIsw+OcG/ae0NKkCeZaPr+PfzifJRn2colaJsVxLdoTUSExqtaKaV39B1
  fSokIJQV6nKYG0qBQEwxGBEl/BSO3u/N/cm6YiQs09TjRBSqBoZ3qzgoA2Wr6i1N0Ph5Sw0YiATMZYqd5uj0DYG9/1FYmpqkuU2wUEzHVNy/ZN
  arZbZZ13ExGXRdbepIr2cc4mRYrPLIpttoWvLgRXIkm7TUZAikyMWzqaCWqnW+ErJVTbRbn0YjoRlXYiSutKYQmLxiCwfZ86BKrTybS98d+7Vu
  E4w1w9ne+OQ4f+98qWHjsIbM/13GVxO2lN59TT0o57zjORqCQf66YaArMyUV0HqajUeo2tE3smZt4tWz30kc0eUXuF083Wi2bUNJ10z2I+VhMI
  fN7lJ9Mi7Kg2BEox66Ss83ihaohxUba80vbXqiu3z6hfYy77VSL7QdDW19hXoxoX5YaAiBf9LPFs3/H9vaB0F5UzTvciW+YSmv0FmzfNqBk1L9
  799Mwnx66uXl6/dn7w5Ln7r/1++I+H3//p/sfvzM9lJzZuPHrxq1M/v7F288rn33/04ODLI4fmOwe+/uzDO4efvzh56uqta9+tXnrs7o2dCxvX
  /Usrqz+QX1549/zqoQ348frj3ybk7QO3bx+89dv+y+8df1MdvfLr+uiLI4PBYFC//NYHDwwfel1988ipC2v77q2sDA7+CcYJ7Cd2BgAA`

test('a checkpoint of the first format is read, and says the same in the next one', () => {
  const { parts, ...head } = decodeCheckpoint(Buffer.from(FORMAT_1, 'base64'))
  assert.equal(head.commitId.length, 36)
  const [part] = parts
  assert.deepEqual(partState(part!), {'part': '11111111-2222-4333-8444-555555555555', 'client': '99999999-2222-4333-8444-555555555555', 'mimeType': 'audio/webm;codecs=opus', 'startedAt': '2026-03-01T10:00:00.000Z', 'startMs': 0, 'endMs': 4140, 'stored': [[0, 1]], 'chunks': 2, 'bytes': 60000, 'media': {'audio': {'frames': null, 'lastMs': null}}, 'undecodable': [], 'missing': [], 'closed': null, 'lost': [], 'rejected': null})
  const blocks = part!.media.flatMap((list) => [...list])
  assert.deepEqual(
    blocks.map((piece) => (piece.kind === 'stored' ? { ...piece, cues: unpackCues(piece.cues) } : piece)),
    [{'kind': 'stored', 'id': 'o50vkXQqqexDXbQoAAAAAHVgkqIDWwuOdL0NS4Y9BPk=', 'moveMs': 0, 'length': 59699, 'startMs': 0, 'endMs': 4140, 'frames': null, 'cues': [{'timeMs': 0, 'track': 1, 'clusterOffset': 0, 'relativePosition': 10}]}],
  )
  const again = decodeCheckpoint(encodeCheckpoint({ parts, ...head }))
  assert.deepEqual(again.parts.map(partState), parts.map(partState))
  assert.deepEqual(again.parts[0]!.media.flatMap((list) => [...list]), blocks)
})

const stored = (row: number): StoredPiece => ({
  kind: 'stored',
  id: Buffer.alloc(32, row).toString('base64'),
  moveMs: 0,
  length: 1_000 + row,
  startMs: 2_000 * row,
  endMs: 2_000 * row + 1_999.5,
  frames: row % 7 === 0 ? null : { video: 60, audio: row },
  cues: packCues([{ timeMs: 2_000 * row, track: 1, clusterOffset: 0, relativePosition: 10 }]),
})
const fresh = (row: number): FreshPiece => ({ kind: 'fresh', bytes: Uint8Array.of(row), length: 1, startMs: 2_000 * row, endMs: 2_000 * row + 2_000, frames: { video: 1, audio: 2 }, cues: [] })

test('blocks come back from their columns as they were put, however many', () => {
  const all = Array.from({ length: 300 }, (_, row) => stored(row))
  const packed = all.reduce((list, piece) => list.with(piece), PackedPieces.EMPTY)
  assert.deepEqual([...packed], all)
  assert.deepEqual([packed.length, packed.bytes, packed.startMs, packed.endMs], [300, 300 * 1_000 + (300 * 299) / 2, 0, 2_000 * 299 + 1_999.5])
})

test('two lists that go on from the same one do not see each other', () => {
  const both = PackedPieces.EMPTY.with(stored(1)).with(stored(2))
  const one = both.with(stored(3))
  const other = both.with(stored(4)).with(stored(5))
  assert.deepEqual([...both], [1, 2].map(stored))
  assert.deepEqual([...one], [1, 2, 3].map(stored))
  assert.deepEqual([...other], [1, 2, 4, 5].map(stored))
  assert.deepEqual([0, 1, 2].map((row) => one.isSame(row, other, row)), [true, true, false])
})

test('a list keeps its order through commits, and what is behind new media waits with it', () => {
  const list = new PieceList([stored(1)])
  list.push(fresh(2), stored(3))
  assert.deepEqual([list.packed.length, list.rest.length, list.length], [1, 2, 3])
  assert.deepEqual([...list], [stored(1), fresh(2), stored(3)])
  assert.deepEqual([list.first, list.last, list.span], [stored(1), stored(3), { startMs: 2_000, endMs: 7_999.5 }])
  list.settle([stored(2), stored(3)])
  assert.deepEqual([list.rest, [...list.packed]], [[], [1, 2, 3].map(stored)])
})

test('a list that is moved has all of its blocks to write again, later by so much', () => {
  const list = new PieceList([stored(1), stored(2)])
  list.move(500)
  assert.equal(list.packed.length, 0)
  assert.deepEqual(list.rest.map(({ startMs, endMs }) => [startMs, endMs]), [[2_500, 4_499.5], [4_500, 6_499.5]])
  assert.deepEqual(list.rest.map((piece) => piece.kind === 'stored' && [piece.moveMs, unpackCues(piece.cues)[0]!.timeMs]), [[500, 2_500], [500, 4_500]])
})

test('what is kept of parts that have not changed makes the same checkpoint, wherever they stand in it', () => {
  const { parts: _parts, ...head } = decodeCheckpoint(Buffer.from(FORMAT_1, 'base64'))
  const parts = Array.from({ length: 70 }, (_, i) => {
    const part = decodeCheckpoint(Buffer.from(FORMAT_1, 'base64')).parts[0]!
    part.stored = [[i, i + 1]]
    return part
  })
  const plain = (of: typeof parts, isChanged: (part: (typeof parts)[0]) => boolean): Buffer => gunzipSync(encodeCheckpoint({ ...head, parts: of }, isChanged))
  const assertSame = (of: typeof parts): void => {
    const cached = plain(of, () => false)
    assert.deepEqual(cached, plain(of, () => false))
    assert.deepEqual(decodeCheckpoint(encodeCheckpoint({ ...head, parts: of }, () => false)).parts.map(partState), of.map(partState))
    assert.deepEqual(cached, plain(of, () => true))
  }
  for (const some of [parts, parts, parts.slice(16), parts.slice(3), [...parts.slice(16), ...parts.slice(0, 16)], parts.slice(0, 1), []]) {
    plain(parts, () => false)
    plain(some, () => false)
    assertSame(some)
  }
  plain(parts, () => false)
  parts[20]!.bytes++
  parts[20]!.dirty = true
  assert.deepEqual(plain(parts, (part) => part === parts[20]), plain(parts, () => true))
})
