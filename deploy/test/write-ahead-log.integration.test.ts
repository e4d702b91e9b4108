import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { TOPICS } from '@longtake/contracts'
import { ensureTopics } from '@longtake/kafka'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { newPart } from '../../services/block-writer/test/harness.ts'
import { Live } from '../../services/block-writer/test/live.ts'
import { startKafka } from '../local/kafka.ts'

const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

const WEEK_MS = 7 * 86_400_000
const SESSIONS = ['week-1', 'week-2', 'week-3', 'week-4', 'week-5', 'week-6']
const SEGMENT_BYTES = 1024 ** 2
const PARTITIONS = 4

test('a writer that is away for a week loses nothing, even if Kafka forgets its group; then the disk is freed', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-wal-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const properties = { 'log.retention.check.interval.ms': 200, 'log.initial.task.delay.ms': 200 }
  const kafka = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log'), properties })
  t.after(() => kafka.stop())
  await using live = await Live.begin(kafka.brokers, SEGMENT_BYTES)
  const admin = new kafkajs.Kafka({ brokers: [kafka.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  const control = `${live.place.chunks}.control`
  await ensureTopics(live.kafka, { partitions: 1, replicationFactor: 1, maxSegmentBytes: SEGMENT_BYTES }, [{ ...TOPICS.chunks, name: control, retentionMs: 48 * 3_600_000 }])

  const recordings = SESSIONS.map((session, seed) => {
    const startedAt = new Date(Date.now() - WEEK_MS).toISOString()
    return { session, part: newPart({ startedAt }), chunks: syntheticChunks({ durationMs: 12_000, seed, bytesPerSecond: 200_000 }) }
  })
  const send = async (from: number, to: number): Promise<void> => {
    for (const { session, part, chunks } of recordings) {
      for (const [seq, bytes] of chunks.entries()) if (seq >= from && seq < to) await live.chunk(session, part, seq, bytes)
    }
  }

  const stored = (session: string): number => live.commits(session).at(-1)?.parts[0]?.chunks ?? 0
  {
    await using _writer = await live.writer({ LONGTAKE_FIRST_COMMIT: '100ms', LONGTAKE_COMMIT_EVERY: '200ms' })
    for (const { session, part } of recordings) await live.open(session, part)
    await send(0, 4)
    await live.conditions.until('the beginnings', () => SESSIONS.every((session) => stored(session) === 4), 60_000, () => SESSIONS.map(stored).join())
  }

  // A week ago, as far as Kafka knows.
  live.timestamp = Date.now() - WEEK_MS
  await send(4, Infinity)
  for (const { session, part, chunks } of recordings) await live.closePart(session, part, chunks.length)
  for (let records = 0; records < 30; records += 1) {
    await live.producer.send({ topic: control, partition: 0, key: 'k', value: Buffer.alloc(100_000), timestamp: live.timestamp })
  }
  const starts = async (topic: string): Promise<{ low: string; high: string }[]> => admin.fetchTopicOffsets(topic)
  await until('Kafka to delete by time, where it may', async () => (await starts(control))[0]!.low !== '0')
  assert.ok((await starts(live.place.chunks)).every(({ low }) => low === '0'), 'nothing is deleted that no writer has taken')
  await admin.deleteGroups([live.place.group])
  const full = logBytes(dataDir, live.place.chunks)
  assert.ok(full > (PARTITIONS + 4) * SEGMENT_BYTES, `${full} bytes are more than what idle partitions keep`)

  await using _writer = await live.writer({ LONGTAKE_FIRST_COMMIT: '100ms', LONGTAKE_COMMIT_EVERY: '200ms', LONGTAKE_CHUNKS_KEEP: '1s' })
  for (const { session, part, chunks } of recordings) {
    await live.whole(session, part, chunks.length)
    assertContent(checkRecording({ file: await live.file(session), parts: [{ ...part, chunks }] }).findings, session)
  }
  await until('truncation to the end', async () => (await starts(live.place.chunks)).every(({ low, high }) => low === high))
  await until('the disk to be freed', async () => Promise.resolve(logBytes(dataDir, live.place.chunks) <= PARTITIONS * SEGMENT_BYTES))
  t.diagnostic(`${full} bytes on disk before, ${logBytes(dataDir, live.place.chunks)} after`)
})

/** What the topic's records take on the broker's disk. */
function logBytes(dataDir: string, topic: string): number {
  const folders = readdirSync(join(dataDir, 'log')).filter((name) => new RegExp(`^${topic.replaceAll('.', '\\.')}-\\d+$`).test(name))
  const files = folders.flatMap((folder) => readdirSync(join(dataDir, 'log', folder)).filter((name) => name.endsWith('.log')).map((name) => join(dataDir, 'log', folder, name)))
  return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await delay(100)) assert.ok(Date.now() < deadline, `no sign of: ${what}`)
}
