import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GapState } from '@longtake/contracts'
import { assertContent, checkRecording, concat, loadRecording, readRecordedPart, recut, syntheticChunks } from '@longtake/testkit'
import { newPart, World, type TestPart } from './harness.ts'

type Options = Partial<Parameters<typeof syntheticChunks>[0]>
const made = (seed: number, more: Options = {}): Uint8Array => concat(syntheticChunks({ durationMs: 6_000, seed, bytesPerSecond: 8_000, ...more }))

/** The part's chunks one a second, without those that are lost; those that are late come at the end. */
async function record(world: World, part: TestPart, chunks: readonly Uint8Array[], { lost = [] as number[], late = [] as number[] } = {}): Promise<void> {
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    if (!lost.includes(seq) && !late.includes(seq)) world.chunk(part, seq, bytes)
    await world.pass(1_000)
  }
  await world.pass(20_000)
  // Whoever takes over reads it from a checkpoint.
  world.own()
  for (const seq of late) {
    world.chunk(part, seq, chunks[seq]!)
    await world.pass(2_000)
  }
  world.closePart(part, chunks.length)
  await world.pass(10_000)
}

async function check(world: World, part: TestPart, chunks: readonly Uint8Array[], lost: number[] = []): Promise<void> {
  const present = new Map([...chunks.entries()].filter(([seq]) => !lost.includes(seq)))
  const state = world.partState(part.part)
  const gaps = [...state.missing.map((range) => ({ ...range, kind: 'lost' as const })), ...state.undecodable.map((range) => ({ ...range, kind: 'undecodable' as const }))]
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks: present, length: chunks.length, gaps: gaps as GapState[] }] }).findings)
}

function started(): World {
  const world = new World()
  world.own()
  return world
}

test('several recordings in one part stand one behind the other, whatever they number their tracks and wherever the part is cut', async () => {
  for (const cuts of [1, 2, 3, 4]) {
    const world = started()
    const part = newPart()
    const chunks = recut(concat([made(1), made(2, { tracks: ['audio', 'video'] }), made(3)]), cuts)
    await record(world, part, chunks)
    await check(world, part, chunks)
    const { durationMs } = world.lastCommit()
    assert.deepEqual([world.partState(part.part).undecodable, durationMs >= 17_900 && durationMs < 30_000], [[], true], `cut ${cuts}: ${durationMs} ms`)
  }
})

test('the same recording twice is there twice', async () => {
  const world = started()
  const part = newPart()
  const chunks = recut(concat([made(1), made(1)]), 5)
  await record(world, part, chunks)
  await check(world, part, chunks)
  assert.ok(world.lastCommit().durationMs >= 11_900)
})

test('a recording that was started later stands at its time', async () => {
  const world = started()
  const part = newPart()
  const [one, two] = [syntheticChunks({ durationMs: 4_000, seed: 1 }), syntheticChunks({ durationMs: 4_000, seed: 2 })]
  world.open(part)
  const chunks = [...one, ...two]
  // Chunk 34 of the same recorder would have been captured 35 s after the start: so long the page was without one.
  for (const [seq, bytes] of one.entries()) world.chunk(part, seq, bytes)
  await world.pass(5_000)
  for (const [i, bytes] of two.entries()) world.chunk({ ...part, startedAt: new Date(Date.parse(part.startedAt) + 30_000).toISOString() }, one.length + i, bytes)
  world.closePart(part, chunks.length)
  await world.pass(10_000)
  await check(world, part, chunks)
  const { durationMs } = world.lastCommit()
  assert.ok(durationMs > 34_000 && durationMs < 41_000, `${durationMs} ms`)
})

test('holes around the second head: nothing lies over what is there, and late chunks put all in its place', async () => {
  const [one, two] = [syntheticChunks({ durationMs: 6_000, seed: 1 }), syntheticChunks({ durationMs: 12_000, seed: 2, tracks: ['audio', 'video'] })]
  const chunks = [...one, ...two]
  const head = one.length
  for (const gone of [[head], [head - 1], [head - 1, head], [head, head + 1], [head + 1], [head - 2, head + 2]]) {
    const lossy = started()
    const part = newPart()
    await record(lossy, part, chunks, { lost: gone })
    const state = lossy.partState(part.part)
    assert.ok(state.missing.length > 0 && lossy.lastCommit().durationMs < 40_000, `${gone.join()}: ${lossy.lastCommit().durationMs} ms`)
    const file = readRecordedPart(new Map([[0, await lossy.file()]]))
    const last = new Map<number, number>()
    for (const { track, timeMs } of file.frames) {
      assert.ok(timeMs >= (last.get(track) ?? 0), `without ${gone.join()} a frame at ${timeMs} ms lies over one at ${last.get(track)} ms`)
      last.set(track, timeMs)
    }
    const filled = started()
    await record(filled, part, chunks, { late: gone })
    await check(filled, part, chunks)
    assert.deepEqual(filled.partState(part.part).undecodable, [], `${gone.join()} late`)
  }
})

