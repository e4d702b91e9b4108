import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadRecording, readRecordedPart } from '@longtake/testkit'
import { newPart, World } from './harness.ts'

/** How many frames of each kind a player can show of these chunks, by another reader than the writer's. */
function playable(chunks: ReadonlyMap<number, Uint8Array>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind } of readRecordedPart(chunks).frames) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

for (const name of ['chrome-webcam-vp9-opus', 'chrome-screen-vp9', 'chrome-audio-only', 'firefox-webcam-vp8'] as const) {
  test(`${name}: each commit states the frames that its file has, also those that another writer committed`, async () => {
    const { chunks, mimeType } = loadRecording(name)
    const world = new World()
    world.own()
    const part = newPart({ mimeType })
    world.open(part)
    const sent = new Map<number, Uint8Array>()
    const frames = (): Record<string, number | null> => Object.fromEntries(Object.entries(world.partState(part.part).media ?? {}).map(([kind, counted]) => [kind, counted.frames]))
    for (const [seq, bytes] of chunks.entries()) {
      if (seq === 4) continue
      world.chunk(part, seq, bytes)
      sent.set(seq, bytes)
      await world.pass(1_000)
      if (seq === 7) world.own()
    }
    world.closePart(part, chunks.length)
    await world.pass(10_000)
    assert.deepEqual(frames(), playable(sent), 'without the chunk that is missing')
    world.chunk(part, 4, chunks[4]!)
    await world.pass(10_000)
    assert.deepEqual(frames(), playable(new Map(chunks.entries())), 'with it')
    const { durationMs } = world.lastCommit()
    const last = Object.values(world.partState(part.part).media ?? {}).map(({ lastMs }) => lastMs!)
    assert.ok(last.length > 0 && last.every((ms) => ms < durationMs && ms > durationMs - 200), 'picture and sound end together, with the file')
  })
}

test('an MP4, whose samples are not looked at, has no counts', async () => {
  const { chunks, mimeType } = loadRecording('chrome-mp4')
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
  world.closePart(part, chunks.length)
  await world.pass(10_000)
  assert.equal(world.partState(part.part).media, undefined)
})
