import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { openBlobStore, type BlobStore } from '@longtake/blob'
import { BLOBS, TOPICS, type CreateSessionResponse, type Graces, type Manifest, type PublicSession } from '@longtake/contracts'
import { loadRecording, startHttpFaultProxy, type HttpFaultProxy, type TestClient } from '@longtake/testkit'
import { startAzurite } from '../local/azurite.ts'
import type { System } from '../local/system.ts'
import { call, connect, createSession, disposableSystem, finalized, judge, RECORDING_SERVICES, untilStatus } from './sessions.ts'

/** Each part has content of its own, so that the checker can tell them apart. */
const recordings = (['chrome-webcam-vp9-keyframe-2s', 'chrome-webcam-vp9-opus', 'chrome-webcam-paused', 'chrome-requestdata-one-byte-chunks'] as const).map((name) => loadRecording(name).chunks)
const [chunks, second, third, fourth] = recordings as [Uint8Array[], Uint8Array[], Uint8Array[], Uint8Array[]]
const LENGTH = chunks.length
const mimeType = 'video/webm;codecs=vp9,opus'
const HEADER_BYTES = 16 * 1024
const START = Date.parse('2026-03-01T10:00:00.000Z')
const SOON: Graces = { interruptedAfterMs: 1000, abandonedAfterMs: 4000 }

const bytesOf = (from: number, to: number, of = chunks): number => of.slice(from, to + 1).reduce((sum, { length }) => sum + length, 0)
const openPart = (client: TestClient, seconds: number): Promise<string> => client.open({ track: 'webcam', mimeType, startedAt: new Date(START + seconds * 1000).toISOString() })

async function sendWhole(client: TestClient, seconds: number, of: readonly Uint8Array[]): Promise<void> {
  const part = await openPart(client, seconds)
  await client.sendAll(part, of)
  await client.close(part)
}

interface Late {
  graces?: Graces
  /** Records what is there in time; the session is published without the rest. */
  first(client: TestClient, end: () => Promise<unknown>): Promise<void>
  publishedAs: PublicSession['status']
  /** Brings the rest, after all that Kafka had is gone. */
  later(client: TestClient): Promise<void>
  /** Media that may be uploaded for it: what is late and the blocks beside it. Of all: what the file holds. */
  uploads: number
}

/** By what is missing at first. */
const cases: Record<string, Late> = {
  'chunks in the middle of the middle one of three parts': {
    async first(client, end) {
      await sendWhole(client, 0, second)
      const part = await openPart(client, 30)
      await client.sendAll(part, chunks.slice(0, 5))
      await client.sendAll(part, chunks.slice(8), 8)
      await client.allAcknowledged()
      await client.close(part, { chunks: LENGTH })
      await sendWhole(client, 60, third)
      await client.allAcknowledged()
      await client.crash()
      await end()
    },
    publishedAs: 'complete-with-gaps',
    async later(client) {
      await client.sendAll(client.parts[1]!.part, chunks.slice(5, 8), 5)
    },
    uploads: bytesOf(3, 10),
  },
  'chunk 0': {
    graces: SOON,
    async first(client) {
      const part = await openPart(client, 0)
      await client.sendAll(part, chunks.slice(1), 1)
      await client.allAcknowledged()
      await client.crash()
    },
    publishedAs: 'abandoned',
    async later(client) {
      const { part } = client.parts[0]!
      await client.sendAll(part, chunks.slice(0, 1))
      await client.close(part)
    },
    uploads: bytesOf(0, LENGTH - 1),
  },
  'the tail': {
    graces: SOON,
    async first(client) {
      const part = await openPart(client, 0)
      await client.sendAll(part, chunks.slice(0, 10))
      await client.allAcknowledged()
      await client.crash()
    },
    publishedAs: 'abandoned',
    async later(client) {
      const { part } = client.parts[0]!
      await client.sendAll(part, chunks.slice(10), 10)
      await client.close(part)
    },
    uploads: bytesOf(8, LENGTH - 1),
  },
  'whole parts between others and behind them': {
    async first(client) {
      await sendWhole(client, 0, chunks)
      await sendWhole(client, 60, second)
      await client.finish()
      await client.crash()
    },
    publishedAs: 'complete',
    async later(client) {
      // Both are known before either is whole, so that there is one next version.
      const [between, behind] = [await openPart(client, 30), await openPart(client, 90)]
      await client.sendAll(between, third)
      await client.sendAll(behind, fourth)
      await client.close(between)
      await client.close(behind)
    },
    uploads: bytesOf(0, Infinity, third) + bytesOf(0, Infinity, fourth) + bytesOf(-2, Infinity, second),
  },
}

