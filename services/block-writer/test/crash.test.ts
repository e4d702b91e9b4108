import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventOf } from '@longtake/contracts'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { type Death, Killer, passAndTakeOver } from './deaths.ts'
import { newPart, STARTED_AT, World, type TestPart } from './harness.ts'

interface Scenario {
  readonly world: World
  readonly parts: { part: TestPart; chunks: Uint8Array[] }[]
}

const FIRST = syntheticChunks({ durationMs: 12_000, seed: 1, chunkEveryMs: 1_000 })
const SECOND = syntheticChunks({ durationMs: 14_000, seed: 2, chunkEveryMs: 1_000 })
const SECOND_SILENT = syntheticChunks({ durationMs: 14_000, seed: 2, chunkEveryMs: 1_000, tracks: ['video'] })

/**
 * Two parts of one track, holes in the first filled while the second runs; dies at the given change in storage.
 * `apart`: the second has no sound and misses its beginning for long, so it waits in file 0 and then gets file 1.
 */
async function play(death: Death | null, apart: boolean): Promise<Scenario & { changes: number }> {
  const killer = new Killer(death)
  killer.isArmed = true
  const world: World = new World({
    // Every pause of the work is a commit, so that deaths fall between any two of its steps.
    settings: { workBytes: 0 },
    faults: { at: (moment) => killer.at(moment, world) },
  })
  world.own()
  const chunks = FIRST
  const first = newPart()
  const second = newPart({ startedAt: new Date(STARTED_AT + 20_000).toISOString() })
  const late = new Set([3, 4, 7])
  world.open(first)
  for (const [seq, bytes] of chunks.entries()) {
    if (!late.has(seq)) world.chunk(first, seq, bytes)
    if (seq === 5) world.chunk(first, 1, chunks[1]!)
    await passAndTakeOver(world, 1_500)
  }
  world.closePart(first, chunks.length)
  const others = apart ? SECOND_SILENT : SECOND
  world.open(second)
  for (const [seq, bytes] of others.entries()) {
    if (seq > 0 || !apart) world.chunk(second, seq, bytes)
    if (seq === 2) world.chunk(first, 4, chunks[4]!)
    if (seq === 6) world.chunk(first, 7, chunks[7]!)
    if (seq === 9) world.chunk(first, 3, chunks[3]!)
    await passAndTakeOver(world, 4_000)
  }
  if (apart) {
    world.chunk(second, 0, others[0]!)
    await passAndTakeOver(world, 31_000)
  }
  world.closePart(second, others.length)
  world.declare({ type: 'session-finished', session: 'session-1', parts: { webcam: [first.part, second.part] }, at: world.at() })
  // A death in the very last writes is healed by the next owner alone.
  for (let i = 0; i < 4; i++) await passAndTakeOver(world, 10_000)
  return { world, parts: [{ part: first, chunks }, { part: second, chunks: others }], changes: killer.changes }
}

async function assertWhole({ world, parts }: Scenario, apart: boolean, what: string): Promise<EventOf<'blocks-committed'>> {
  for (const [number, inFile] of (apart ? parts.map((part) => [part]) : [parts]).entries()) {
    const file = await world.file('webcam', number)
    assertContent(checkRecording({ file, parts: inFile.map(({ part, chunks }) => ({ ...part, chunks })) }).findings, what)
    assert.equal(world.lastCommit('webcam', number).bytes, file.length, what)
    assert.deepEqual(world.lastCommit('webcam', number).parts.map(({ part }) => part), inFile.map(({ part }) => part.part), what)
  }
  for (const [i, { part, chunks }] of parts.entries()) {
    const state = world.partState(part.part, 'webcam', apart ? i : 0)
    assert.deepEqual([state.stored, state.missing, state.undecodable, state.closed], [[[0, chunks.length - 1]], [], [], { chunks: chunks.length, clean: true }], what)
  }
  assert.equal(world.committedOffset, world.log.length, what)
  assert.ok(world.events.some((event) => event.type === 'session-finished'), what)
  return world.lastCommit()
}

for (const apart of [false, true]) {
  test(`killed before or after any change in storage, parts ${apart ? 'in two files' : 'in one file'}: the same frames, times and order`, async () => {
    const undisturbed = await play(null, apart)
    const expected = await assertWhole(undisturbed, apart, 'undisturbed')
    assert.deepEqual(await undisturbed.world.pendingAtRest(), [])
    const deaths = Array.from({ length: undisturbed.changes }, (_, i): Death[] => [{ moment: 'before', change: i + 1 }, { moment: 'after', change: i + 1 }]).flat()
    assert.ok(deaths.length > 100)
    for (const death of deaths) {
      const what = `killed ${death.moment} change ${death.change} of ${undisturbed.changes}`
      const commit = await assertWhole(await play(death, apart), apart, what)
      assert.equal(commit.durationMs, expected.durationMs, what)
    }
  })
}
