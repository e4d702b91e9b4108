import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS } from '@longtake/contracts'
import { syntheticChunks } from '@longtake/testkit'
import { newPart, SESSION, STARTED_AT, World } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 10_000, seed: 1, chunkEveryMs: 1_000 })

test('the age of the oldest uncommitted record shows a track that pins the offset, and only that', async () => {
  let isAway = false
  const world: World = new World({ faults: { at: (_moment, _change, blob) => { if (isAway && blob === BLOBS.file(SESSION, 'webcam', 0)) throw new Error('no answer') } } })
  world.own()
  const [part, other] = [newPart(), newPart({ track: 'screen' })]
  assert.equal(world.uncommittedSince, null)
  world.open(part)
  world.chunk(part, 0, chunks[0]!)
  await world.pass(40_000)
  assert.equal(world.uncommittedSince, null)
  isAway = true
  const since = STARTED_AT + 40_000
  world.chunk(part, 1, chunks[1]!)
  await world.pass(60_000)
  assert.equal(world.uncommittedSince, since)
  world.open(other)
  for (const [seq, bytes] of chunks.entries()) world.chunk(other, seq, bytes)
  await world.pass(600_000)
  assert.equal(world.partState(other.part, 'screen').chunks, 10)
  assert.equal(world.uncommittedSince, since)
  isAway = false
  await world.pass(60_000)
  assert.equal(world.uncommittedSince, null)
})