test('a recording with other tracks cannot join: its chunks are undecodable, with times, and their bytes are kept', async () => {
  const world = started()
  const part = newPart()
  const sound = loadRecording('chrome-audio-only').chunks
  const chunks = [...syntheticChunks({ durationMs: 6_000, seed: 1 }), ...sound, ...syntheticChunks({ durationMs: 6_000, seed: 2 })]
  const from = syntheticChunks({ durationMs: 6_000, seed: 1 }).length
  await record(world, part, chunks)
  const state = world.partState(part.part)
  assert.deepEqual(state.undecodable.map(({ from, to, cause }) => [from, to, cause]), [[from, from + sound.length, 'other-recording']])
  const { startMs, endMs } = state.undecodable[0]!
  assert.ok(startMs! >= 5_900 && startMs! <= 6_100 && endMs! >= startMs!, `${startMs}–${endMs}`)
  await check(world, part, chunks)
  const fromOf = (name: string): number => Number(/\/kept-(\d+)-/.exec(name)?.[1] ?? Number.NaN)
  const kept = (await world.names()).filter((name) => fromOf(name) >= 0).toSorted((a, b) => fromOf(a) - fromOf(b))
  const bytes = concat(await Promise.all(kept.map(async (name) => (await world.memory.readAll(name))!.bytes)))
  assert.ok(Buffer.from(bytes).includes(Buffer.from(concat(sound))), 'what cannot be played is kept as it came')
})

test('times that go back without a head are never laid over earlier media', async () => {
  const world = started()
  const part = newPart()
  const [one, two] = [made(1, { durationMs: 8_000 }), made(2, { durationMs: 8_000 })]
  const cluster = Buffer.from(two).indexOf(Buffer.of(0x1f, 0x43, 0xb6, 0x75))
  const chunks = recut(concat([one, two.subarray(cluster)]), 6)
  await record(world, part, chunks)
  const state = world.partState(part.part)
  assert.deepEqual(state.undecodable.map(({ to, cause }) => [to, cause]), [[chunks.length - 1, 'time-backwards']])
  assert.ok(Math.abs(state.undecodable[0]!.startMs! - 8_000) < 200 && world.lastCommit().durationMs < 8_200)
})

test('after damage everything that waits for a keyframe is told with its times', async () => {
  const world = started()
  const part = newPart()
  const chunks = syntheticChunks({ durationMs: 12_000, seed: 4, keyframeEveryMs: 5_000, bytesPerSecond: 8_000 })
  const broken = chunks.map((bytes, seq) => (seq === 2 ? concat([bytes.subarray(0, bytes.length >> 1), new Uint8Array(bytes.length - (bytes.length >> 1))]) : bytes))
  await record(world, part, broken)
  const [range, ...more] = world.partState(part.part).undecodable
  assert.ok(range!.from === 1 || range!.from === 2)
  assert.deepEqual([more.length, range!.cause], [0, 'broken-content'])
  assert.ok(range!.to >= 4 && range!.startMs! > 1_900 && range!.startMs! < 3_100 && range!.endMs === 5_000, JSON.stringify(range))
})

test('chunks without a single frame, or that are no recording, are never whole', async () => {
  const recording = made(1)
  const head = recording.subarray(0, Buffer.from(recording).indexOf(Buffer.of(0x1f, 0x43, 0xb6, 0x75)))
  for (const [bytes, cause] of [[head, 'no-media'], [new Uint8Array(5_000), undefined], [new TextEncoder().encode('<!doctype html><p>not a recording'), undefined]] as const) {
    const world = started()
    const part = newPart()
    await record(world, part, [bytes])
    const state = world.partState(part.part)
    if (cause === undefined) assert.equal(state.rejected?.code, 'REC_NOT_A_RECORDING')
    else assert.deepEqual(state.undecodable, [{ from: 0, to: 0, startMs: null, endMs: null, cause }])
  }
})

test('where numbering began too late, the reason names the byte of the EBML head', async () => {
  const world = started()
  const part = newPart()
  const [first, second] = syntheticChunks({ durationMs: 3_000, seed: 1 }) as [Uint8Array, Uint8Array]
  world.open(part)
  world.chunk(part, 0, second)
  world.chunk(part, 1, first)
  await world.pass(5_000)
  assert.equal(world.partState(part.part).rejected?.message, `neither WebM, Matroska nor MP4; the EBML head stands at byte ${second.length}`)
})

test('the checker misses a second recording that is not in the file', async () => {
  const [one, two] = [made(1), made(2)]
  const world = started()
  const part = newPart()
  await record(world, part, recut(one, 3))
  const codes = checkRecording({ file: await world.file(), parts: [{ ...part, chunks: [one, two] }] }).findings.map(({ code }) => code)
  assert.ok(codes.some((code) => code === 'tail-missing' || code === 'frame-missing'), codes.join())
})
