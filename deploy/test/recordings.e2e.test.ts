import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadRecording, numbered, recordingNames, recut, shuffleWithDuplicates, type NumberedChunk, type RecordingName } from '@longtake/testkit'
import { connect, createSession, describeAll, disposableSystem, judge, RECORDING_SERVICES } from './sessions.ts'

const MIME_TYPES: Partial<Record<RecordingName, string>> = { 'chrome-mp4': 'video/mp4', 'chrome-audio-only': 'audio/webm' }

/** The ways in which the same part can arrive. */
const ARRIVALS: Record<string, (chunks: readonly Uint8Array[], seed: number) => NumberedChunk[]> = {
  'as the browser cut it': (chunks) => numbered(chunks),
  'cut elsewhere': (chunks, seed) => numbered(recut(Buffer.concat(chunks), seed)),
  'cut elsewhere, out of order and twice': (chunks, seed) => shuffleWithDuplicates(recut(Buffer.concat(chunks), seed), seed),
}

test('every recording gives the same frames, however its bytes are cut, repeated and reordered on the way', async (t) => {
  await using system = await disposableSystem({ services: RECORDING_SERVICES })
  const verdicts: Awaited<ReturnType<typeof judge>>[] = []
  for (const [seed, name] of recordingNames.entries()) {
    await t.test(name, async () => {
      const { chunks } = loadRecording(name)
      for (const [arrival, arrange] of Object.entries(ARRIVALS)) {
        const session = await createSession(system)
        const client = await connect(system, session)
        const part = await client.open({ track: 'webcam', mimeType: MIME_TYPES[name] ?? 'video/webm;codecs=vp9,opus' })
        for (const { seq, bytes } of arrange(chunks, seed + 1)) client.send(part, seq, bytes)
        await client.allAcknowledged()
        await client.close(part)
        await client.finish()
        const verdict = await judge(system, session, [client])
        assert.deepEqual(client.violations, [], arrival)
        verdicts.push(verdict)
        await client.disconnect()
      }
    })
  }
  t.diagnostic(describeAll(verdicts))
})
