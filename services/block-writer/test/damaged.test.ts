import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS } from '@longtake/contracts'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { newPart, SESSION, STARTED_AT, World, type TestPart } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 20_000, seed: 11, chunkEveryMs: 1_000, keyframeEveryMs: 2_000 })
const FOREIGN = Buffer.from('the bytes of something else')

/** Puts other bytes in the place of a blob's, as a storage does that mixes them up: what describes it stays. */
async function damage(world: World, name: string, { keepsDigest = true } = {}): Promise<void> {
  const found = await world.memory.readAll(name)
  assert.ok(found !== null, name)
  const { contentType, metadata } = found.properties
  await world.memory.put(name, FOREIGN, { contentType, metadata: keepsDigest ? metadata : {} })
}

/** Removes what earlier versions did not write: digests of side blobs, and what a file says of its checkpoint beside its name. */
async function asEarlierVersion(world: World): Promise<void> {
  for (const name of await world.names()) {
    const { bytes, properties } = (await world.memory.readAll(name))!
    if (/\/(checkpoints|pending)\//.test(name)) await world.memory.put(name, bytes, { contentType: properties.contentType, metadata: {} })
  }
  const file = BLOBS.file(SESSION, 'webcam', 0)
  const { etag, contentType, metadata } = (await world.memory.properties(file))!
  const { checkpointsha256: _digest, nextoffset: _next, endoffset: _end, ...earlier } = metadata
  const blocks = (await world.memory.blockList(file))!.committed.map(({ id }) => id)
  await world.memory.commitBlockList(file, blocks, { ifMatch: etag, contentType, metadata: earlier })
}

/** A recording with three commits or more, whose writer has died. */
async function recorded(): Promise<{ world: World; part: TestPart }> {
  const world = new World()
  world.own()
  const part = newPart()
  world.open(part)
  for (let seq = 0; seq < 10; seq++) {
    world.chunk(part, seq, chunks[seq]!)
    await world.pass(1_000)
  }
  await world.close('shutdown')
  assert.equal(world.partState(part.part).chunks, 10)
  assert.ok(world.lastCommit().commit.number >= 3)
  return { world, part }
}

async function finish(world: World, part: TestPart): Promise<void> {
  world.own()
  for (let seq = 10; seq < chunks.length; seq++) world.chunk(part, seq, chunks[seq]!)
  world.closePart(part, chunks.length)
  await world.pass(60_000)
}

const checkpointOf = ({ commit }: { commit: { number: number; id: string } }): string => `${BLOBS.checkpointPrefix(SESSION, 'webcam', 0)}${commit.number}-${commit.id}`

for (const [what, earlier] of [['', false], [' of an earlier version', true]] as const) {
  test(`a damaged checkpoint${what}: the one before it and Kafka give all back, and the next commit needs neither`, async () => {
    const { world, part } = await recorded()
    const before = world.lastCommit()
    if (earlier) await asEarlierVersion(world)
    await damage(world, checkpointOf(before))
    await finish(world, part)
    const after = world.lastCommit()
    assert.ok(after.commit.number > before.commit.number)
    assert.ok(after.generation > before.generation, 'readers must begin anew')
    assert.deepEqual(world.partState(part.part).stored, [[0, chunks.length - 1]])
    assert.deepEqual(world.parked, [])
    assert.equal(world.committedOffset, world.log.length)
    assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
  })
}

test('a checkpoint whose bytes are those of another is not believed', async () => {
  const { world, part } = await recorded()
  const [older, newest] = [(await world.names(BLOBS.checkpointPrefix(SESSION, 'webcam', 0))).find((name) => name !== checkpointOf(world.lastCommit()))!, checkpointOf(world.lastCommit())]
  const { bytes, properties } = (await world.memory.readAll(older))!
  await world.memory.put(newest, bytes, { contentType: properties.contentType, metadata: properties.metadata })
  await finish(world, part)
  assert.deepEqual(world.partState(part.part).stored, [[0, chunks.length - 1]])
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
})

test('what the damaged checkpoint held and Kafka has no more is a hole, in a file that is sound', async () => {
  const { world, part } = await recorded()
  await damage(world, checkpointOf(world.lastCommit()))
  world.truncatedTo = BigInt(world.log.length)
  await finish(world, part)
  const { stored, missing, undecodable } = world.partState(part.part)
  assert.equal(stored.length, 2, JSON.stringify(stored))
  assert.equal(stored[0]![0], 0)
  assert.deepEqual(stored[1], [10, chunks.length - 1])
  const there = new Map([...chunks.entries()].filter(([seq]) => stored.some(([from, to]) => from <= seq && seq <= to)))
  assert.ok(there.size < chunks.length)
  const gaps = [...missing.map((range) => ({ ...range, kind: 'lost' as const })), ...undecodable.map((range) => ({ ...range, kind: 'undecodable' as const }))]
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks: there, length: chunks.length, gaps }] }).findings)
})

