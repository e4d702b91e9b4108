import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BlobStore, openBlobStore } from '@longtake/blob'
import { DEFAULT_PARTITIONS, decodeEvent, encodeStatus, isRecordFault, partitionOf, type RecordingEvent, type SessionState, TOPICS } from '@longtake/contracts'
import { createProducer, ensureTopics, readTable } from '@longtake/kafka'
import { createLogger, Health } from '@longtake/service'
import { Conditions, findFfmpeg, testAzurite, testKafka } from '@longtake/testkit'
import { readConfig } from '../src/config.ts'
import { start } from '../src/service.ts'
import { finalizedState, probe, recordingFile, store } from './support.ts'

const PARTITIONS = 2

/** Topics and a container of its own, and eyes on the events. */
async function setUp() {
  const id = randomUUID().slice(0, 8)
  const kafka = { brokers: [testKafka()], clientId: 'remuxer-test' }
  const names = { status: `status-${id}`, events: `events-${id}`, group: `remuxer-${id}` }
  await ensureTopics(kafka, { partitions: PARTITIONS, replicationFactor: 1 }, [{ ...TOPICS.status, name: names.status }, { ...TOPICS.events, name: names.events }])
  await ensureTopics(kafka, { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 }, [TOPICS.parked])
  const tempDir = mkdtempSync(join(tmpdir(), 'remuxer-test-'))
  const config = readConfig({
    KAFKA_BROKERS: testKafka(), AZURE_STORAGE_CONNECTION_STRING: testAzurite(), LONGTAKE_AZURE_CONTAINER: `remuxer-${id}`, LONGTAKE_REMUXER_TEMP_DIR: tempDir, FFMPEG_PATH: findFfmpeg(),
  })
  const blobs: BlobStore = await openBlobStore(config)
  await blobs.ensureContainer()
  const producer = createProducer({ kafka })
  const events: RecordingEvent[] = []
  const seen = new Conditions()
  const reader = readTable({
    kafka,
    topic: names.events,
    onRecord: (record) => {
      const event = decodeEvent({ ...record, headers: { ...record.headers } })
      if (!isRecordFault(event)) events.push(event)
      seen.changed()
    },
    onFatal: (error) => {
      throw error
    },
  })
  return {
    blobs,
    events,
    names,
    tempDir,
    startService: (group = names.group) => {
      const fail = (error: unknown): void => {
        throw error
      }
      return start(config, { logger: createLogger({ service: 'remuxer', level: 'silent' }), health: new Health(), stopping: new AbortController().signal, fail }, { ...names, group })
    },
    publish: (state: SessionState) => producer.send({ topic: names.status, partition: partitionOf(state.session, PARTITIONS), ...encodeStatus(state) }),
    until: (count: number) => seen.until(`${count} events`, () => events.length >= count, 60_000, () => JSON.stringify(events)),
    async [Symbol.asyncDispose]() {
      await reader.close()
      await producer.close()
      rmSync(tempDir, { recursive: true, force: true })
    },
  }
}

test('finalized sessions get their renditions in storage and an event each; a broken one does not hold up the others', async () => {
  await using system = await setUp()
  const screen = [{ ...recordingFile('chrome-screen-vp9', ['V_VP9']), track: 'screen' }]
  const phone = [{ ...recordingFile('chrome-mp4', []), track: 'phone' }]
  const broken = [{ track: 'phone', bytes: Buffer.from('broken'), mimeType: 'video/mp4', codecs: [] }]
  const states = [finalizedState(broken, { session: 'a' }), finalizedState(screen, { session: 'b' }), finalizedState(phone, { session: 'c' })]
  for (const [index, files] of [broken, screen, phone].entries()) await store(system.blobs, states[index]!, files)
  {
    await using _service = await system.startService()
    await system.publish({ ...states[1]!, finalizedVersion: 0, manifest: null })
    for (const state of states) await system.publish(state)
    await system.until(8)
  }
  const told = system.events.map((event) => `${event.session} ${event.type} ${'kind' in event ? event.kind : event.type === 'file-decoded' ? event.undecodable.length : ''}`).sort()
  assert.deepEqual(told, ['a file-decoded 1', 'a rendition-failed mp4', 'a rendition-failed poster', 'b file-decoded 0', 'b rendition-ready poster', 'c file-decoded 0', 'c rendition-ready mp4', 'c rendition-ready poster'])
  for (const event of system.events) {
    if (event.type !== 'rendition-ready') continue
    const read = await system.blobs.readAll(event.blob)
    assert.equal(read?.bytes.length, event.bytes)
    assert.equal(read?.properties.contentType, event.mimeType)
    assert.ok(probe(read.bytes).streams.length > 0)
  }
  assert.deepEqual(readdirSync(system.tempDir), [])

  // A group that begins anew tells the same again, without changing what is stored.
  const before = await system.blobs.properties('c/renditions/1/phone/0.mp4')
  await using _again = await system.startService(`${system.names.group}-again`)
  await system.until(16)
  assert.deepEqual(await system.blobs.properties('c/renditions/1/phone/0.mp4'), before)
  assert.equal(new Set(system.events.map((event) => JSON.stringify({ ...event, at: '' }))).size, 8)
})
