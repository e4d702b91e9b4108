import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, partsOfFiles, seededRandom, syntheticChunks, syntheticRecording } from '@longtake/testkit'
import { newPart, STARTED_AT, World, type TestPart } from './harness.ts'

const MIB = 1024 * 1024
const MAX_MOVED_BYTES = 32 * MIB

const startedAfter = (ms: number): TestPart => newPart({ startedAt: new Date(STARTED_AT + ms).toISOString() })

/** Counts bytes of blocks that are staged. */
function countStaged({ memory }: World): () => number {
  let staged = 0
  const stageBlock = memory.stageBlock.bind(memory)
  memory.stageBlock = async (blob, id, bytes, call) => {
    staged += bytes.length
    return stageBlock(blob, id, bytes, call)
  }
  return () => staged
}

async function filesOf(world: World): Promise<Uint8Array[]> {
  const numbers = (await world.names('session-1/webcam/')).map((name) => name.slice('session-1/webcam/'.length)).filter((rest) => /^\d+$/.test(rest))
  return Promise.all(numbers.map((number) => world.file('webcam', Number(number))))
}

async function assertFrames(world: World, parts: readonly { part: TestPart; chunks: readonly Uint8Array[] }[], what = ''): Promise<Uint8Array[]> {
  const files = await filesOf(world)
  const told = { files: files.map((_, number) => ({ parts: world.lastCommit('webcam', number).parts.filter(({ startMs }) => startMs !== null).map(({ part }) => part) })) }
  for (const [number, group] of partsOfFiles(files, parts.map(({ part, chunks }) => ({ ...part, chunks })), told).entries()) {
    assertContent(checkRecording({ file: files[number]!, parts: group }).findings, `${what}, file ${number}`)
  }
  assert.equal(world.committedOffset, world.log.length, what)
  return files
}

/** How far any part stands behind the clock, ms. */
function driftOf(world: World, parts: readonly { part: TestPart }[]): number {
  const { startedAt } = world.lastCommit()
  return Math.max(...parts.map(({ part }) => world.partState(part.part).startMs! - (Date.parse(part.startedAt) - Date.parse(startedAt!))))
}

for (const [overlapMs, files] of [[20, 1], [150, 1], [1_500, 2], [4_000, 2], [9_000, 2]] as const) {
  test(`a last chunk comes late and overlaps the next part, which is long, by ${overlapMs} ms: little is written again`, async () => {
    const world = new World()
    const staged = countStaged(world)
    world.own()
    const one = syntheticChunks({ durationMs: 20_000, seed: 1, chunkEveryMs: 1_000 })
    const [first, second] = [newPart(), startedAfter(20_000 - overlapMs)]
    const late = one.length - Math.max(1, Math.ceil(overlapMs / 1_000) + 1)
    world.open(first)
    for (const [seq, bytes] of one.entries()) if (seq < late) world.chunk(first, seq, bytes)
    await world.pass(20_000)
    const two = [...syntheticRecording({ durationMs: 1_500_000, seed: 2, bytesPerSecond: 28_000, frameMs: 100 })]
    world.open(second)
    for (const [seq, bytes] of two.entries()) {
      world.chunk(second, seq, bytes)
      if (seq % 60 === 0) await world.pass(5_000)
    }
    world.closePart(second, two.length)
    await world.pass(61_000)
    assert.ok(world.lastCommit().bytes > 40_000_000, `${world.lastCommit().bytes} bytes`)
    const [before, events] = [staged(), world.events.length]
    for (let seq = late; seq < one.length; seq++) world.chunk(first, seq, one[seq]!)
    world.closePart(first, one.length)
    await world.pass(61_000)
    assert.ok(staged() - before < 2 * MIB, `${staged() - before} bytes staged`)
    assert.ok(world.events.length > events)
    const made = await assertFrames(world, [{ part: first, chunks: one }, { part: second, chunks: two }])
    assert.equal(made.length, files)
    assert.ok(driftOf(world, [{ part: second }]) <= 5_000)
  })
}

test('a thousand parts, each 20 ms longer than the distance of their starts, stand at their times in one file', async () => {
  const world = new World()
  world.own()
  const chunks = syntheticChunks({ durationMs: 2_000, seed: 3, chunkEveryMs: 1_000, bytesPerSecond: 4_000 })
  const parts = Array.from({ length: 1_000 }, (_, i) => ({ part: startedAfter(i * 1_980), chunks }))
  for (const [i, { part }] of parts.entries()) {
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
    world.closePart(part, chunks.length)
    if (i % 20 === 0) await world.pass(500)
  }
  await world.pass(61_000)
  const files = await filesOf(world)
  assert.equal(files.length, 1)
  assert.ok(driftOf(world, parts) <= 1, `${driftOf(world, parts)} ms`)
})

test('random parts with random small overlaps, arriving in any order: at their times, every frame, little moved, no file too many', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const world = new World()
    const staged = countStaged(world)
    world.own()
    // All of it comes late: nobody takes a part for one that is being recorded.
    world.clock.advance(3_600_000)
    let startMs = 0
    const parts = Array.from({ length: random.between(3, 10) }, (_, i) => {
      const durationMs = random.between(2, 8) * 1_000
      const chunks = syntheticChunks({ durationMs, seed: 100 * seed + i, chunkEveryMs: 1_000, bytesPerSecond: 10_000 })
      const part = startedAfter(startMs)
      startMs += durationMs + random.pick([-200, -100, -40, -20, 0, 10, 3_000])
      return { part, chunks }
    })
    const records = parts.flatMap(({ part, chunks }) => chunks.map((bytes, seq) => ({ part, seq, bytes })))
    for (const { part } of parts) world.open(part)
    const shuffled = random.chance(0.3) ? records : random.shuffle(records)
    for (const { part, seq, bytes } of shuffled) {
      world.chunk(part, seq, bytes)
      if (random.chance(0.2)) await world.pass(random.between(1, 20) * 500)
      if (random.chance(0.05)) world.own()
    }
    for (const { part, chunks } of parts) world.closePart(part, chunks.length)
    await world.pass(61_000)
    const what = `seed ${seed}`
    const files = await assertFrames(world, parts, what)
    assert.equal(files.length, 1, what)
    assert.ok(driftOf(world, parts) <= 250, `${what}: ${driftOf(world, parts)} ms`)
    assert.ok(staged() < MAX_MOVED_BYTES, what)
  }
})
