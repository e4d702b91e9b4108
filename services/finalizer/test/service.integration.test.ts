import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { openBlobStore } from '@longtake/blob'
import { DEFAULT_PARTITIONS, BLOBS, decodeEvent, encodeStatus, isRecordFault, ManifestShape, partitionOf, type RecordingEvent, type SessionState, TOPICS, type TopicSpec } from '@longtake/contracts'
import { createProducer, ensureTopics, PARKED_HEADERS, readTable } from '@longtake/kafka'
import { createLogger, Health } from '@longtake/service'
import { Conditions, testAzurite, testKafka } from '@longtake/testkit'
import { readConfig } from '../src/config.ts'
import { start, type Wiring } from '../src/service.ts'
import { mediaFile } from './media-file.ts'
import { Recording } from './recording.ts'

const PARTITIONS = 3

/** Topics and a container of its own on the shared Kafka and Azurite. */
async function setUp() {
  const id = randomUUID().slice(0, 8)
  const wiring: Wiring = { topics: { events: `events-${id}`, status: `status-${id}` }, group: `finalizer-${id}`, pauses: { firstMs: 10, maxMs: 100 } }
  const kafka = { brokers: [testKafka()], clientId: 'finalizer-test' }
  const specs: TopicSpec[] = [{ ...TOPICS.events, name: wiring.topics.events }, { ...TOPICS.status, name: wiring.topics.status }]
  await ensureTopics(kafka, { partitions: PARTITIONS, replicationFactor: 1 }, specs)
  await ensureTopics(kafka, { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 }, [TOPICS.parked])
  const config = readConfig({ KAFKA_BROKERS: testKafka(), AZURE_STORAGE_CONNECTION_STRING: testAzurite(), LONGTAKE_AZURE_CONTAINER: `finalizer-${id}` })
  const store = await openBlobStore(config)
  await store.ensureContainer()
  const producer = createProducer({ kafka })
  const events: RecordingEvent[] = []
  const parked: string[] = []
  const seen = new Conditions()
  const failures: unknown[] = []
  const onFatal = (error: unknown): void => void failures.push(error)
  const readers = [
    readTable({
      kafka,
      topic: wiring.topics.events,
      onFatal,
      onRecord(record) {
        const event = decodeEvent({ ...record, headers: { ...record.headers } })
        if (isRecordFault(event)) throw new Error(event.details)
        events.push(event)
        seen.changed()
      },
    }),
    readTable({
      kafka,
      topic: TOPICS.parked.name,
      onFatal,
      onRecord(record) {
        if (record.headers[PARKED_HEADERS.group] !== wiring.group) return
        parked.push(record.headers[PARKED_HEADERS.reason] ?? '')
        seen.changed()
      },
    }),
  ]
  return {
    store,
    events,
    parked,
    startService: (group = wiring.group) =>
      start(config, { logger: createLogger({ service: 'finalizer', level: 'silent' }), health: new Health(), stopping: new AbortController().signal, fail: onFatal }, { ...wiring, group }),
    tell: (state: SessionState) => producer.send({ topic: wiring.topics.status, partition: partitionOf(state.session, PARTITIONS), ...encodeStatus(state) }),
    until: (what: string, holds: () => boolean) => seen.until(what, holds, 60_000, () => JSON.stringify({ events, parked })),
    async [Symbol.asyncDispose]() {
      await Promise.all(readers.map((reader) => reader.close()))
      await producer.close()
      if (failures.length > 0) throw failures[0]
    },
  }
}