for (const [what, harm] of [
  ['foreign bytes', async (world: World, name: string) => damage(world, name)],
  ['another length in one without a digest', async (world: World, name: string) => damage(world, name, { keepsDigest: false })],
  ['nothing', async (world: World, name: string) => world.memory.delete(name)],
] as const) {
  test(`${what} in the place of pending chunks: they are a gap, nothing foreign gets into the file, and all others do`, async () => {
    const world = new World()
    world.own()
    const part = newPart()
    world.open(part)
    for (let seq = 0; seq < chunks.length; seq++) {
      if (seq !== 4) world.chunk(part, seq, chunks[seq]!)
      await world.pass(1_000)
    }
    await world.pass(40_000)
    await world.close('shutdown')
    const pending = await world.names(BLOBS.pendingPrefix(SESSION, 'webcam'))
    assert.ok(pending.length > 0)
    for (const name of pending) await harm(world, name)
    world.own()
    world.chunk(part, 4, chunks[4]!)
    world.closePart(part, chunks.length)
    await world.pass(60_000)
    assert.equal(world.committedOffset, world.log.length)
    assert.deepEqual(world.parked, [])
    const state = world.partState(part.part)
    assert.ok(state.undecodable.length > 0, JSON.stringify(state))
    assert.ok(state.undecodable.every(({ to }) => to < 10), JSON.stringify(state.undecodable))
    const file = Buffer.from(await world.file())
    assert.equal(file.includes(FOREIGN), false)
  })
}

test('a damaged checkpoint of the commit that filled a hole: the pending chunks that the one before it needs are still there', async () => {
  const world = new World()
  world.own()
  const part = newPart()
  world.open(part)
  for (let seq = 0; seq < chunks.length; seq++) if (seq !== 4) world.chunk(part, seq, chunks[seq]!)
  world.closePart(part, chunks.length)
  await world.pass(40_000)
  const truncatedTo = BigInt(world.log.length)
  world.chunk(part, 4, chunks[4]!)
  await world.pass(40_000)
  assert.deepEqual(world.partState(part.part).stored, [[0, chunks.length - 1]])
  await damage(world, checkpointOf(world.lastCommit()))
  world.truncatedTo = truncatedTo
  world.own()
  world.open(part)
  await world.pass(60_000)
  const { stored, missing, undecodable } = world.partState(part.part)
  assert.deepEqual([stored, missing, undecodable], [[[0, chunks.length - 1]], [], []])
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
  assert.deepEqual(await world.pendingAtRest(), [], 'nothing is kept for good')
})

test('a damaged checkpoint that its own writer finds: what was committed above a chunk held at a hole is read from Kafka, too', async () => {
  let isAway = false
  const world: World = new World({ faults: { at: () => { if (isAway) throw new Error('storage is away') } } })
  world.own()
  const [part, other] = [newPart(), newPart({ startedAt: new Date(STARTED_AT + 60_000).toISOString() })]
  world.open(part)
  for (let seq = 0; seq < 10; seq++) world.chunk(part, seq, chunks[seq]!)
  await world.pass(40_000)
  world.open(other)
  await world.pass(40_000)
  const held = world.chunk(part, 11, chunks[11]!)
  for (const [seq, bytes] of chunks.entries()) world.chunk(other, seq, bytes)
  world.closePart(other, chunks.length)
  await world.settle()
  assert.equal(world.partState(other.part).chunks, chunks.length)
  assert.equal(world.committedOffset, Number(held))
  await damage(world, checkpointOf(world.lastCommit()))
  isAway = true
  for (let seq = 12; seq < 20; seq++) world.chunk(part, seq, chunks[seq]!)
  await world.pass(10_000)
  isAway = false
  world.chunk(part, 10, chunks[10]!)
  world.closePart(part, chunks.length)
  await world.pass(40_000)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual([world.partState(part.part).missing, world.partState(other.part).missing], [[], []])
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }, { ...other, chunks }] }).findings)
})

test('no commit says of a file that it has what another file of the track has: a fallback to it reads on from its own', async () => {
  let dies = false
  const world: World = new World({
    faults: {
      at(moment, change, blob) {
        if (!dies || moment !== 'before' || change !== 'commit blocks' || blob !== BLOBS.file(SESSION, 'webcam', 0)) return
        dies = false
        world.crash()
        throw new Error('killed')
      },
    },
  })
  world.own()
  const [part, other] = [newPart(), newPart({ startedAt: new Date(STARTED_AT + 60_000).toISOString() })]
  const apart = syntheticChunks({ durationMs: 20_000, seed: 12, chunkEveryMs: 1_000, tracks: ['video'] })
  world.open(part)
  for (let seq = 0; seq < 5; seq++) world.chunk(part, seq, chunks[seq]!)
  world.open(other)
  for (let seq = 0; seq < 5; seq++) world.chunk(other, seq, apart[seq]!)
  await world.pass(40_000)
  // The next owner is given nothing but the first record before it commits.
  dies = true
  for (let seq = 5; seq < 10; seq++) {
    world.chunk(part, seq, chunks[seq]!)
    world.chunk(other, seq, apart[seq]!)
  }
  await world.pass(40_000)
  assert.equal(world.owned, false)
  world.own()
  world.handOne()
  world.clock.advance(40_000)
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(BigInt(world.lastCommit().nextOffset) <= BigInt(world.committedOffset), `${world.lastCommit().nextOffset}, of ${world.committedOffset}`)
  await world.pass(40_000)
  await damage(world, checkpointOf(world.lastCommit()))
  world.own()
  world.closePart(part, 10)
  await world.pass(40_000)
  assert.deepEqual(world.partState(part.part).stored, [[0, 9]])
})

test('chunks behind a hole that are read from Kafka are in the next commit: nothing would bring them again', async () => {
  const { world, part } = await recorded()
  world.chunk(part, 12, chunks[12]!)
  world.own()
  await world.pass(30_000)
  await damage(world, checkpointOf(world.lastCommit()))
  world.own()
  world.open(part)
  await world.settle()
  world.own()
  world.open(part)
  await world.pass(30_000)
  assert.deepEqual(world.partState(part.part).stored, [[0, 9], [12, 12]])
})
