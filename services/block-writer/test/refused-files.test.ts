import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryFaults } from '@longtake/blob'
import { BLOBS, TOMBSTONE_DELETED_AT, type SessionState } from '@longtake/contracts'
import { evolve, judge, toPublicSession } from '@longtake/domain'
import { assertContent, checkRecording, Findings, partsOfFiles, readFinishedFile, syntheticChunks } from '@longtake/testkit'
import { type Death, Killer, passAndTakeOver } from './deaths.ts'
import { newPart, recordPart, SESSION, STARTED_AT, World, type TestPart } from './harness.ts'

type Operation = 'stage block' | 'commit blocks' | 'put' | 'delete' | 'read'
type Refusal = 'held' | 'leased'

const made = (seed: number, durationMs = 20_000): Uint8Array[] => syntheticChunks({ durationMs, seed, chunkEveryMs: 1_000, keyframeEveryMs: 3_000 })
const file = (number: number): string => BLOBS.file(SESSION, 'webcam', number)
const CHANGES: readonly Operation[] = ['commit blocks', 'put', 'delete']

/** A world in which some blobs refuse operations from some time on. */
function refusingWorld(at?: MemoryFaults['at']): { world: World; refuse: (names: readonly string[], operations?: readonly Operation[], why?: Refusal) => void } {
  let refused: { names: readonly string[]; operations: readonly Operation[]; why: Refusal } = { names: [], operations: [], why: 'held' }
  const world = new World({
    settings: { retryMs: 250, maxRetryMs: 15_000 },
    faults: { ...(at === undefined ? {} : { at }), refuses: (blob, operation) => (refused.names.some((name) => blob === name || (name.endsWith('/') && blob.startsWith(name))) && refused.operations.includes(operation) ? refused.why : null) },
  })
  return { world, refuse: (names, operations = CHANGES, why = 'held') => void (refused = { names, operations, why }) }
}

async function assertWhole(world: World, parts: { part: TestPart; chunks: readonly Uint8Array[] }[], files: readonly number[]): Promise<void> {
  const numbers = (await world.names(`${SESSION}/webcam/`)).map((name) => name.slice(`${SESSION}/webcam/`.length)).filter((rest) => /^\d+$/.test(rest)).map(Number)
  assert.deepEqual(numbers, files)
  const bytes = await Promise.all(numbers.map((number) => world.file('webcam', number)))
  const told = { files: numbers.map((number) => ({ parts: world.lastCommit('webcam', number).parts.filter(({ startMs }) => startMs !== null).map(({ part }) => part) })) }
  for (const [i, group] of partsOfFiles(bytes, parts.map(({ part, chunks }) => ({ ...part, chunks })), told).entries()) {
    assertContent(checkRecording({ file: bytes[i]!, parts: group }).findings, `file ${numbers[i]}`)
    assert.equal(world.lastCommit('webcam', numbers[i]).bytes, bytes[i]!.length)
  }
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.parked, [])
}

/** What both files have is what the later one is said to repeat. */
async function assertRepeatedMarked(world: World): Promise<void> {
  const [first, second] = [await world.file(), await world.file('webcam', 1)].map((bytes) => readFinishedFile(bytes, new Findings()).frames)
  const there = new Set(first!.filter(({ kind }) => kind === 'video').map(({ identity }) => identity))
  const { files } = toPublicSession(statusOf(world), { file: () => '', rendition: () => '' }).tracks['webcam']!
  const isMarked = (timeMs: number): boolean => (files[1]!.repeated ?? []).some(({ startMs, endMs }) => startMs <= timeMs && timeMs < endMs)
  for (const { kind, identity, timeMs } of second!) if (kind === 'video') assert.equal(isMarked(timeMs), there.has(identity), `${timeMs} ms: ${JSON.stringify(files[1]!.repeated)}`)
  assert.equal(files[0]!.repeated, undefined)
}

/** What completeness makes of the events. */
function statusOf({ events, clock }: World): SessionState {
  return events.reduce<SessionState | undefined>((state, event, offset) => judge(evolve(state, event, String(offset)), clock.now()).state, undefined)!
}

