import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createLogger, Health } from '@longtake/service'
import { ensureTopics } from '@longtake/kafka'
import { loadRecording, testAzurite } from '@longtake/testkit'
import { readConfig } from '../../services/block-writer/src/config.ts'
import { start as startBlockWriter } from '../../services/block-writer/src/service.ts'
import { startGateway } from '../../services/gateway/test/running-gateway.ts'
import { startKafka } from '../local/kafka.ts'
import { readBacklog } from '../parked/replay.ts'

const CHUNK_BYTES = 256 * 1024

test('a session that fills its parking is refused before the ack, and all that was acknowledged is parked', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-parking-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const broker = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => broker.stop())
  const kafka = { brokers: [broker.brokers], clientId: 'test' }
  await ensureTopics(kafka, { partitions: 4, replicationFactor: 1 })
  const env = { KAFKA_BROKERS: broker.brokers }
  const config = readConfig({
    ...env,
    AZURE_STORAGE_CONNECTION_STRING: testAzurite(),
    LONGTAKE_AZURE_CONTAINER: `parking-${randomUUID().slice(0, 8)}`,
    LONGTAKE_PARKED_PER_SESSION: '1MiB',
  })
  const deps = {
    logger: createLogger({ service: 'block-writer', level: 'silent' }),
    health: new Health(),
    stopping: new AbortController().signal,
    fail: (error: unknown) => assert.fail(String(error)),
  }
  await using _writer = await startBlockWriter(config, deps)
  await using gateway = await startGateway({ env })
  const client = await gateway.connect()
  const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
  const part = await client.open({ track: 'webcam', mimeType })
  await client.sendAll(part, chunks.slice(0, 2))
  await client.allAcknowledged(part)

  // Other bytes for chunk 1, again and again.
  const { acknowledged } = client.ledger(part)
  let taken = 0
  for (; client.connected && taken < 500; taken += 1) {
    acknowledged.delete(1)
    client.send(part, 1, new Uint8Array(CHUNK_BYTES).fill(taken))
    while (client.connected && !acknowledged.has(1)) await delay(5)
    if (!acknowledged.has(1)) break
    await delay(20)
  }
  assert.equal(client.errors.at(-1)?.code, 'REC_PARKING_FULL')
  assert.equal(client.closes.at(-1)?.code, 4429)
  assert.ok(taken * CHUNK_BYTES >= 1024 ** 2, `${taken} were acknowledged`)

  const parked = async () => (await readBacklog(kafka)).waiting.filter(({ reason }) => reason === 'other-content').length
  for (const deadline = Date.now() + 30_000; (await parked()) < taken && Date.now() < deadline; ) await delay(200)
  assert.equal(await parked(), taken, 'parked, never dropped')
  const again = await gateway.connect({ session: (await readBacklog(kafka)).waiting[0]!.session })
  assert.equal(again.connected, true, 'it may still say what has ended')
  await again.disconnect()
})
