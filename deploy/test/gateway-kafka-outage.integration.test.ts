import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_PARTITIONS, partitionOf, TOPICS } from '@longtake/contracts'
import { ensureTopics, readPartitionToEnd } from '@longtake/kafka'
import { createTokens, Secret } from '@longtake/service'
import { TestClient } from '@longtake/testkit'
import { startChild, type Child } from '../local/child.ts'
import { startKafka } from '../local/kafka.ts'
import { freePort } from '../local/ports.ts'
import { ROOT } from '../local/test-files.ts'

const MIB = 1024 ** 2
const LIMIT = 8 * MIB
/** At their narrowest windows, of a chunk each, they have more than half of it in flight. */
const CLIENTS = 80
const CHUNK = new Uint8Array(64 * 1024).fill(7)
/** Together 120 MiB, fifteen times what the gateway may hold. */
const CHUNKS_EACH = (1.5 * MIB) / CHUNK.length
const SECRET = 'only-for-tests-only-for-tests-only'

async function startGateway(brokers: string): Promise<{ child: Child; url: string; healthUrl: string }> {
  const [port, healthPort] = [await freePort(), await freePort()]
  const child = await startChild({
    name: 'gateway',
    command: process.execPath,
    args: [join(ROOT, 'services/gateway/src/main.ts')],
    env: {
      PATH: process.env['PATH'], KAFKA_BROKERS: brokers, LONGTAKE_TOKEN_SECRET: SECRET, LONGTAKE_LOG_LEVEL: 'error',
      LONGTAKE_GATEWAY_PORT: String(port), LONGTAKE_GATEWAY_HEALTH_PORT: String(healthPort), LONGTAKE_GATEWAY_IN_FLIGHT: String(LIMIT),
    },
    output: 'inherit',
  })
  return { child, url: `ws://127.0.0.1:${port}`, healthUrl: `http://127.0.0.1:${healthPort}` }
}

/** Asks again until it holds: a probe has no other way either. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds().catch(() => false))) await delay(200)
}

const isReady = async (healthUrl: string): Promise<boolean> => (await fetch(`${healthUrl}/readyz`)).ok

async function inFlightBytes(healthUrl: string): Promise<number> {
  const metrics = await (await fetch(`${healthUrl}/metrics`)).text()
  return Number(/^longtake_gateway_in_flight_bytes\S* (\d+)/m.exec(metrics)?.[1] ?? Number.NaN)
}

/** Its highest resident memory so far, in bytes. */
const peakMemory = (pid: number): number => Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

test('while Kafka is gone a gateway acks nothing and holds no more than it may; after, everything arrives', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-gateway-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const kafka = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => kafka.stop())
  await ensureTopics({ brokers: [kafka.brokers], clientId: 'test' }, { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 })
  const { child, url, healthUrl } = await startGateway(kafka.brokers)
  t.after(() => child.stop())
  await until(() => isReady(healthUrl))

  const tokens = createTokens({ tokenSecret: new Secret(SECRET) })
  const recorders = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const session = `outage-${randomUUID()}`
      const token = await tokens.sign({ sub: session, scope: 'ingest', exp: Math.ceil(Date.now() / 1000) + 3600 })
      const client = await TestClient.connect({ url, session, token, autoReconnect: true, timeoutMs: 120_000 })
      return { session, client, part: await client.open({ track: 'webcam', mimeType: 'video/webm' }) }
    }),
  )
  const before = peakMemory(child.pid)
  kafka.kill()
  await kafka.child.exited
  const acknowledged = (): number => recorders.reduce((sum, { client, part }) => sum + client.ledger(part).acknowledged.size, 0)
  const sending = recorders.map(({ client, part }) => client.sendAll(part, Array.from({ length: CHUNKS_EACH }, () => CHUNK), 1))

  await until(async () => !(await isReady(healthUrl)))
  const held = await inFlightBytes(healthUrl)
  const grown = peakMemory(child.pid) - before
  t.diagnostic(`${CLIENTS} clients: ${(held / MIB).toFixed(1)} of ${LIMIT / MIB} MiB in flight, resident memory grew by ${(grown / MIB).toFixed(0)} MiB`)
  assert.equal(acknowledged(), 0)
  assert.ok(held > LIMIT / 2 && held <= LIMIT, `${held} bytes in flight`)
  assert.ok(grown < 80 * MIB, `${grown} bytes more than without an outage`)
  assert.ok(recorders.some(({ client }) => client.windowBytes < CHUNK.length), 'windows are narrowed')

  await kafka.restart()
  await Promise.all(sending)
  await Promise.all(recorders.map(({ client }) => client.allAcknowledged()))
  await until(() => isReady(healthUrl))
  const stored = await storedChunks(kafka.brokers)
  for (const { session, client } of recorders) {
    assert.deepEqual(client.violations, [])
    assert.equal(stored.get(session)?.size, CHUNKS_EACH, session)
    await client.disconnect()
  }
})

/** The seqs in Kafka of each session. */
async function storedChunks(brokers: string): Promise<Map<string, Set<string>>> {
  const stored = new Map<string, Set<string>>()
  for (let partition = 0; partition < DEFAULT_PARTITIONS; partition += 1) {
    await readPartitionToEnd({
      kafka: { brokers: [brokers], clientId: 'test' },
      topic: TOPICS.chunks.name,
      partition,
      onRecord: ({ key, headers }) => {
        assert.equal(partitionOf(key, DEFAULT_PARTITIONS), partition)
        const seqs = stored.get(key) ?? new Set()
        stored.set(key, seqs)
        if (headers['kind'] === 'chunk' && headers['seq'] !== undefined) seqs.add(headers['seq'])
      },
    })
  }
  return stored
}
