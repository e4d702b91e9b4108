import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, concat, loadRecording, recordingNames, recut, seededRandom, shuffleWithDuplicates, syntheticChunks } from '@longtake/testkit'
import { newPart, World } from './harness.ts'

const sources = [...recordingNames.filter((name) => name !== 'chrome-mp4').map((name) => ({ name, mimeType: loadRecording(name).mimeType, chunks: loadRecording(name).chunks })), { name: 'synthetic, 2 s keyframes', mimeType: 'video/webm;codecs=vp9,opus', chunks: syntheticChunks({ durationMs: 30_000, seed: 4, keyframeEveryMs: 2_000, bytesPerSecond: 60_000, chunkEveryMs: 400 }) }]

for (const { name, mimeType, chunks } of sources) {
  test(`${name}, cut at random places, shuffled and doubled: the same frames`, async () => {
    for (const seed of [1, 2, 3]) {
      const pieces = recut(concat(chunks), seed)
      const world = new World()
      world.own()
      const part = newPart({ mimeType })
      const random = seededRandom(seed)
      world.open(part)
      for (const { seq, bytes } of shuffleWithDuplicates(pieces, seed)) {
        world.chunk(part, seq, bytes)
        if (random.chance(0.1)) await world.pass(random.between(0, 12) * 500)
      }
      world.closePart(part, pieces.length)
      await world.settle()
      const state = world.partState(part.part)
      assert.deepEqual([state.stored, state.missing, state.undecodable], [[[0, pieces.length - 1]], [], []])
      assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks: pieces }] }).findings, `seed ${seed}`)
      assert.equal(world.committedOffset, world.log.length)
      assert.deepEqual(await world.pendingAtRest(), [], 'nothing is left in pending')
    }
  })

  test(`${name}: holes are gone around, and filled late, in any order, over restarts`, async () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = seededRandom(seed)
      const pieces = chunks.length < 15 ? recut(concat(chunks), seed) : chunks
      const late = pieces.map((_, seq) => seq).filter((seq) => random.chance(0.25) && (seed !== 1 || seq !== 0))
      const world = new World()
      world.own()
      const part = newPart({ mimeType })
      world.open(part)
      for (const [seq, bytes] of pieces.entries()) {
        if (late.includes(seq)) continue
        world.chunk(part, seq, bytes)
        await world.pass(1_000)
      }
      world.closePart(part, pieces.length)
      await world.pass(36_000)
      assert.equal(world.committedOffset, world.log.length, 'chunks behind holes are durable, too')
      const state = world.partState(part.part)
      assert.equal(state.chunks, pieces.length - late.length)
      const there = new Map([...pieces.entries()].filter(([seq]) => !late.includes(seq)))
      if (state.startMs !== null) {
        const gaps = [...state.missing.map((range) => ({ ...range, kind: 'lost' as const })), ...state.undecodable.map((range) => ({ ...range, kind: 'undecodable' as const }))]
        assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks: there, length: pieces.length, gaps }] }).findings, `seed ${seed}, with holes`)
      }
      for (const seq of random.shuffle(late)) {
        if (random.chance(0.4)) world.own()
        world.chunk(part, seq, pieces[seq]!)
        if (random.chance(0.5)) await world.pass(random.between(0, 80) * 500)
      }
      await world.pass(31_000)
      const whole = world.partState(part.part)
      assert.deepEqual([whole.stored, whole.missing, whole.undecodable], [[[0, pieces.length - 1]], [], []])
      assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks: pieces }] }).findings, `seed ${seed}, filled`)
      assert.equal(world.committedOffset, world.log.length)
      assert.deepEqual(await world.pendingAtRest(), [], 'nothing is left in pending')
    }
  })
}