for (const [what, late] of [['the tail', [14, 15, 16, 17, 18, 19]], ['a hole', [6]], ['holes and the tail', [4, 9, 10, 19]], ['all but its beginning', [...Array(19).keys()].map((i) => i + 1)]] as const) {
  for (const restart of [false, true]) {
    test(`late data of a held file, ${what}, goes into the next one${restart ? ', over restarts' : ''}`, async () => {
      const { world, refuse } = refusingWorld()
      world.own()
      const [part, other] = [newPart(), newPart({ track: 'screen' })]
      const chunks = made(1)
      await recordPart(world, part, chunks, { late, everyMs: 1_000 })
      const held = await world.file()
      refuse([file(0)])
      for (const seq of late) {
        world.chunk(part, seq, chunks[seq]!)
        await world.pass(2_000)
        if (restart) world.own()
      }
      world.open(other)
      for (const [seq, bytes] of made(2).entries()) world.chunk(other, seq, bytes)
      world.declare({ type: 'session-finished', session: SESSION, parts: { webcam: [part.part], screen: [other.part] }, at: world.at() })
      await world.pass(61_000)
      assert.deepEqual(await world.file(), held)
      await assertWhole(world, [{ part, chunks }], [0, 1])
      assert.equal(world.partState(other.part, 'screen').chunks, 20, 'other tracks are written')
      const state = world.partState(part.part, 'webcam', 1)
      assert.deepEqual([state.stored, state.missing, state.undecodable, state.closed], [[[0, 19]], [], [], { chunks: 20, clean: true }])
      assert.deepEqual(statusOf(world).gaps, [])
      await assertRepeatedMarked(world)
      // Whoever owns the track later goes on there, and publishes the same.
      const before = statusOf(world)
      world.own()
      world.chunk(part, 3, chunks[3]!)
      await world.pass(1_000)
      assert.equal(world.committedOffset, world.log.length)
      assert.equal(statusOf(world).version, before.version)
      assert.deepEqual(await world.pendingAtRest(), [], 'what was pending is in the next file')
    })
  }
}

test('a file that is held while it is recorded: the recording goes on in the next one, and in the one after', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const part = newPart()
  const chunks = made(3, 90_000)
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    world.chunk(part, seq, bytes)
    await world.pass(1_000)
    if (seq === 30) refuse([file(0)])
    if (seq === 60) refuse([file(0), file(1)])
  }
  world.closePart(part, chunks.length)
  await world.pass(10_000)
  await assertWhole(world, [{ part, chunks }], [0, 1, 2])
  const starts = [0, 1, 2].map((number) => Date.parse(world.lastCommit('webcam', number).startedAt!) - STARTED_AT)
  assert.ok(starts[0] === 0 && starts[1]! > 5_000 && starts[2]! > starts[1]!, starts.join())
})

test('a lease is waited for; one that does not end closes the file', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const part = newPart()
  const chunks = made(4, 30_000)
  await recordPart(world, part, chunks, { late: [10, 20], everyMs: 1_000 })
  refuse([file(0)], ['commit blocks', 'stage block', 'delete'], 'leased')
  world.chunk(part, 10, chunks[10]!)
  await world.pass(50_000)
  assert.ok(world.committedOffset < world.log.length)
  refuse([])
  await world.pass(61_000)
  assert.equal(world.committedOffset, world.log.length)
  assert.equal(await world.memory.properties(file(1)), null)
  refuse([file(0)], ['commit blocks', 'stage block', 'delete'], 'leased')
  world.chunk(part, 20, chunks[20]!)
  await world.pass(120_000)
  await assertWhole(world, [{ part, chunks }], [0, 1])
})

test('side blobs under a hold are left behind, and stop nothing', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const part = newPart()
  const chunks = made(6)
  await recordPart(world, part, chunks, { late: [7, 12], everyMs: 1_000 })
  refuse([`${SESSION}/webcam/pending/`, `${SESSION}/webcam/checkpoints/`], ['delete'])
  for (const seq of [7, 12]) {
    world.chunk(part, seq, chunks[seq]!)
    await world.pass(61_000)
    world.own()
  }
  await assertWhole(world, [{ part, chunks }], [0])
})