test('versions are sealed in Azure, one after the other, and told', async () => {
  await using system = await setUp()
  const { store, events } = system
  await using _service = await system.startService()
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await recording.commitWhole('screen', 2)
  await system.tell(recording.finish('webcam', 'screen'))
  await system.until('version 1', () => events.length === 1)
  await recording.commitWhole('webcam', 9)
  await system.tell(recording.state)
  await system.until('version 2', () => events.length === 2)
  assert.deepEqual(events.map((event) => event.type === 'session-finalized' && [event.version, event.manifest]), [[1, 's1/manifests/1.json'], [2, 's1/manifests/2.json']])

  const [first, second] = await Promise.all([1, 2].map(async (version) => ManifestShape.parse(JSON.parse((await store.readAll(BLOBS.manifest('s1', version)))!.bytes.toString()))))
  for (const manifest of [first!, second!]) {
    for (const file of Object.values(manifest.tracks).flatMap(({ files }) => files)) {
      const sealed = await store.readAll(file.blob, { snapshot: file.snapshot })
      assert.equal(sealed!.bytes.length, file.bytes)
      assert.equal(sealed!.properties.metadata.commitid, file.commit.id)
    }
  }
  assert.notEqual(first!.tracks.webcam!.files[0]!.snapshot, second!.tracks.webcam!.files[0]!.snapshot)
  assert.equal(first!.tracks.screen!.files[0]!.snapshot, second!.tracks.screen!.files[0]!.snapshot, 'what did not change keeps its seal')
  assert.deepEqual(system.parked, [])
})

test('two at once, and one that reads everything again, come to one manifest', async () => {
  await using system = await setUp()
  const recording = new Recording(system.store, 's1')
  await recording.commitWhole('webcam', 5)
  await system.tell(recording.finish('webcam'))
  const services = await Promise.all(['a', 'b'].map((group) => system.startService(group)))
  await system.until('both to tell', () => system.events.length === 2)
  await Promise.all(services.map((service) => service[Symbol.asyncDispose]()))
  await using _again = await system.startService('c')
  await system.until('the third to tell', () => system.events.length === 3)
  assert.equal(new Set(system.events.map((event) => event.type === 'session-finalized' && event.manifest)).size, 1)
  const manifest = ManifestShape.parse(JSON.parse((await system.store.readAll('s1/manifests/1.json'))!.bytes.toString()))
  const [file] = manifest.tracks.webcam!.files
  assert.equal((await system.store.properties(file!.blob, { snapshot: file!.snapshot }))!.bytes, file!.bytes)
})

test('files that are not what their status says are reported, by block list and by content, and other sessions go on', async () => {
  await using system = await setUp()
  await using _service = await system.startService()
  const changed = new Recording(system.store, 'changed')
  await changed.commitWhole('webcam', 5)
  const state = changed.finish('webcam')
  await system.tell({ ...state, tracks: { webcam: { files: [{ ...state.tracks.webcam!.files[0]!, blocks: { count: 1, sha256: '00'.repeat(32) } }] } } })
  const [short, whole] = [mediaFile({ keeps: ({ timeMs }) => timeMs < 9_000 }), mediaFile()]
  const recordings = [['short', short], ['whole', whole]] as const
  for (const [session, { blocks, durationMs, stated }] of recordings) {
    const recording = new Recording(system.store, session)
    await recording.commitFile('webcam', blocks, durationMs, stated)
    await system.tell(recording.finish('webcam'))
  }
  await system.until('a report of each', () => system.events.length === 3)
  const reports = new Map<string, string[]>(system.events.map((event) => [event.session, event.type === 'file-verified' ? event.faults.map(({ cause }) => cause) : [event.type]]))
  assert.deepEqual(reports.get('changed'), ['file-changed'])
  assert.ok(reports.get('short')!.includes('wrong-span'))
  assert.deepEqual(reports.get('whole'), ['session-finalized'])
  assert.deepEqual([system.parked, await system.store.readAll('short/manifests/1.json')], [[], null])
})

test('a file of which nothing is playable has an empty blob, which is verified and not sealed', async () => {
  await using system = await setUp()
  await using _service = await system.startService()
  const recording = new Recording(system.store, 's1')
  await recording.commitNothing('webcam')
  await system.tell(recording.finish('webcam'))
  await system.until('version 1', () => system.events.length === 1)
  const manifest = ManifestShape.parse(JSON.parse((await system.store.readAll('s1/manifests/1.json'))!.bytes.toString()))
  assert.deepEqual([manifest.status, manifest.tracks.webcam!.files, manifest.tracks.webcam!.parts.length], ['complete', [], 1])
})
