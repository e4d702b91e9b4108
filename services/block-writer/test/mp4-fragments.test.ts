import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, fuzz, loadRecording, mutate, mutation, recut } from '@longtake/testkit'
import fc from 'fast-check'
import { FragmentReader } from '../src/core/mp4/fragment-reader.ts'
import { newPart, World } from './harness.ts'

const { chunks, mimeType } = loadRecording('chrome-mp4')
const stream = concat(chunks)

function read(pieces: readonly Uint8Array[], restart = false): FragmentReader {
  let reader = new FragmentReader()
  for (const piece of pieces) {
    reader.push(piece)
    if (restart) reader = new FragmentReader(JSON.parse(JSON.stringify(reader.state)), reader.tail)
  }
  return reader
}

/** The offsets of top-level boxes. */
function boxes(): { type: string; at: number; size: number }[] {
  const found = []
  for (let at = 0; at < stream.length; ) {
    const size = Buffer.from(stream).readUInt32BE(at)
    found.push({ type: Buffer.from(stream.subarray(at + 4, at + 8)).toString('latin1'), at, size })
    at += size
  }
  return found
}

async function recorded(bytes: Uint8Array, cuts = 7): Promise<ReturnType<World['partState']>> {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  const pieces = recut(bytes, cuts)
  world.open(part)
  for (const [seq, piece] of pieces.entries()) {
    world.chunk(part, seq, piece)
    await world.pass(1_000)
    if (seq === 3) world.own()
  }
  world.closePart(part, pieces.length)
  await world.pass(5_000)
  return world.partState(part.part)
}

test('an MP4 lasts as long as its fragments, however it is cut, over any restart', async () => {
  const whole = read([stream])
  assert.equal(whole.state.broken, null)
  assert.equal(whole.wholeTo, stream.length)
  for (const cuts of [1, 2, 3]) assert.deepEqual(read(recut(stream, cuts), true).state, whole.state)
  const state = await recorded(stream)
  assert.deepEqual([state.startMs, state.endMs, state.undecodable], [whole.times!.startMs, whole.times!.endMs, []])
})

test('an MP4 that breaks off is told as truncated, with the time of the last whole fragment', async () => {
  const found = boxes()
  const lastMdat = found.findLast(({ type }) => type === 'mdat')!
  const lastMoof = found.findLast(({ type }) => type === 'moof')!
  for (const length of [lastMdat.at + 100, lastMdat.at, lastMdat.at + 4, lastMoof.at + 20]) {
    const bytes = stream.subarray(0, length)
    const { times } = read([bytes])
    const { undecodable, endMs } = await recorded(bytes)
    assert.deepEqual(undecodable.map(({ cause, startMs, endMs }) => [cause, startMs, endMs]), [['truncated', times!.endMs, null]], `${length} bytes`)
    assert.equal(endMs, times!.endMs)
  }
})

test('an MP4 without its moov, with a second one, or with a fragment twice cannot be played from there on', async () => {
  const found = boxes()
  const moov = found.find(({ type }) => type === 'moov')!
  const without = concat([stream.subarray(0, moov.at), stream.subarray(moov.at + moov.size)])
  const cases = [
    [without, 'broken-content', null],
    [concat([stream, stream]), 'other-recording', read([stream]).times!.endMs],
    [concat([stream, stream.subarray(found.find(({ type }) => type === 'moof')!.at)]), 'time-backwards', read([stream]).times!.endMs],
  ] as const
  for (const [bytes, cause, startMs] of cases) {
    const { undecodable } = await recorded(bytes)
    assert.deepEqual(undecodable.map((range) => [range.cause, range.startMs]), [[cause, startMs]], cause)
  }
})

fuzz('mutated MP4 is read the same however it is cut, and nothing is held beyond its bytes', 150, fc.record({ mutations: fc.array(mutation, { minLength: 1, maxLength: 5 }), cuts: fc.nat(1_000) }), ({ mutations, cuts }) => {
  const broken = mutate(stream.subarray(0, 60_000), mutations)
  const whole = read([broken])
  const cut = read(recut(broken, cuts), true)
  assert.deepEqual(cut.state.broken, whole.state.broken)
  assert.deepEqual(cut.times, whole.times)
  assert.equal(cut.wholeTo, whole.wholeTo)
  assert.ok(whole.tail.length <= broken.length)
})
