import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, loadRecording, syntheticChunks } from '@longtake/testkit'
import { newPart, STARTED_AT, World, type TestPart } from './harness.ts'

const after = (ms: number): string => new Date(STARTED_AT + ms).toISOString()
const HOUR = 3_600_000

async function record(world: World, part: TestPart, chunks: Uint8Array[], { from = 0, to = chunks.length - 1, close = true } = {}): Promise<void> {
  world.open(part)
  for (let seq = from; seq <= to; seq++) {
    world.chunk(part, seq, chunks[seq]!)
    await world.pass(1_000)
  }
  if (close) world.closePart(part, chunks.length)
  await world.pass(1_000)
}

const made = (seed: number, more: Partial<Parameters<typeof syntheticChunks>[0]> = {}): Uint8Array[] => syntheticChunks({ durationMs: 10_000, seed, ...more })

test('parts of several recorders are one file, each at its time, whatever they number their tracks', async () => {
  const world = new World()
  world.own()
  const parts = [0, 15_000, 600_000].map((ms, i) => ({ part: newPart({ startedAt: after(ms) }), chunks: made(i + 1, { tracks: i === 1 ? ['audio', 'video'] : ['video', 'audio'] }) }))
  for (const { part, chunks } of parts) {
    await record(world, part, chunks)
    world.own()
  }
  assertContent(checkRecording({ file: await world.file(), parts: parts.map(({ part, chunks }) => ({ ...part, chunks })) }).findings)
  assert.equal(world.lastCommit().generation, 0, 'nothing that was committed has moved')
  assert.deepEqual(parts.map(({ part }) => world.partState(part.part).startMs), [0, 15_000, 600_000])
})

test('the tail of a crashed part, uploaded by its successor, goes to its place', async () => {
  const world = new World()
  world.own()
  const [first, second] = [newPart(), newPart({ startedAt: after(30_000) })]
  const [one, two] = [made(1), made(2)]
  await record(world, first, one, { to: 5, close: false })
  await record(world, second, two, { to: 4, close: false })
  for (let seq = 6; seq < one.length; seq++) world.chunk(first, seq, one[seq]!)
  world.closePart(first, one.length, false)
  await world.pass(2_000)
  await record(world, second, two, { from: 5 })
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...first, chunks: one }, { ...second, chunks: two }] }).findings)
  assert.equal(world.lastCommit().generation, 1, 'bytes have moved once')
})

test('a late tail that is longer than its room makes what follows move on', async () => {
  const world = new World()
  world.own()
  // By its recorder's clock the second starts within the first's ten seconds; that shows only when the tail comes.
  const [first, second] = [newPart(), newPart({ startedAt: after(8_000) })]
  const [one, two] = [made(1), made(2)]
  await record(world, first, one, { to: 5, close: false })
  await record(world, second, two, { to: 6, close: false })
  assert.equal(world.partState(second.part).startMs, 8_000)
  for (let seq = 6; seq < one.length; seq++) world.chunk(first, seq, one[seq]!)
  world.closePart(first, one.length)
  await world.pass(2_000)
  const firstEnd = world.partState(first.part).endMs
  assert.equal(world.partState(second.part).startMs, firstEnd)
  world.own()
  await record(world, second, two, { from: 7 })
  const { findings } = checkRecording({ file: await world.file(), parts: [{ ...first, chunks: one }, { ...second, chunks: two }] })
  assertContent(findings.filter(({ code }) => code !== 'part-offset'))
  assert.equal(world.committedOffset, world.log.length)
})

test('a part whose beginning was missing, from before the file, is put in front of it', async () => {
  const world = new World()
  world.own()
  const [first, second] = [newPart(), newPart({ startedAt: after(30_000) })]
  const [one, two] = [made(1), made(2)]
  await record(world, first, one, { from: 1 })
  await record(world, second, two)
  assert.equal(world.lastCommit().startedAt, second.startedAt)
  assert.equal(world.partState(first.part).startMs, null)
  world.chunk(first, 0, one[0]!)
  await world.pass(31_000)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...first, chunks: one }, { ...second, chunks: two }] }).findings)
  assert.equal(world.lastCommit().startedAt, first.startedAt)
  assert.deepEqual(await world.pendingAtRest(), [])
})

for (const [what, startedAt, chunks] of [
  ['recorded at the same time', after(5_000), made(2)],
  ['hours later', after(5 * HOUR), made(2)],
  ['with other codecs', after(60_000), loadRecording('firefox-webcam-vp8').chunks],
  ['without sound', after(60_000), made(2, { tracks: ['video'] })],
  ['by a clock that ran backwards', after(-5_000), made(2)],
] as const) {
  test(`a part ${what} is a file of its own`, async () => {
    const world = new World()
    world.own()
    const one = made(1)
    const [first, second] = [newPart(), newPart({ startedAt })]
    await record(world, first, one)
    await record(world, second, [...chunks])
    assertContent(checkRecording({ file: await world.file('webcam', 0), parts: [{ ...first, chunks: one }] }).findings)
    assertContent(checkRecording({ file: await world.file('webcam', 1), parts: [{ ...second, chunks: [...chunks] }] }).findings)
    assert.equal(world.lastCommit('webcam', 1).startedAt, startedAt)
    assert.deepEqual(world.lastCommit('webcam', 0).parts.map(({ part }) => part), [first.part])
    world.own()
    world.chunk(second, 0, chunks[0]!)
    await world.settle()
    assert.equal(world.committedOffset, world.log.length, 'a duplicate is known after loading, too')
  })
}

test('MP4 keeps what is behind a hole until it is filled; a second part is a second file', async () => {
  const { chunks, mimeType } = loadRecording('chrome-mp4')
  const world = new World()
  world.own()
  const [first, second] = [newPart({ mimeType }), newPart({ mimeType, startedAt: after(60_000) })]
  world.open(first)
  for (const [seq, bytes] of chunks.entries()) if (seq !== 4) world.chunk(first, seq, bytes)
  world.closePart(first, chunks.length)
  await world.pass(40_000)
  const part = world.partState(first.part)
  assert.deepEqual([part.missing.map(({ from, to }) => [from, to]), part.undecodable.map(({ from, to }) => [from, to])], [[[4, 4]], [[5, chunks.length - 1]]])
  assert.deepEqual(Buffer.from(await world.file()), Buffer.concat(chunks.slice(0, 4)))
  assert.equal(world.committedOffset, world.log.length)
  world.own()
  world.chunk(first, 4, chunks[4]!)
  await world.pass(31_000)
  await record(world, second, chunks)
  assert.deepEqual(Buffer.from(await world.file()), Buffer.concat(chunks))
  assert.deepEqual(Buffer.from(await world.file('webcam', 1)), Buffer.concat(chunks))
  assert.deepEqual(await world.pendingAtRest(), [])
})
