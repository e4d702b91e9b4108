import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, loadRecording, recordingNames } from '@longtake/testkit'
import { newPart, World } from './harness.ts'

for (const name of recordingNames) {
  test(`${name}, in order: one commit soon after the start, then the whole recording, frame by frame`, async () => {
    const { chunks, mimeType } = loadRecording(name)
    const world = new World()
    world.own()
    const part = newPart({ mimeType })
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) {
      world.chunk(part, seq, bytes)
      await world.pass(1_000)
      if (seq === 4) {
        assert.ok(world.lastCommit().bytes > 0, 'playable after five seconds')
        const { findings } = checkRecording({ file: await world.file(), parts: [{ ...part, chunks: chunks.slice(0, 5) }], growing: true })
        assertContent(findings, 'the checker of the growing file')
      }
    }
    world.closePart(part, chunks.length)
    await world.settle()
    const { findings } = checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] })
    assertContent(findings)
    assert.equal(world.committedOffset, world.log.length)
    const state = world.partState(part.part)
    assert.deepEqual(state.stored, [[0, chunks.length - 1]])
    assert.deepEqual([state.missing, state.undecodable], [[], []])
    assert.deepEqual(state.closed, { chunks: chunks.length, clean: true })
    assert.equal(state.bytes, chunks.reduce((sum, { length }) => sum + length, 0))
  })
}
