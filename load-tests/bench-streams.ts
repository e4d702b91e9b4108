/**
 * Real-time streams on a running system (`npm start`): each records webcam chunks of 45 KB, one a second, in parts of 20 s, then
 * finishes. Reports how soon chunks were acknowledged, whether every session became complete, and how long that took.
 * `node_modules/.bin/node load-tests/bench-streams.ts [--streams 300] [--seconds 180] [--settle-seconds 300]`
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { CreateSessionResponse, PublicSession } from '@longtake/contracts'
import { loadRecording, TestClient } from '@longtake/testkit'
import { reportSetupError } from '../deploy/local/run.ts'
import { target } from './target.ts'

const { values } = parseArgs({
  options: { streams: { type: 'string', default: '300' }, seconds: { type: 'string', default: '180' }, 'settle-seconds': { type: 'string', default: '300' } },
})
const streams = Number(values.streams)
const parts = Math.max(1, Math.round(Number(values.seconds) / 20))
/** Streams begin at random moments within so long, as in life. */
const RAMP_MS = 20_000
const POLL_MS = 2_000

const { url, apiKey } = target()
const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
const ackMs: number[] = []
const closes = new Map<number, number>()

async function record(): Promise<string> {
  await delay(Math.random() * RAMP_MS)
  const session = (await (await fetch(`${url}/v1/sessions`, { method: 'POST', headers, body: '{}' })).json()) as CreateSessionResponse
  const { url: gateway, token } = session.ingest
  const client = await TestClient.connect({ url: new URL(gateway).origin, session: session.id, token, autoReconnect: true, timeoutMs: 600_000 })
  for (let made = 0; made < parts; made++) await recordPart(client)
  await client.finish()
  await client.disconnect()
  for (const { code } of client.closes) closes.set(code, (closes.get(code) ?? 0) + 1)
  return session.id
}

async function recordPart(client: TestClient): Promise<void> {
  const part = await client.open({ track: 'webcam', mimeType })
  const startedAt = performance.now()
  const acks: Promise<void>[] = []
  async function* live(): AsyncGenerator<Uint8Array> {
    for (const [seq, chunk] of chunks.entries()) {
      await delay(Math.max(0, startedAt + (seq + 1) * 1_000 - performance.now()))
      acks.push(timed(client.acknowledged(part, seq)))
      yield chunk
    }
  }
  await client.sendAll(part, live())
  await Promise.all(acks)
  await client.close(part)
}

/** From when the recorder has a chunk, waiting for the window included. */
async function timed(acknowledged: Promise<void>): Promise<void> {
  const madeAt = performance.now()
  await acknowledged
  ackMs.push(performance.now() - madeAt)
}

/** Sessions of these that are not whole yet: complete, with every chunk in a file. */
async function unfinished(ids: readonly string[]): Promise<string[]> {
  const left: string[] = []
  for (const id of ids) {
    const session = (await (await fetch(`${url}/v1/sessions/${id}`, { headers })).json()) as PublicSession
    const stored = Object.values(session.tracks ?? {}).flatMap((track) => track.parts.map((part) => part.stored))
    const isWhole = session.status === 'complete' && stored.length === parts && stored.every((count) => count === chunks.length)
    if (!isWhole) left.push(id)
  }
  return left
}

async function main(): Promise<number> {
  console.log(`${streams} streams of ${Math.round(chunks.reduce((sum, { length }) => sum + length, 0) / chunks.length / 1000)} kB a second, ${parts * 20} s each, on ${url}`)
  const progress = setInterval(() => console.log(`  ${ackMs.length} chunks acknowledged, last 100 within ${Math.round(Math.max(0, ...ackMs.slice(-100)))} ms`), 15_000)
  const outcomes = await Promise.allSettled(Array.from({ length: streams }, record))
  clearInterval(progress)
  const finishedAt = performance.now()
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
  const ids = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const sorted = ackMs.toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN)
  console.log(`acks: ${sorted.length} of ${streams * parts * chunks.length}, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms; closes ${JSON.stringify(Object.fromEntries(closes))}`)
  for (const { reason } of failed.slice(0, 3)) console.log(`failed: ${String(reason)}`)
  let left = ids
  while (left.length > 0 && performance.now() - finishedAt < Number(values['settle-seconds']) * 1000) {
    await delay(POLL_MS)
    left = await unfinished(left)
  }
  console.log(`complete and whole: ${ids.length - left.length} of ${streams}, ${Math.round((performance.now() - finishedAt) / 1000)} s after the last finish${left.length > 0 ? `; not: ${left.slice(0, 5).join(', ')}` : ''}`)
  return left.length === 0 && failed.length === 0 ? 0 : 1
}

await main().then((code) => process.exit(code), reportSetupError)