test('a file that is gone, or was overwritten by somebody else, is not written again under its name', async () => {
  for (const overwritten of [false, true]) {
    const { world } = refusingWorld()
    world.own()
    const part = newPart()
    const chunks = made(7)
    await recordPart(world, part, chunks, { late: [7], everyMs: 1_000 })
    const before = await world.file()
    if (overwritten) await world.memory.put(file(0), Buffer.from('mine'), { contentType: 'text/plain', metadata: {} })
    else await world.memory.delete(file(0))
    world.chunk(part, 7, chunks[7]!)
    await world.pass(61_000)
    assert.equal(world.committedOffset, world.log.length)
    assert.deepEqual(world.partState(part.part, 'webcam', 1).stored, [[0, 19]])
    world.own()
    world.chunk(part, 7, chunks[7]!)
    const other = newPart({ startedAt: new Date(STARTED_AT + 30_000).toISOString() })
    world.open(other)
    for (const [seq, bytes] of made(8).entries()) world.chunk(other, seq, bytes)
    await world.pass(61_000)
    assert.equal(world.committedOffset, world.log.length)
    const bytes = [before, await world.file('webcam', 1)]
    const gaps = world.partState(part.part, 'webcam', 1).undecodable.map((range) => ({ ...range, kind: 'undecodable' as const }))
    assert.deepEqual(gaps.map(({ from, to, cause }) => [from, to, cause]), [[6, 9, 'no-keyframe']])
    const parts = [{ ...part, chunks, gaps }, { ...other, chunks: made(8) }]
    for (const [number, group] of partsOfFiles(bytes, parts).entries()) {
      // What comes before the late chunk could not be read: its place is empty.
      assertContent(checkRecording({ file: bytes[number]!, parts: group }).findings.filter(({ code }) => code !== 'part-offset'), `file ${number}`)
    }
  }
})

test('what is declared of a part in a held file is kept, and known data makes no new file', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const part = newPart()
  const chunks = made(9)
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
  await world.pass(40_000)
  refuse([file(0)])
  world.own()
  world.open(part)
  world.chunk(part, 3, chunks[3]!)
  await world.pass(40_000)
  assert.equal(await world.memory.properties(file(1)), null)
  world.closePart(part, chunks.length)
  await world.pass(40_000)
  world.own()
  world.closePart(part, chunks.length)
  await world.pass(40_000)
  assert.equal(world.committedOffset, world.log.length)
  const last = world.lastCommit('webcam', 1)
  assert.equal(last.bytes, 0)
  const { tracks } = statusOf(world)
  assert.equal(tracks['webcam']!.files.length, 2)
  assert.deepEqual(world.partState(part.part, 'webcam', 1).closed, { chunks: chunks.length, clean: true })
})

test('a part that waits in a held file for its beginning gets a later one', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const [first, second] = [newPart(), newPart({ startedAt: new Date(STARTED_AT + 60_000).toISOString() })]
  const [one, two] = [made(10), made(11)]
  await recordPart(world, first, one, { everyMs: 1_000 })
  await recordPart(world, second, two, { late: [0, 5], everyMs: 1_000 })
  refuse([file(0)])
  world.chunk(second, 0, two[0]!)
  await world.pass(61_000)
  world.own()
  world.chunk(second, 5, two[5]!)
  await world.pass(61_000)
  await assertWhole(world, [{ part: first, chunks: one }, { part: second, chunks: two }], [0, 1])
  world.own()
  world.chunk(second, 5, two[5]!)
  await world.pass(1_000)
  assert.deepEqual(await world.pendingAtRest(), [])
})

test('late data of a held file whose last frames were squeezed for the next part: they are repeated as they stand there', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  // Keyframes come every three seconds: what is repeated begins at 18 s.
  const [part, next] = [newPart(), newPart({ startedAt: new Date(STARTED_AT + 18_900).toISOString() })]
  const [chunks, others] = [made(21), made(22)]
  world.open(part)
  world.open(next)
  for (const [seq, bytes] of chunks.slice(0, 19).entries()) world.chunk(part, seq, bytes)
  for (const [seq, bytes] of others.entries()) world.chunk(next, seq, bytes)
  await world.pass(40_000)
  refuse([file(0)])
  world.chunk(part, 19, chunks[19]!)
  world.closePart(part, chunks.length)
  await world.pass(61_000)
  const [first, second] = [await world.file(), await world.file('webcam', 1)].map((bytes) => readFinishedFile(bytes, new Findings()).frames)
  const shifts = new Set(second!.flatMap(({ identity, kind, timeMs }) => first!.filter((frame) => kind === 'video' && frame.identity === identity).map((frame) => Math.round(frame.timeMs - timeMs))))
  assert.equal(shifts.size, 1, 'they are repeated as they are')
  await assertWhole(world, [{ part, chunks }, { part: next, chunks: others }], [0, 1])
})

