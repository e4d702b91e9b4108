import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryBlobStore } from '@longtake/blob'
import { assertContent, checkRecording, seededRandom, syntheticChunks } from '@longtake/testkit'
import { COMMIT_LIMITS } from '../src/core/index.ts'
import { newPart, World } from './harness.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Counts how often each pending blob is read. */
function countReads(memory: MemoryBlobStore): Map<string, number> {
  const reads = new Map<string, number>()
  const readAll = memory.readAll.bind(memory)
  memory.readAll = async (name, options) => {
    if (name.includes('/pending/')) reads.set(name, (reads.get(name) ?? 0) + 1)
    // A partition that reads for ever would hold up the whole suite.
    assert.ok((reads.get(name) ?? 0) < 1_000, `${name} is read again and again`)
    return readAll(name, options)
  }
  return reads
}

/**
 * Storage fails for long while a hole is filled, so that on return all is done in one go: pending chunks around the hole
 * are needed together with more uncommitted bytes than one step of work may make.
 */
for (const [bytesPerSecond, durationMs, workBytes] of [[310_000, 100_000, 16 * MIB], [60_000, 60_000, 64 * KIB], [60_000, 60_000, 1]] as const) {
  test(`a hole is filled with ${workBytes} bytes of work at a time: each pending blob is read a few times at most`, async () => {
    let isAway = false
    const world: World = new World({ settings: { maxTrackBytes: 16 * MIB, workBytes }, faults: { at: () => { if (isAway) throw new Error('storage is away') } } })
    const reads = countReads(world.memory)
    world.own()
    const part = newPart()
    world.open(part)
    const chunks = syntheticChunks({ durationMs, seed: 5, bytesPerSecond, keyframeEveryMs: 10_000 })
    for (let seq = 0; seq < 20; seq++) {
      if (seq !== 18) world.chunk(part, seq, chunks[seq]!)
      await world.pass(1_000)
    }
    await world.pass(40_000)
    assert.ok((await world.names('session-1/webcam/pending/')).length > 0, 'what is behind the hole is pending')
    isAway = true
    for (let seq = 20; seq < chunks.length; seq++) {
      world.chunk(part, seq, chunks[seq]!)
      if (seq === 20) world.chunk(part, 18, chunks[18]!)
      await world.pass(500)
    }
    isAway = false
    // Each try of a commit that storage does not take reads them again.
    reads.clear()
    await world.pass(60_000)
    assert.equal(world.committedOffset, world.log.length)
    assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
    assert.deepEqual([...reads].filter(([, times]) => times > 2), [])
  })
}

test('random holes, sizes, block sizes and amounts of work: everything is written, and nothing is read often', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = seededRandom(seed)
    const workBytes = random.pick([1, 4 * KIB, 100 * KIB, 16 * MIB])
    const maxBlockBytes = random.pick([2 * KIB, 64 * KIB, 4 * MIB])
    const chunks = syntheticChunks({
      durationMs: random.between(10, 40) * 1_000,
      seed,
      bytesPerSecond: random.between(5, 120) * 1_000,
      keyframeEveryMs: random.pick([500, 4_000, 60_000]),
      chunkEveryMs: random.pick([300, 1_000, 4_000]),
    })
    const late = [...chunks.keys()].filter((seq) => random.chance(seq === 0 ? 0.3 : 0.2))
    const world = new World({ settings: { workBytes, commitLimits: { ...COMMIT_LIMITS, maxBlockBytes } } })
    const reads = countReads(world.memory)
    world.own()
    const part = newPart()
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) {
      if (late.includes(seq)) continue
      world.chunk(part, seq, bytes)
      if (random.chance(0.3)) await world.pass(random.between(1, 12) * 500)
    }
    await world.pass(61_000)
    let completions = 0
    for (const seq of random.shuffle(late)) {
      world.chunk(part, seq, chunks[seq]!)
      if (random.chance(0.5)) continue
      await world.pass(61_000)
      completions++
    }
    await world.pass(61_000)
    const what = `seed ${seed}`
    assert.equal(world.committedOffset, world.log.length, what)
    assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings, what)
    assert.deepEqual(await world.pendingAtRest(), [], what)
    const most = Math.max(0, ...reads.values())
    assert.ok(most <= 2 * (completions + 1), `${what}: a pending blob was read ${most} times in ${completions + 1} completions`)
  }
})
