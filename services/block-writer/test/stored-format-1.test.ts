import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { BLOBS } from '@longtake/contracts'
import { assertContent, checkRecording, loadRecording } from '@longtake/testkit'
import { SESSION, World, type TestPart } from './harness.ts'

/**
 * All blobs of a session as the first version (checkpoint format 1, no digests, commit 1380257) left them: a track with a
 * hole and with a part whose beginning is missing, and an MP4 with a hole. Chunks of synthetic parts are beside them.
 */
interface Stored {
  readonly offset: number
  readonly blobs: readonly { name: string; contentType: string; metadata: Record<string, string>; blocks: { id: string; bytes: number }[] | null; bytes: string }[]
  readonly parts: readonly (TestPart & { sent: number[]; chunks: string[] })[]
  readonly screen: TestPart & { sent: number[] }
}

const stored = JSON.parse(gunzipSync(readFileSync(new URL('fixtures/stored-format-1.json.gz', import.meta.url))).toString()) as Stored
const parts = [...stored.parts.map((part) => ({ ...part, chunks: part.chunks.map((chunk) => Buffer.from(chunk, 'base64')) })), { ...stored.screen, chunks: loadRecording('chrome-mp4').chunks.slice(0, 3) }]
const [webcam, second, screen] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0]]

/** A new owner finds the blobs; the group has committed all that is in them. */
async function upgraded(): Promise<World> {
  const world = new World()
  for (const { name, contentType, metadata, blocks, bytes } of stored.blobs) {
    const content = Buffer.from(bytes, 'base64')
    if (blocks === null) {
      await world.memory.put(name, content, { contentType, metadata })
      continue
    }
    let at = 0
    for (const block of blocks) await world.memory.stageBlock(name, block.id, content.subarray(at, (at += block.bytes)))
    await world.memory.commitBlockList(name, blocks.map(({ id }) => id), { ifNoneMatch: '*', contentType, metadata })
  }
  for (let i = 0; i < stored.offset; i++) world.done.add(world.open(webcam))
  world.own()
  return world
}

test('what the first version stored is published as it was', async () => {
  const world = await upgraded()
  for (const part of parts) {
    world.open(part)
    await world.pass(5_000)
    const ranges = part.sent.reduce<[number, number][]>((runs, seq) => (runs.at(-1)?.[1] === seq - 1 ? [...runs.slice(0, -1), [runs.at(-1)![0], seq]] : [...runs, [seq, seq]]), [])
    const state = world.partState(part.part, part.track)
    assert.deepEqual([state.stored, state.chunks, state.closed], [ranges, part.sent.length, null])
  }
})

test('what the first version stored goes on: holes are filled, pending chunks are used, a missing beginning comes', async () => {
  const world = await upgraded()
  for (const part of parts) {
    for (const [seq, bytes] of [...part.chunks.entries()].toReversed()) {
      world.chunk(part, seq, bytes)
      await world.pass(7_000)
    }
    world.closePart(part, part.chunks.length)
    await world.pass(40_000)
  }
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.parked, [], 'digests of what was there are compared')
  for (const part of parts) {
    const state = world.partState(part.part, part.track)
    assert.deepEqual([state.stored, state.missing, state.closed], [[[0, part.chunks.length - 1]], [], { chunks: part.chunks.length, clean: true }])
  }
  assertContent(checkRecording({ file: await world.file(), parts: [webcam, second] }).findings)
  assert.deepEqual(Buffer.from(await world.file('screen')), Buffer.concat(screen.chunks))
  assert.deepEqual([await world.pendingAtRest(), await world.pendingAtRest('screen')], [[], []])
})

test('a damaged checkpoint of the first version: the one before it is used, and Kafka gives what that lacks', async () => {
  const world = await upgraded()
  await world.close('shutdown')
  const { metadata } = (await world.memory.properties(BLOBS.file(SESSION, 'webcam', 0)))!
  await world.memory.put(metadata['checkpoint']!, Buffer.from('foreign'), { contentType: 'application/octet-stream', metadata: {} })
  world.own()
  for (const part of [webcam, second]) {
    for (const [seq, bytes] of part.chunks.entries()) world.chunk(part, seq, bytes)
    world.closePart(part, part.chunks.length)
  }
  await world.pass(60_000)
  assertContent(checkRecording({ file: await world.file(), parts: [webcam, second] }).findings)
  assert.deepEqual(world.parked, [])
})
