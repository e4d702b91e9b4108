import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS } from '@longtake/contracts'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { writtenBy } from '../src/core/index.ts'
import { newPart, recordPart, SESSION, STARTED_AT, World, type TestPart } from './harness.ts'

const made = (seed: number): Uint8Array[] => syntheticChunks({ durationMs: 10_000, seed, chunkEveryMs: 1_000, keyframeEveryMs: 2_000 })
const file = (number: number): string => BLOBS.file(SESSION, 'webcam', number)

/** The next owner comes much later: Kafka has nothing more. */
function ownLater(world: World): void {
  world.truncatedTo = BigInt(world.log.length)
  world.own()
}

/** All that is there of the part is in this one file. */
async function assertWhole(world: World, number: number, part: TestPart, chunks: readonly Uint8Array[]): Promise<void> {
  const state = world.partState(part.part, 'webcam', number)
  assert.deepEqual([state.stored, state.missing, state.undecodable, state.closed], [[[0, 9]], [], [], { chunks: 10, clean: true }])
  assertContent(checkRecording({ file: await world.file('webcam', number), parts: [{ ...part, chunks }] }).findings)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.parked, [])
  assert.deepEqual((await world.pendingAtRest()).filter((name) => writtenBy(name)?.file === number), [])
}

test('a file that is deleted after its first commit: chunks that were pending in it are kept, and it begins anew', async () => {
  const world = new World()
  world.own()
  const part = newPart()
  const chunks = made(2)
  for (let seq = 1; seq < 10; seq++) world.chunk(part, seq, chunks[seq]!)
  await world.pass(40_000)
  await world.close('shutdown')
  const before = world.lastCommit()
  assert.deepEqual([before.commit.number, before.nextOffset], [1, '9'])
  await world.memory.delete(file(0))
  ownLater(world)
  world.open(part)
  await world.pass(40_000)
  assert.ok(world.lastCommit().commit.number >= before.commit.number, 'the status takes it for newer')
  assert.ok(world.lastCommit().generation > before.generation, 'readers begin anew')
  ownLater(world)
  world.closePart(part, chunks.length)
  world.chunk(part, 0, chunks[0]!)
  await world.pass(40_000)
  await assertWhole(world, 0, part, chunks)
})

test('a file that is deleted after its last commit: chunks that were pending in it are kept', async () => {
  const world = new World()
  world.own()
  const part = newPart({ startedAt: new Date(STARTED_AT + 60_000).toISOString() })
  const chunks = made(2)
  await recordPart(world, newPart(), made(1))
  await recordPart(world, part, chunks, { late: [0] })
  await world.close('shutdown')
  assert.equal(world.committedOffset, world.log.length)
  await world.memory.delete(file(0))
  for (let owners = 0; owners < 3; owners++) {
    ownLater(world)
    world.open(part)
    await world.pass(40_000)
  }
  world.chunk(part, 0, chunks[0]!)
  await world.pass(40_000)
  await assertWhole(world, 1, part, chunks)
})

test('a file that is deleted after a commit with chunks behind a hole: they are kept', async () => {
  const world = new World()
  world.own()
  const part = newPart()
  const chunks = made(3)
  world.open(part)
  for (let seq = 0; seq < 4; seq++) world.chunk(part, seq, chunks[seq]!)
  await world.pass(40_000)
  world.chunk(part, 5, chunks[5]!)
  world.closePart(part, chunks.length)
  await world.pass(40_000)
  await world.close('shutdown')
  await world.memory.delete(file(0))
  for (let owners = 0; owners < 2; owners++) {
    ownLater(world)
    world.chunk(part, 9, chunks[9]!)
    await world.pass(40_000)
  }
  for (const seq of [4, 6, 7, 8]) world.chunk(part, seq, chunks[seq]!)
  await world.pass(40_000)
  const state = world.partState(part.part, 'webcam', 1)
  assert.deepEqual([state.stored, state.missing, state.closed], [[[0, 9]], [], { chunks: 10, clean: true }])
})

for (const commits of [0, 1]) {
  test(`a file that somebody overwrote after ${commits} commits is left alone: the next one is begun`, async () => {
    const world = new World()
    world.own()
    const part = newPart()
    const chunks = made(4)
    if (commits === 1) {
      for (let seq = 1; seq < 5; seq++) world.chunk(part, seq, chunks[seq]!)
      await world.pass(40_000)
      assert.equal(world.lastCommit().commit.number, 1)
    }
    await world.memory.put(file(0), Buffer.from('mine'), { contentType: 'text/plain', metadata: {} })
    ownLater(world)
    world.open(part)
    for (let seq = commits === 0 ? 1 : 5; seq < 10; seq++) world.chunk(part, seq, chunks[seq]!)
    world.chunk(part, 0, chunks[0]!)
    world.closePart(part, chunks.length)
    await world.pass(61_000)
    assert.equal(Buffer.from(await world.file()).toString(), 'mine')
    await assertWhole(world, 1, part, chunks)
  })
}
