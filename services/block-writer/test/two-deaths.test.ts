import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { newPart, World } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 120_000, seed: 9, bytesPerSecond: 400_000 })

test('long work that two owners in turn die of is finished by the third, although no new record comes', async () => {
  let deaths = 0
  let late = false
  const world: World = new World({
    faults: {
      at(moment, change) {
        if (!late || deaths >= 2 || moment !== 'after' || change !== 'commit blocks') return
        deaths++
        world.crash()
        throw new Error('killed')
      },
    },
  })
  world.own()
  const part = newPart()
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    if (seq === 0) continue
    world.chunk(part, seq, bytes)
    await world.pass(1_000)
  }
  world.closePart(part, chunks.length)
  await world.pass(40_000)
  late = true
  world.chunk(part, 0, chunks[0]!)
  for (let owner = 0; owner < 3; owner++) {
    if (!world.owned) world.own()
    await world.pass(31_000)
  }
  assert.equal(deaths, 2)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
  assert.deepEqual(world.partState(part.part).undecodable, [])
  assert.equal(world.committedOffset, world.log.length)
})