test('killed before or after any change in storage while late data of a held file goes into the next one: every frame is there', async () => {
  const chunks = made(13)
  const play = async (death: Death | null): Promise<number> => {
    const killer = new Killer(death)
    const { world, refuse } = refusingWorld((moment) => killer.at(moment, world))
    world.own()
    const part = newPart()
    const late = [12, 4, 19]
    await recordPart(world, part, chunks, { late, everyMs: 1_000 })
    refuse([file(0)])
    killer.isArmed = true
    for (const [i, seq] of late.entries()) {
      world.chunk(part, seq, chunks[seq]!)
      if (i === 1) refuse([file(0), file(1)])
      await passAndTakeOver(world, 20_000)
    }
    for (let i = 0; i < 3; i++) await passAndTakeOver(world, 20_000)
    assert.deepEqual(world.partState(part.part, 'webcam', 2).stored, [[0, 19]], JSON.stringify(death))
    // A file that is refused before its first commit never comes to be.
    await assertWhole(world, [{ part, chunks }], (await world.memory.properties(file(1))) === null ? [0, 2] : [0, 1, 2])
    return killer.changes
  }
  const changes = await play(null)
  assert.ok(changes > 10, `${changes} changes`)
  for (let change = 1; change <= changes; change++) for (const moment of ['before', 'after'] as const) await play({ moment, change })
})

test('a session is deleted while some of its blobs are held: the rest is deleted, others go on, and it is completed after the hold, over restarts', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const part = newPart()
  await recordPart(world, part, made(14), { late: [4], everyMs: 1_000 })
  const erased = (): number => world.events.filter(({ type }) => type === 'session-erased').length
  refuse([file(0)])
  world.declare({ type: 'session-deleted', session: SESSION, at: world.at() })
  await world.pass(2_000)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(await world.names(`${SESSION}/`), [file(0)])
  assert.equal(erased(), 0)
  world.chunk(part, 4, made(14)[4]!)
  await world.pass(2_000)
  assert.equal(world.committedOffset, world.log.length, 'late chunks of it are dropped')
  world.own()
  for (let hours = 0; hours < 3; hours++) {
    world.clock.advance(3_600_000)
    await world.settle()
  }
  assert.deepEqual([await world.names(`${SESSION}/`), erased()], [[file(0)], 0])
  refuse([])
  world.clock.advance(3_600_000)
  await world.settle()
  assert.deepEqual([await world.names(`${SESSION}/`), erased()], [[], 1])
  assert.deepEqual(await world.names(), [BLOBS.tombstone(SESSION)])
  const { metadata } = (await world.memory.properties(BLOBS.tombstone(SESSION)))!
  assert.match(metadata[TOMBSTONE_DELETED_AT] ?? '', /^\d{4}-.*Z$/, 'it names the deletion, also after later tries')
})

test('a record of a held deletion whose session was created anew since deletes nothing', async () => {
  const { world } = refusingWorld()
  await world.memory.put(BLOBS.heldErasure(0, SESSION), new Uint8Array(0), { contentType: 'text/plain', metadata: {} })
  world.own()
  const part = newPart()
  await recordPart(world, part, made(15), { everyMs: 1_000 })
  world.clock.advance(3_600_000)
  await world.settle()
  await assertWhole(world, [{ part, chunks: made(15) }], [0])
  assert.deepEqual(await world.names('.held-erasures/'), [])
})

test('storage that refuses every file of a track is an outage: nothing is begun without end', async () => {
  const { world, refuse } = refusingWorld()
  world.own()
  const part = newPart()
  const chunks = made(12)
  await recordPart(world, part, chunks, { late: [7, 8], everyMs: 1_000 })
  refuse([`${SESSION}/webcam/`], ['commit blocks'])
  world.chunk(part, 7, chunks[7]!)
  await world.pass(600_000)
  assert.ok(world.committedOffset < world.log.length)
  assert.deepEqual(world.parked, [])
  refuse([])
  await world.pass(61_000)
  assert.equal(world.committedOffset, world.log.length)
})
