import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { GROUPS, TOPICS } from '@longtake/contracts'
import { ensureTopics } from '@longtake/kafka'
import { startGateway } from '../../services/gateway/test/running-gateway.ts'
import { startKafka } from '../local/kafka.ts'

const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

const MIB = 1024 ** 2
const CHUNK = new Uint8Array(256 * 1024).fill(7)
CHUNK.set([0x1a, 0x45, 0xdf, 0xa3, 0x87, 0x42, 0x82, 0x84, 0x77, 0x65, 0x62, 0x6d])
/** Half as much again as the limit. */
const CHUNKS = 384

test('while nothing is committed a gateway takes no more than its backlog limit, and all the rest once it is', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-backlog-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const kafka = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => kafka.stop())
  await ensureTopics({ brokers: [kafka.brokers], clientId: 'test' }, { partitions: 2, replicationFactor: 1 })
  const env = { KAFKA_BROKERS: kafka.brokers, LONGTAKE_GATEWAY_BACKLOG: '64MiB' }
  await using gateway = await startGateway({ env, limits: { backlogEveryMs: 100 } })
  const admin = new kafkajs.Kafka({ brokers: [kafka.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  const reason = (): string => gateway.health.readiness().checks['backlog']?.reason ?? ''

  const client = await gateway.connect({ autoReconnect: true, timeoutMs: 30_000 })
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm' })
  // At a pace that leaves the gateway time to look.
  const sending = (async () => {
    for (let seq = 0; seq < CHUNKS; seq += 1) await client.sendAll(part, [CHUNK], seq).then(() => delay(10))
  })()
  await until(() => /not yet committed/.test(reason()) && client.windowBytes === 0)
  await client.allAcknowledged(part)
  const taken = client.ledger(part).acknowledged.size * CHUNK.length
  assert.ok(taken < 80 * MIB && taken > 20 * MIB, `${taken / MIB} MiB acknowledged`)

  // Block-writer commits whatever there is, again and again.
  const committing = setInterval(() => {
    void admin.fetchTopicOffsets(TOPICS.chunks.name).then(async (ends) => admin.setOffsets({ groupId: GROUPS.blockWriter, topic: TOPICS.chunks.name, partitions: ends.map(({ partition, high }) => ({ partition, offset: high })) })).catch(() => undefined)
  }, 200)
  t.after(() => clearInterval(committing))
  await sending
  await client.allAcknowledged()
  assert.equal(client.ledger(part).acknowledged.size, CHUNKS)
  await until(() => reason() === '')
  t.diagnostic(`${Math.round(taken / MIB)} MiB were taken at a limit of 64 MiB; ${client.closes.length} closes`)
  await client.disconnect()
})

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; !holds(); await delay(50)) assert.ok(Date.now() < deadline)
}
