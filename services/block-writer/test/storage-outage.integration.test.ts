import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertContent, checkRecording, loadRecording, startHttpFaultProxy, testAzurite, type SeenRequest } from '@longtake/testkit'
import { newPart } from './harness.ts'
import { Live } from './live.ts'

const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
const HALF = Math.floor(chunks.length / 2)
/** What a track may hold uncommitted is four times this: less than half of the recording. */
const BLOCK_BYTES = '64KiB'

test('storage that errs, falls silent and is away: the partition waits, /readyz says why, all goes on by itself, nothing is lost or doubled', async (t) => {
  await using live = await Live.begin()
  const origin = /BlobEndpoint=(https?:\/\/[^/;]+)/.exec(testAzurite())![1]!
  await using proxy = await startHttpFaultProxy(origin)
  const poll = setInterval(() => live.conditions.changed(), 100)
  t.after(() => clearInterval(poll))
  await using _writer = await live.writer({
    AZURE_STORAGE_CONNECTION_STRING: testAzurite().replace(origin, proxy.origin),
    LONGTAKE_FIRST_COMMIT: '100ms',
    LONGTAKE_COMMIT_EVERY: '500ms',
    LONGTAKE_BLOCK_BYTES: BLOCK_BYTES,
  })
  const until = async (what: string, holds: () => boolean): Promise<void> => live.conditions.until(what, holds, 60_000, () => JSON.stringify(live.health.readiness()))
  const write = (session: string) => ({ method, path }: SeenRequest): boolean => method === 'PUT' && path.includes(`/${session}/`)
  const commit = (session: string) => (request: SeenRequest): boolean => write(session)(request) && request.path.includes('comp=blocklist')
  await until('readiness', () => live.health.readiness().ready)

  // One session meets errors, one a commit whose answer never comes; both while others are written.
  const busy = { kind: 'answer', status: 503, headers: { 'retry-after': '1', 'x-ms-error-code': 'ServerBusy' } } as const
  proxy.inject(write('errors'), busy, 7)
  proxy.inject(write('errors'), { kind: 'answer', status: 500 }, 7)
  proxy.inject(commit('errors'), { kind: 'answer', status: 500, forwarded: true }, 2)
  proxy.inject(commit('errors'), { kind: 'cut before' }, 2)
  proxy.inject(commit('errors'), { kind: 'cut answer' }, 2)
  proxy.inject(commit('silence'), { kind: 'hold answer' })
  const parts = new Map(['errors', 'silence', 'well'].map((session) => [session, newPart({ mimeType, startedAt: new Date().toISOString() })]))
  const send = async (from: number, to: number): Promise<void> => {
    for (const [session, part] of parts) for (let seq = from; seq < to; seq++) await live.chunk(session, part, seq, chunks[seq]!)
  }
  for (const [session, part] of parts) await live.open(session, part)
  await send(0, HALF)
  const stored = (session: string): number => live.commits(session).at(-1)?.parts[0]?.chunks ?? 0
  await until('the halves of two', () => stored('well') === HALF && stored('errors') === HALF)

  await proxy.refuse()
  await send(HALF, chunks.length)
  const told = (): string => JSON.stringify(live.health.readiness().checks)
  await until('the storage to be missed', () => !live.health.readiness().ready && /the storage has not answered for \d+ s: .*(ECONNREFUSED|no answer within)/.test(told()))
  await until('a partition to wait', () => /partitions wait until more is committed/.test(told()))
  await proxy.accept()

  for (const [session, part] of parts) {
    await live.closePart(session, part, chunks.length)
    await live.whole(session, part, chunks.length)
    assertContent(checkRecording({ file: await live.file(session), parts: [{ ...part, chunks }] }).findings, session)
    const ids = new Map(live.commits(session).map(({ commit }) => [commit.number, commit.id]))
    for (const { commit } of live.commits(session)) assert.equal(ids.get(commit.number), commit.id, 'each commit has its number once')
  }
  await until('readiness', () => live.health.readiness().ready && !/partitions wait/.test(told()))
})
