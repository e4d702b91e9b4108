import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, loadRecording, recordingNames } from '@longtake/testkit'
import { newPart } from './harness.ts'
import { Live } from './live.ts'

test('what is in Kafka becomes seekable blobs, and an event says so', async () => {
  await using live = await Live.begin()
  await using _writer = await live.writer()
  await Promise.all(
    recordingNames.map(async (name) => {
      const { chunks, mimeType } = loadRecording(name)
      const part = newPart({ mimeType, startedAt: new Date().toISOString() })
      await live.open(name, part)
      for (const [seq, bytes] of chunks.entries()) await live.chunk(name, part, seq, bytes)
      await live.closePart(name, part, chunks.length)
      const commit = await live.whole(name, part, chunks.length)
      const file = await live.file(name)
      assert.equal(file.length, commit.bytes)
      assertContent(checkRecording({ file, parts: [{ ...part, chunks }] }).findings, name)
    }),
  )
})