interface Published {
  late: Late
  session: CreateSessionResponse
  client: TestClient
  manifest: Buffer
  /** What the manifest's seals hold, by their ids. */
  sealed: Map<string, Buffer>
}

async function publish(system: System, store: BlobStore, late: Late): Promise<Published> {
  const session = await createSession(system, late.graces)
  const client = await connect(system, session, { answerResends: 'none' })
  await late.first(client, () => call(system, `/v1/sessions/${session.id}/finish`, { method: 'POST' }))
  const status = await untilStatus(system, session.id, finalized)
  assert.deepEqual([status.status, status.version], [late.publishedAs, 1])
  const manifest = (await store.readAll(BLOBS.manifest(session.id, 1)))!.bytes
  return { late, session, client, manifest, sealed: await readSeals(store, manifest) }
}

async function readSeals(store: BlobStore, manifest: Buffer): Promise<Map<string, Buffer>> {
  const { tracks } = JSON.parse(manifest.toString()) as Manifest
  const files = Object.values(tracks).flatMap((track) => track.files)
  return new Map(await Promise.all(files.map(async ({ blob, snapshot }) => [snapshot, (await store.readAll(blob, { snapshot }))!.bytes] as const)))
}

async function comeBack(system: System, store: BlobStore, proxy: HttpFaultProxy, { late, session, client, manifest, sealed }: Published): Promise<void> {
  const before = proxy.requests.length
  await client.reconnect()
  await late.later(client)
  await client.allAcknowledged()
  await client.finish()
  const status = await untilStatus(system, session.id, (status) => finalized(status) && status.version > 1)
  const { findings } = await judge(system, session, [client])
  assert.deepEqual([status.status, status.version, findings], ['complete', 2, []])

  const next = JSON.parse((await store.readAll(BLOBS.manifest(session.id, 2)))!.bytes.toString()) as Manifest
  assert.deepEqual([next.version, next.status], [2, 'complete'])
  assert.ok((await store.readAll(BLOBS.manifest(session.id, 1)))!.bytes.equals(manifest), 'the first manifest is as it was')
  for (const [snapshot, bytes] of await readSeals(store, manifest)) assert.ok(sealed.get(snapshot)!.equals(bytes), 'what it sealed can still be read')

  const writes = proxy.requests.slice(before).filter(({ method, path }) => method === 'PUT' && path.includes(`/${session.id}/webcam/0?`))
  const staged = writes.filter(({ path }) => path.includes('comp=block&')).reduce((sum, { headers }) => sum + Number(headers['content-length']), 0)
  const commits = writes.filter(({ path }) => path.includes('comp=blocklist')).length
  assert.ok(commits > 0 && staged <= late.uploads + commits * HEADER_BYTES, `${staged} bytes in ${commits} commits, for ${late.uploads} of media`)
  await client.disconnect()
}

/** Nothing that anybody has said or sent is left in Kafka. */
async function emptyChunks(brokers: string): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const topic = TOPICS.chunks.name
    const ends = await admin.fetchTopicOffsets(topic)
    const partitions = ends.filter(({ low, high }) => low !== high).map(({ partition, high }) => ({ partition, offset: high }))
    assert.ok(partitions.length > 0)
    await admin.deleteTopicRecords({ topic, partitions })
    for (const { low, high } of await admin.fetchTopicOffsets(topic)) assert.equal(low, high)
  } finally {
    await admin.disconnect()
  }
}

test('what comes late is merged at its place without Kafka’s old records, and published as the next version', async (t) => {
  await using folder = await temporaryFolder()
  const azurite = await startAzurite({ dataDir: join(folder.path, 'azurite') })
  await using _azurite = { [Symbol.asyncDispose]: () => azurite.stop() }
  const { origin } = new URL(azurite.url)
  await using proxy = await startHttpFaultProxy(origin)
  await using system = await disposableSystem({
    services: RECORDING_SERVICES,
    storage: { connectionString: azurite.connectionString.replace(origin, proxy.origin) },
    env: { LONGTAKE_BLOCK_BYTES: String(64 * 1024), LONGTAKE_HEADER_BYTES: String(HEADER_BYTES), LONGTAKE_TRACK_IDLE: '1s' },
  })
  const store = await openBlobStore({ azureConnectionString: { reveal: () => azurite.connectionString }, azureAccountUrl: undefined, azureContainer: system.container })

  const published = await Promise.all(Object.entries(cases).map(async ([name, late]) => ({ name, ...(await publish(system, store, late)) })))
  await system.processes.stop('block-writer')
  await emptyChunks(system.brokers)
  await system.processes.start('block-writer')
  await Promise.all(published.map((one) => t.test(one.name, () => comeBack(system, store, proxy, one))))
})

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'longtake-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
