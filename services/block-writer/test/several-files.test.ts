import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBlobStore, newBlockIds } from '@longtake/blob'
import { BLOBS } from '@longtake/contracts'
import { assertContent, checkRecording, partsOfFiles, syntheticChunks } from '@longtake/testkit'
import { Superseded, TrackStorage } from '../src/track-storage.ts'
import { newPart, SESSION, SETTINGS, STARTED_AT, World, type TestPart } from './harness.ts'

const both = syntheticChunks({ durationMs: 8_000, seed: 1, chunkEveryMs: 1_000 })
const video = syntheticChunks({ durationMs: 8_000, seed: 2, chunkEveryMs: 1_000, tracks: ['video'] })
const audio = syntheticChunks({ durationMs: 8_000, seed: 3, chunkEveryMs: 1_000, tracks: ['audio'] })
const from = (ms: number): TestPart => newPart({ startedAt: new Date(STARTED_AT + ms).toISOString() })

function record(world: World, part: TestPart, chunks: readonly Uint8Array[], lacking: readonly number[] = []): void {
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) if (!lacking.includes(seq)) world.chunk(part, seq, bytes)
  world.closePart(part, chunks.length)
}

/** Its owner dies right after the next commit of a file, of which it hears nothing. */
function mortalWorld(): { world: World; killAfterCommit: () => void } {
  let armed = false
  const world: World = new World({
    faults: {
      at(moment, change) {
        if (!armed || moment !== 'after' || change !== 'commit blocks') return
        armed = false
        world.crash()
        throw new Error('killed')
      },
    },
  })
  return { world, killAfterCommit: () => void (armed = true) }
}

for (const files of [2, 3]) {
  test(`killed between the first commits of ${files} files that were planned together: the next owner makes the others`, async () => {
    const { world, killAfterCommit } = mortalWorld()
    killAfterCommit()
    world.own()
    const parts = [{ part: from(0), chunks: both }, { part: from(20_000), chunks: video }, { part: from(40_000), chunks: audio }].slice(0, files)
    for (const { part, chunks } of parts) record(world, part, chunks)
    await world.pass(5_000)
    assert.ok(!world.owned)
    world.own()
    await world.pass(5_000)
    assert.equal(world.committedOffset, world.log.length)
    for (const [number, { part, chunks }] of parts.entries()) {
      assertContent(checkRecording({ file: await world.file('webcam', number), parts: [{ ...part, chunks }] }).findings, `file ${number}`)
    }
  })
}

test('killed when a part had just moved into another file: of what is told of the track nothing lacks that part, not for a moment', async () => {
  const { world, killAfterCommit } = mortalWorld()
  world.own()
  const part = from(20_000)
  record(world, from(0), both)
  record(world, part, video, [0])
  await world.pass(20_000)
  killAfterCommit()
  world.chunk(part, 0, video[0]!)
  await world.pass(40_000)
  assert.ok(!world.owned)
  world.own()
  await world.pass(40_000)

  const files = new Map<number, string[]>()
  const known = world.events.flatMap((event) => {
    if (event.type !== 'blocks-committed') return []
    files.set(event.file, event.parts.map((state) => state.part))
    return [[...files.values()].some((parts) => parts.includes(part.part))]
  })
  assert.ok(files.size === 2)
  assert.ok(known.slice(known.indexOf(true)).every(Boolean), `known: ${known.join()}`)
})

test('who loads a track while another moves a part into a new file loads again, and deletes nothing of it', async () => {
  const world = new World()
  world.own()
  const part = from(20_000)
  record(world, from(0), both)
  record(world, part, video, [0, 4])
  await world.pass(20_000)

  /** Stops behind the list of blobs. */
  class SlowStore extends MemoryBlobStore {
    readonly listed = Promise.withResolvers<void>()
    readonly goOn = Promise.withResolvers<void>()
    override async *list(...args: Parameters<MemoryBlobStore['list']>): ReturnType<MemoryBlobStore['list']> {
      yield* world.memory.list(...args)
      this.listed.resolve()
      await this.goOn.promise
    }
    override properties = world.memory.properties.bind(world.memory)
    override readAll = world.memory.readAll.bind(world.memory)
    override blockList = world.memory.blockList.bind(world.memory)
    override delete = world.memory.delete.bind(world.memory)
  }
  const slow = new SlowStore()
  const loading = new TrackStorage(slow, newBlockIds(), SESSION, part.track, async () => {}).load(SETTINGS.limits, world.clock.now())
  await slow.listed.promise
  world.chunk(part, 0, video[0]!)
  await world.pass(40_000)
  const pending = await world.names(BLOBS.pendingPrefix(SESSION, part.track))
  assert.ok(pending.length > 0, 'what is behind the hole waits for it')
  slow.goOn.resolve()
  await assert.rejects(loading, Superseded)
  assert.deepEqual(await world.names(BLOBS.pendingPrefix(SESSION, part.track)), pending)

  world.own()
  world.chunk(part, 4, video[4]!)
  await world.pass(40_000)
  assertContent(checkRecording({ file: await world.file('webcam', 1), parts: [{ ...part, chunks: video }] }).findings)
})

