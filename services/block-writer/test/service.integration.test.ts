import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, loadRecording, recordingNames, startHttpFaultProxy, syntheticChunks, testAzurite, type HttpFault, type SeenRequest } from '@longtake/testkit'
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

test('a commit states the frames that it has, and the time that passed without being recorded', async () => {
  await using live = await Live.begin()
  await using _writer = await live.writer()
  const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-keyframe-2s')
  const part = newPart({ mimeType, startedAt: new Date().toISOString() })
  await live.open('froze', part)
  for (const [seq, bytes] of chunks.entries()) await live.chunk('froze', part, seq, bytes, (seq + 1) * 1_000 + (seq < 8 ? 0 : 45_000))
  await live.closePart('froze', part, chunks.length)
  const [state] = (await live.whole('froze', part, chunks.length)).parts
  assert.deepEqual([state!.media?.video?.frames, state!.media?.audio?.frames], [300, 250])
  assert.deepEqual(state!.unrecorded?.map(({ evidence, from, to, missingMs }) => [evidence, from, to, Math.round(missingMs / 1_000)]), [['clock', 8, 8, 45]])
})

const isCommit = ({ method, path }: SeenRequest): boolean => method === 'PUT' && path.includes('comp=blocklist')
const isStaging = ({ method, path }: SeenRequest): boolean => method === 'PUT' && path.includes('comp=block') && !isCommit({ method, path, headers: {} })
const unavailable: HttpFault = { kind: 'answer', status: 503, forwarded: true }

for (const [what, matches, fault] of [
  ['a commit whose answer is lost', isCommit, { kind: 'cut answer' }],
  ['a commit that never arrives', isCommit, { kind: 'cut before' }],
  ['a commit that is done and answered by 503', isCommit, unavailable],
  ['a block whose answer is lost', isStaging, { kind: 'cut answer' }],
] as const) {
  test(`${what}, again and again: each frame is there once, each commit has its number once`, async () => {
    await using live = await Live.begin()
    const origin = /BlobEndpoint=(https?:\/\/[^/;]+)/.exec(testAzurite())![1]!
    await using proxy = await startHttpFaultProxy(origin)
    let requests = 0
    proxy.inject((request) => matches(request) && requests++ % 2 === 0, fault, 6)
    await using _writer = await live.writer({ AZURE_STORAGE_CONNECTION_STRING: testAzurite().replace(origin, proxy.origin), LONGTAKE_FIRST_COMMIT: '100ms', LONGTAKE_COMMIT_EVERY: '100ms' })
    const chunks = syntheticChunks({ durationMs: 12_000, seed: 3 })
    const part = newPart({ startedAt: new Date().toISOString() })
    await live.open('doubt', part)
    for (const [seq, bytes] of chunks.entries()) {
      await live.chunk('doubt', part, seq, bytes)
      const arrived = (): boolean => live.commits('doubt').some(({ parts }) => parts.some((state) => state.chunks > seq))
      await live.conditions.until(`chunk ${seq} in a commit`, arrived, 60_000, () => '')
    }
    await live.closePart('doubt', part, chunks.length)
    await live.whole('doubt', part, chunks.length)
    assertContent(checkRecording({ file: await live.file('doubt'), parts: [{ ...part, chunks }] }).findings)
    const ids = new Map(live.commits('doubt').map(({ commit }) => [commit.number, commit.id]))
    for (const { commit } of live.commits('doubt')) assert.equal(ids.get(commit.number), commit.id)
    assert.ok(requests >= 11, 'the faults were met')
  })
}
