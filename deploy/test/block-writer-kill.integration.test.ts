import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { assertContent, checkRecording, concat, loadRecording, recut, seededRandom, startHttpFaultProxy, syntheticChunks, testAzurite, type HttpFaultProxy } from '@longtake/testkit'
import { newPart, type TestPart } from '../../services/block-writer/test/harness.ts'
import { Live } from '../../services/block-writer/test/live.ts'

const KILLS = 20
/** They mostly wait until the group notices the death of its member, so several groups are struck at once. */
const GROUPS = 4
/** Commits come thick and fast, so that every kind of moment is met. */
const QUICK = { LONGTAKE_FIRST_COMMIT: '100ms', LONGTAKE_COMMIT_EVERY: '200ms', LONGTAKE_COMMIT_EVERY_CALM: '200ms', LONGTAKE_HOLE_WAIT: '300ms' }

test(`killed at ${KILLS} moments between staging, commit and event: the same frames, times, flags and order`, async (t) => {
  const moments = await Promise.all(Array.from({ length: GROUPS }, (_, group) => killAgainAndAgain(group)))
  t.diagnostic(JSON.stringify(tally(moments.flat())))
})

/** Kills the block-writer of one group, each time at another moment of another session, and resolves with what those were. */
async function killAgainAndAgain(group: number): Promise<string[]> {
  await using live = await Live.begin()
  await using proxy = await startHttpFaultProxy(azuriteOrigin())
  let writer = startWriter(live, proxy)
  const moments: string[] = []
  try {
    for (let seed = group + 1; moments.length < KILLS / GROUPS; seed += GROUPS) {
      const random = seededRandom(seed)
      const attempt = new AbortController()
      const killed = killAt(proxy, () => writer, random.between(1, 20), random.chance(0.5) ? 'cut before' : 'cut answer', attempt.signal)
      const session = `kill-${seed}`
      const [first, second] = [recording(seed, 0), recording(seed, 20_000)]
      const sending = sendAll(live, session, [first, second], random)
      const whole = Promise.all([first, second].map(async ({ part, chunks }) => live.whole(session, part, chunks.length)))
      const moment = await Promise.race([killed, whole.then(() => 'none')])
      attempt.abort()
      // A session may be whole before its n-th request: then another one is killed.
      if (moment !== 'none') {
        moments.push(moment)
        await once(writer, 'exit')
        writer = startWriter(live, proxy)
      }
      await sending
      await whole
      const { findings } = checkRecording({ file: await live.file(session), parts: [first, second].map(({ part, chunks }) => ({ ...part, chunks })) })
      assertContent(findings, `seed ${seed}, killed at ${moment}`)
    }
    return moments
  } finally {
    await stop(writer)
  }
}

test('a block-writer that was paused until its partitions had moved does no harm when it goes on', async () => {
  await using live = await Live.begin()
  const writers = [startWriter(live), startWriter(live)] as const
  try {
    const sessions = Array.from({ length: 12 }, (_, i) => ({ session: `zombie-${i}`, ...recording(i + 100, 0) }))
    const half = (chunks: Uint8Array[]): number => Math.floor(chunks.length / 2)
    await Promise.all(sessions.map(async ({ session, part, chunks }) => {
      await live.open(session, part)
      for (let seq = 0; seq < half(chunks); seq++) await live.chunk(session, part, seq, chunks[seq]!)
    }))
    await live.conditions.until('a first commit of each', () => sessions.every(({ session }) => live.commits(session).length > 0), 60_000, () => '')
    writers[0].kill('SIGSTOP')
    await Promise.all(sessions.map(async ({ session, part, chunks }) => {
      for (let seq = half(chunks); seq < chunks.length - 1; seq++) await live.chunk(session, part, seq, chunks[seq]!)
    }))
    const has = (session: string, count: number): boolean => live.commits(session).some(({ parts }) => parts.some(({ chunks }) => chunks === count))
    await live.conditions.until('the other to have taken over', () => sessions.every(({ session, chunks }) => has(session, chunks.length - 1)), 60_000, () => '')
    writers[0].kill('SIGCONT')
    await Promise.all(sessions.map(async ({ session, part, chunks }) => {
      await live.chunk(session, part, chunks.length - 1, chunks.at(-1)!)
      await live.closePart(session, part, chunks.length)
      await live.whole(session, part, chunks.length)
      assertContent(checkRecording({ file: await live.file(session), parts: [{ ...part, chunks }] }).findings, session)
    }))
    for (const { session } of sessions) {
      // A commit's number is given once: what the paused one still wrote was refused.
      const ids = new Map(live.commits(session).map(({ commit }) => [commit.number, commit.id]))
      for (const { commit } of live.commits(session)) assert.equal(ids.get(commit.number), commit.id)
    }
  } finally {
    await Promise.all(writers.map(stop))
  }
})

