import assert from 'node:assert/strict'
import { test } from 'node:test'
import { syntheticChunks } from '@longtake/testkit'
import { Part } from '../src/core/part.ts'
import type { PieceList } from '../src/core/piece-list.ts'
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

/** How often the commit of one more part reads the media of a part when a track has so many. */
async function looksAtMedia(count: number): Promise<number> {
  const world = new World()
  world.own()
  for (let i = 0; i < count; i++) record(world, i)
  await world.pass(70_000)
  const { get } = Object.getOwnPropertyDescriptor(Part.prototype, 'media') as { get: (this: Part) => PieceList[] }
  let looks = 0
  // What the first commit after them finds of the others is kept from then on.
  for (const i of [count, count + 1]) {
    looks = 0
    record(world, i)
    Object.defineProperty(Part.prototype, 'media', { configurable: true, get(this: Part) { return looks++, get.call(this) } })
    await world.pass(70_000).finally(() => Object.defineProperty(Part.prototype, 'media', { configurable: true, get }))
  }
  assert.equal(world.lastCommit().parts.length, count + 2)
  return looks
}

test('a commit reads only the media of the parts that it changes, however many there are', async () => {
  const few = await looksAtMedia(4)
  assert.ok(few > 0)
  assert.equal(await looksAtMedia(40), few)
})
