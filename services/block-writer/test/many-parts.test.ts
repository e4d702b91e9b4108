import assert from 'node:assert/strict'
import { test } from 'node:test'
import { syntheticChunks } from '@longtake/testkit'
import { newPart, STARTED_AT, World, type TestPart } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 4_000, seed: 1, chunkEveryMs: 1_000, bytesPerSecond: 3_000 })

function record(world: World, i: number): TestPart {
  const part = newPart({ startedAt: new Date(STARTED_AT + i * 5_000).toISOString() })
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
  world.closePart(part, chunks.length)
  return part
}

test('a commit of a track of many parts publishes those that changed, and a new owner begins with all of them', async () => {
  const world = new World()
  world.own()
  const open = newPart({ startedAt: new Date(STARTED_AT).toISOString() })
  world.open(open)
  world.chunk(open, 0, chunks[0]!)
  const parts: TestPart[] = []
  while (parts.length < 20) parts.push(record(world, parts.length + 1))
  await world.pass(70_000)
  const before = world.lastCommit()
  assert.equal(before.parts.length, 21)

  parts.push(record(world, parts.length + 1))
  await world.pass(70_000)
  const event = world.events.at(-1)
  assert.ok(event?.type === 'parts-committed')
  assert.deepEqual(event.parts.map(({ part }) => part), [parts.at(-1)!.part])
  assert.equal(event.since, before.commit.number)

  const heard = world.events.length
  world.own()
  parts.push(record(world, parts.length + 1))
  await world.pass(70_000)
  const all = [open, ...parts].map(({ part }) => part)
  const first = world.events[heard]
  assert.ok(first?.type === 'blocks-committed')
  assert.deepEqual(first.parts.map(({ part }) => part), all.slice(0, -1))
  assert.deepEqual(world.lastCommit().parts.map(({ part }) => part), all)
})