interface Recorded {
  readonly part: TestPart
  readonly chunks: Uint8Array[]
}

function recording(seed: number, afterMs: number): Recorded {
  const startedAt = new Date(Date.parse('2026-03-01T10:00:00.000Z') + afterMs).toISOString()
  const chunks = seed % 2 === 0 && afterMs === 0
    ? recut(concat(loadRecording('chrome-requestdata-one-byte-chunks').chunks), seed)
    : syntheticChunks({ durationMs: 12_000, seed: seed * 2 + (afterMs === 0 ? 0 : 1), chunkEveryMs: 300 })
  return { part: newPart({ startedAt }), chunks: seed % 2 === 0 && afterMs !== 0 ? loadRecording('chrome-webcam-vp9-keyframe-2s').chunks : chunks }
}

/** Both parts, the second while the first still misses a few chunks, which come last. */
async function sendAll(live: Live, session: string, [first, second]: readonly [Recorded, Recorded], random: ReturnType<typeof seededRandom>): Promise<void> {
  // A recorder's pace, only faster: commits fall between chunks.
  const chunk = async (part: TestPart, seq: number, bytes: Uint8Array): Promise<void> => {
    await live.chunk(session, part, seq, bytes)
    await delay(15)
  }
  const late = first.chunks.map((_, seq) => seq).filter(() => random.chance(0.1))
  await live.open(session, first.part)
  for (const [seq, bytes] of first.chunks.entries()) if (!late.includes(seq)) await chunk(first.part, seq, bytes)
  await live.closePart(session, first.part, first.chunks.length)
  await live.open(session, second.part)
  for (const [seq, bytes] of second.chunks.entries()) await chunk(second.part, seq, bytes)
  for (const seq of random.shuffle(late)) await chunk(first.part, seq, first.chunks[seq]!)
  await live.closePart(session, second.part, second.chunks.length)
}

function startWriter(live: Live, proxy?: HttpFaultProxy): ChildProcess {
  const connection = proxy === undefined ? testAzurite() : testAzurite().replace(azuriteOrigin(), proxy.origin)
  const env = { ...live.env({ ...QUICK, AZURE_STORAGE_CONNECTION_STRING: connection }), TEST_PLACE: JSON.stringify(live.place), PATH: process.env['PATH'] }
  return spawn(process.execPath, [join(import.meta.dirname, 'fixtures', 'block-writer-child.ts')], { env, stdio: ['ignore', 'inherit', 'inherit'] })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

/** Kills the writer at its n-th request to storage, before the request arrives or before its answer does. Resolves with what it was. */
function killAt(proxy: HttpFaultProxy, writer: () => ChildProcess, n: number, kind: 'cut before' | 'cut answer', signal: AbortSignal): Promise<string> {
  let seen = 0
  return new Promise((resolve) => {
    proxy.inject(({ method, path }) => {
      if (signal.aborted || ++seen !== n) return false
      writer().kill('SIGKILL')
      resolve(`${kind} of ${kindOf(method, path)}`)
      return true
    }, { kind })
  })
}

function kindOf(method: string, path: string): string {
  if (path.includes('comp=blocklist')) return method === 'PUT' ? 'commit' : 'read of the block list'
  if (path.includes('comp=block')) return 'staging'
  if (path.includes('checkpoints')) return `${method} of a checkpoint`
  if (path.includes('pending')) return `${method} of pending chunks`
  return `${method} of a file`
}

function tally(moments: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const moment of moments.toSorted()) counts[moment] = (counts[moment] ?? 0) + 1
  return counts
}

function azuriteOrigin(): string {
  const found = /BlobEndpoint=(https?:\/\/[^/;]+)/.exec(testAzurite())?.[1]
  if (found === undefined) throw new Error('the connection string has no blob endpoint')
  return found
}
