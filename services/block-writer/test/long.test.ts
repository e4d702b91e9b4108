import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS } from '@longtake/contracts'
import { assertContent, checkRecording, syntheticRecording, syntheticChunks } from '@longtake/testkit'
import { newPart, STARTED_AT, World } from './harness.ts'

const HOUR = 3_600_000
/** What hours cost is a matter of their chunks, keyframes and holes, not of how many frames lie between. */
const FRAME_MS = 100
const BLOCK = 4 * 1024 * 1024

/** Bytes written to storage, by kind of write. */
class Meter {
  bytes = 0
  install(world: World): void {
    const stageBlock = world.memory.stageBlock.bind(world.memory)
    const put = world.memory.put.bind(world.memory)
    world.memory.stageBlock = async (blob, id, bytes, call) => {
      this.bytes += bytes.length
      return stageBlock(blob, id, bytes, call)
    }
    world.memory.put = async (blob, bytes, options) => {
      this.bytes += bytes.length
      return put(blob, bytes, options)
    }
  }
}

test('three hours: after the last chunk at most one block and 256 KiB are written, and a restart goes on', async (t) => {
  const world = new World()
  const meter = new Meter()
  meter.install(world)
  world.own()
  const part = newPart()
  const chunks: Uint8Array[] = []
  world.open(part)
  let received = 0
  for (const bytes of syntheticRecording({ durationMs: 3 * HOUR, seed: 1, bytesPerSecond: 5_000, keyframeEveryMs: 2_000, frameMs: FRAME_MS })) {
    world.chunk(part, chunks.length, bytes)
    chunks.push(bytes)
    received += bytes.length
    await world.hand()
    world.clock.advance(1_000)
    if (chunks.length % 30 === 0) await world.settle()
    if (chunks.length === 5_000) world.own()
  }
  await world.settle()
  const before = meter.bytes
  world.closePart(part, chunks.length)
  await world.settle()
  const last = meter.bytes - before
  const checkpoint = (await world.memory.readAll((await checkpointName(world))!))!.bytes.length
  t.diagnostic(JSON.stringify({ chunks: chunks.length, received, written: meter.bytes, afterLastChunk: last, checkpoint }))
  assert.ok(last <= BLOCK + 256 * 1024, `${last} bytes after the last chunk`)
  assert.ok(checkpoint < 150 * 1024, `a checkpoint of ${checkpoint} bytes`)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
  assert.equal(world.committedOffset, world.log.length)
})

test('forty parts, five hundred holes and hours of keyframes survive a restart, and the holes can be filled', async (t) => {
  const world = new World()
  world.own()
  const parts = Array.from({ length: 40 }, (_, i) => ({
    part: newPart({ startedAt: new Date(STARTED_AT + i * 280_000).toISOString() }),
    chunks: syntheticChunks({ durationMs: 270_000, seed: i, bytesPerSecond: 3_000, keyframeEveryMs: 2_000, chunkEveryMs: 2_000, frameMs: FRAME_MS }),
  }))
  // Thirteen holes a part, none at its start.
  const missing = (seq: number): boolean => seq % 10 === 7 && seq < 130
  let holes = 0
  for (const { part, chunks } of parts) {
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) {
      if (missing(seq)) holes++
      else world.chunk(part, seq, bytes)
    }
    world.closePart(part, chunks.length)
    await world.pass(6_000)
    world.clock.advance(274_000)
    await world.settle()
  }
  assert.ok(holes >= 500, `${holes} holes`)
  world.clock.advance(60_000)
  await world.settle()
  const size = (await world.memory.readAll((await checkpointName(world))!))!.bytes.length
  t.diagnostic(JSON.stringify({ holes, checkpoint: size }))
  assert.ok(size < 256 * 1024, `a checkpoint of ${size} bytes`)
  const before = world.lastCommit()
  world.own()
  for (const { part, chunks } of parts) for (const [seq, bytes] of chunks.entries()) if (missing(seq)) world.chunk(part, seq, bytes)
  await world.settle()
  assert.deepEqual(world.lastCommit().parts, before.parts)
  world.clock.advance(61_000)
  await world.settle()
  assertContent(checkRecording({ file: await world.file(), parts: parts.map(({ part, chunks }) => ({ ...part, chunks })) }).findings)
  assert.ok(world.lastCommit().parts.every((state) => state.missing.length === 0 && state.undecodable.length === 0))
  assert.deepEqual(await world.pendingAtRest(), [])
})

async function checkpointName(world: World): Promise<string | undefined> {
  return (await world.memory.properties(BLOBS.file('session-1', 'webcam', 0)))?.metadata['checkpoint']
}