test('who loads a track while another commits it loads again: a state is never published with blocks of another commit', async () => {
  const world = new World()
  world.own()
  const part = from(0)
  record(world, part, both, [4])
  await world.pass(20_000)
  const storage = new TrackStorage(world.memory, newBlockIds(), SESSION, part.track, async () => {})
  const list = world.memory.blockList.bind(world.memory)
  let isFirst = true
  world.memory.blockList = async (...args) => {
    if (isFirst) {
      isFirst = false
      world.chunk(part, 4, both[4]!)
      await world.pass(40_000)
    }
    return list(...args)
  }
  await assert.rejects(storage.load(SETTINGS.limits, world.clock.now()), Superseded)
  const { states } = await storage.load(SETTINGS.limits, world.clock.now())
  const { at: _at, ...last } = world.lastCommit()
  assert.deepEqual(states.map(({ state }) => state), [last])
})

test('an owner whose clock is days ahead deletes nothing of a commit that another is making', async () => {
  const stopped = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  let stops = false
  const world: World = new World({
    faults: {
      async at(moment, change) {
        if (!stops || moment !== 'before' || change !== 'commit blocks') return
        stops = false
        stopped.resolve()
        await goOn.promise
      },
    },
  })
  world.own()
  const part = from(0)
  record(world, part, both, [3])
  await world.hand()
  await world.pass(2_000)
  stops = true
  await world.pass(20_000)
  await stopped.promise
  const written = await world.names(`${SESSION}/`)
  assert.ok(written.some((name) => name.includes('/pending/')))
  await new TrackStorage(world.memory, newBlockIds(), SESSION, part.track, async () => {}).load(SETTINGS.limits, world.clock.now() + 1_000 * 86_400_000)
  assert.deepEqual(await world.names(`${SESSION}/`), written)
  goOn.resolve()
  await world.pass(20_000)
  world.chunk(part, 3, both[3]!)
  await world.pass(20_000)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks: both }] }).findings)
})

test('a track that is called as a folder of its session takes nothing of that folder for its own', async () => {
  const world = new World()
  world.own()
  const part = newPart({ track: 'manifests' })
  record(world, part, both)
  await world.pass(5_000)
  const manifest = BLOBS.manifest(SESSION, 1)
  await world.memory.put(manifest, Buffer.from('{}'), { contentType: 'application/json', metadata: {} })
  world.clock.advance(365 * 24 * 3_600_000)
  world.own()
  world.chunk(part, 0, both[0]!)
  await world.pass(5_000)
  assert.equal(world.committedOffset, world.log.length)
  assert.ok((await world.names()).includes(manifest))
})

for (const killedAfter of [0, 1, 2, 3]) {
  const when = killedAfter === 0 ? '' : `, also when killed after commit ${killedAfter}`
  test(`a part leaves its file while work pauses: the next file begins with its keyframe${when}`, async () => {
    let left = Infinity
    const world: World = new World({
      // Each pause commits.
      settings: { workBytes: 1 },
      faults: {
        at(moment, change) {
          if (moment !== 'after' || change !== 'commit blocks' || --left !== 0) return
          world.crash()
          throw new Error('killed')
        },
      },
    })
    world.own()
    const [ahead, behind] = [from(0), from(11_000)]
    const [long, holed] = [5, 6].map((seed) =>
      syntheticChunks({ durationMs: 20_000, seed, chunkEveryMs: 1_000, keyframeEveryMs: 4_000 }),
    )
    world.open(ahead)
    for (let seq = 0; seq < 10; seq++) world.chunk(ahead, seq, long![seq]!)
    record(world, behind, holed!, [5])
    await world.pass(70_000)
    left = killedAfter === 0 ? Infinity : killedAfter
    for (let seq = 10; seq < 20; seq++) world.chunk(ahead, seq, long![seq]!)
    // What was behind the hole is loaded to be decoded anew.
    world.chunk(behind, 5, holed![5]!)
    world.closePart(ahead, long!.length)
    await world.pass(70_000)
    if (!world.owned) world.own()
    await world.pass(70_000)
    assert.deepEqual([world.committedOffset, world.parked], [world.log.length, []])
    const states = [0, 1].map((number) => world.partState(ahead.part, 'webcam', number))
    assert.deepEqual(states[1]!.repeated, [{ startMs: 0, endMs: 2_000 }])
    const files = await Promise.all([0, 1].map((number) => world.file('webcam', number)))
    const parts = [{ ...ahead, chunks: long! }, { ...behind, chunks: holed! }]
    const told = { files: [{ parts: [ahead.part, behind.part] }, { parts: [ahead.part] }] }
    for (const [i, group] of partsOfFiles(files, parts, told).entries()) {
      assertContent(checkRecording({ file: files[i]!, parts: group }).findings, `file ${i}`)
    }
  })
}
