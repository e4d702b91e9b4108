import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryFaults } from '@longtake/blob'
import { syntheticChunks } from '@longtake/testkit'
import { ByteBudget } from '../src/budget.ts'
import { newPart, SESSION, World } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 6_000, seed: 1, chunkEveryMs: 1_000 })

/** Stops the next commit in the middle, until it is let go. */
function gate(): { faults: MemoryFaults; close(): void; open(): void } {
  let shut: PromiseWithResolvers<void> | null = null
  return {
    faults: {
      at: async (moment, change) => {
        if (moment === 'before' && change === 'commit blocks') await shut?.promise
      },
    },
    close: () => void (shut = Promise.withResolvers()),
    open() {
      shut?.resolve()
      shut = null
    },
  }
}

test('a record that comes in the moment in which a writer falls idle is taken all the same', async () => {
  for (let microtasks = 0; microtasks < 20; microtasks++) {
    const world = new World()
    world.own()
    const part = newPart()
    world.open(part)
    world.chunk(part, 0, chunks[0]!)
    await world.pass(10_000)
    // A repetition leaves nothing to be committed later, so nothing would wake the writer.
    world.chunk(part, 0, chunks[0]!)
    world.chunk(part, 1, chunks[1]!)
    world.handOne()
    for (let i = 0; i < microtasks; i++) await Promise.resolve()
    world.handOne()
    await world.pass(70_000)
    assert.equal(world.committedOffset, world.log.length, `after ${microtasks} microtasks`)
  }
})

test('an end that comes during a commit does not wait for the next one to be due', async () => {
  const commits = gate()
  const world = new World({ faults: commits.faults })
  world.own()
  const part = newPart()
  world.open(part)
  world.chunk(part, 0, chunks[0]!)
  commits.close()
  await world.pass(3_000)
  world.chunk(part, 1, chunks[1]!)
  world.declare({ type: 'session-finished', session: SESSION, parts: null, at: world.at() })
  await world.settle()
  commits.open()
  await world.settle()
  assert.equal(world.events.at(-1)?.type, 'session-finished')
  assert.equal(world.committedOffset, world.log.length)
})

test('the end of a session is said behind what stood at a hole, even if its commit failed first', async () => {
  let failing = 0
  const world = new World({
    faults: {
      at(moment, change) {
        if (moment === 'before' && change === 'put' && failing-- > 0) throw new Error('no storage')
      },
    },
  })
  world.own()
  const part = newPart()
  world.open(part)
  for (const seq of [0, 1, 3, 4]) world.chunk(part, seq, chunks[seq]!)
  await world.settle()
  failing = 1
  world.declare({ type: 'session-finished', session: SESSION, parts: null, at: world.at() })
  await world.pass(1_000)
  const last = world.events.findLastIndex(({ type }) => type === 'blocks-committed')
  assert.equal(world.events.findIndex(({ type }) => type === 'session-finished'), last + 1)
  assert.equal(world.partState(part.part).chunks, 4)
})

test('an end that comes during a commit is said behind what stands at a hole then', async () => {
  const commits = gate()
  const world = new World({ faults: commits.faults })
  world.own()
  const part = newPart()
  world.open(part)
  for (const seq of [0, 1, 3]) world.chunk(part, seq, chunks[seq]!)
  commits.close()
  await world.pass(3_000)
  world.declare({ type: 'session-finished', session: SESSION, parts: null, at: world.at() })
  await world.settle()
  commits.open()
  await world.settle()
  const told = world.events.map((event) => (event.type === 'blocks-committed' ? event.parts[0]!.chunks : event.type))
  assert.deepEqual(told.slice(-2), [3, 'session-finished'])
})

test('what a writer held is given back to the budget once, although it was stopped during a commit', async () => {
  const commits = gate()
  const budget = new ByteBudget(1024 ** 2)
  const world = new World({ faults: commits.faults, budget })
  world.own()
  const part = newPart()
  world.open(part)
  world.chunk(part, 0, chunks[0]!)
  commits.close()
  await world.pass(3_000)
  assert.ok(budget.used > 0)
  await world.lose()
  commits.open()
  await world.settle()
  assert.equal(budget.used, 0)
})

test('a commit without an answer is sent again by the clock of the writer', async () => {
  let tries = 0
  const world = new World({
    faults: {
      at: (moment, change) => {
        if (moment === 'before' && change === 'commit blocks' && tries++ < 2) throw new Error('no answer')
      },
    },
  })
  world.own()
  const part = newPart()
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
  world.closePart(part, chunks.length)
  await world.settle()
  assert.equal(tries, 1)
  await world.pass(500)
  assert.equal(tries, 2)
  await world.pass(1_000)
  assert.equal(tries, 3)
  assert.equal(world.committedOffset, world.log.length)
})
