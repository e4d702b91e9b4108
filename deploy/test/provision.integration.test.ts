import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeChunkRecord, TOPICS, type TopicSpec } from '@longtake/contracts'
import { createProducer, ensureTopics, PARKED_HEADERS, sizeLimitBytes } from '@longtake/kafka'
import { testAzurite } from '@longtake/testkit'
import { startKafka } from '../local/kafka.ts'
import { readCommand } from '../parked/arguments.ts'
import { parked } from '../parked/parked.ts'
import { provision } from '../provision.ts'

test('the parked records of an earlier version get a size limit once no acknowledged record is among them', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-provision-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const broker = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => broker.stop())
  const kafka = { brokers: [broker.brokers], clientId: 'test' }
  const env = {
    KAFKA_BROKERS: broker.brokers,
    AZURE_STORAGE_CONNECTION_STRING: testAzurite(),
    LONGTAKE_AZURE_CONTAINER: `provision-${randomUUID().slice(0, 8)}`,
    LONGTAKE_TOPIC_REPLICATION: '1',
    LONGTAKE_PARKED_BYTES: '64MiB',
  }
  // As versions before the limit left it.
  const { retentionBytes: _limit, ...earlier } = TOPICS.parked
  const earlierTopics: TopicSpec[] = [earlier, TOPICS.chunks]
  await ensureTopics(kafka, { partitions: 2, replicationFactor: 1 }, earlierTopics)
  {
    await using producer = createProducer({ kafka })
    const chunk = encodeChunkRecord({ session: 's-1', track: 'webcam', part: randomUUID(), client: randomUUID(), seq: 0, sha256: '0f'.repeat(32), capturedAt: 1, payload: Buffer.from('chunk') })
    const headers = {
      ...chunk.headers,
      [PARKED_HEADERS.reason]: 'unwritable',
      [PARKED_HEADERS.topic]: TOPICS.chunks.name,
      [PARKED_HEADERS.partition]: '1',
      [PARKED_HEADERS.offset]: '7',
    }
    await producer.send({ topic: TOPICS.parked.name, partition: 1, key: 's-1', value: Buffer.from(chunk.value), headers })
  }

  const first = await provision(env)
  assert.match(first.join('\n'), /recordings\.parked: keeps no size limit, as 1 of its records .*\n.*replay --reason unwritable/)
  assert.deepEqual([await sizeLimitBytes(kafka, TOPICS.parked.name), await sizeLimitBytes(kafka, TOPICS.unwritable.name)], [null, null])

  assert.match(await parked(readCommand(['replay', '--reason', 'unwritable']), kafka), /: 1 record\./)
  const limitBytes = 64 * 1024 ** 2
  assert.deepEqual(await provision(env), [`recordings.parked: retention.bytes changed from -1 to ${limitBytes / 2}`])
  assert.deepEqual(await provision(env), [])
})
