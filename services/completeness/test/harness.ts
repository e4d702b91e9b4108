import { randomUUID } from 'node:crypto'
import { DEFAULT_PARTITIONS, decodeClientRequest, decodeEvent, decodeStatus, encodeEvent, isRecordFault, partitionOf, TOPICS, type ClientRequest, type RecordingEvent, type SessionState, type TopicSpec } from '@longtake/contracts'
import { createProducer, ensureTopics, type KafkaConfig, type KafkaRecord, PARKED_HEADERS, readTable } from '@longtake/kafka'
import { createLogger, Health } from '@longtake/service'
import { Conditions, testKafka } from '@longtake/testkit'
import { readConfig } from '../src/config.ts'
import { start, type Wiring } from '../src/service.ts'

const PARTITIONS = 3
const PATIENCE_MS = 60_000

export const kafkaConfig = (): KafkaConfig => ({ brokers: [testKafka()], clientId: 'completeness-test' })

export function startService(wiring: Wiring): Promise<AsyncDisposable> {
  const deps = {
    logger: createLogger({ service: 'completeness', level: 'silent' }),
    health: new Health(),
    stopping: new AbortController().signal,
    fail: (error: unknown) => {
      throw error
    },
  }
  return start(readConfig({ KAFKA_BROKERS: testKafka() }), deps, wiring)
}

/** Topics of its own on the shared Kafka, a hand to write events with, and eyes on all that comes out. */
export async function setUp() {
  const id = randomUUID().slice(0, 8)
  const topics = { events: `events-${id}`, status: `status-${id}`, resends: `resends-${id}`, chunks: `chunks-${id}` }
  const wiring: Wiring = { topics, group: `completeness-${id}`, writerGroup: `block-writer-${id}`, tickMs: 200 }
  const kafka = kafkaConfig()
  const specs: TopicSpec[] = [{ ...TOPICS.events, name: topics.events }, { ...TOPICS.status, name: topics.status }, { ...TOPICS.resends, name: topics.resends }, { ...TOPICS.chunks, name: topics.chunks }]
  await ensureTopics(kafka, { partitions: PARTITIONS, replicationFactor: 1 }, specs)
  // The one that is shared: what is ours in it names our group.
  await ensureTopics(kafka, { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 }, [TOPICS.parked])
  const producer = createProducer({ kafka })

  const states = new Map<string, SessionState>()
  const events: RecordingEvent[] = []
  const requests: ClientRequest[] = []
  const parked: KafkaRecord[] = []
  let publications = 0
  const seen = new Conditions()
  const failures: unknown[] = []
  const read = (topic: string, onRecord: (record: KafkaRecord) => void) => readTable({ kafka, topic, onRecord: (record) => (onRecord(record), seen.changed()), onFatal: (error) => void failures.push(error) })
  const good = <T extends object>(value: T): Exclude<T, { fault: string }> => {
    if (isRecordFault(value)) throw new Error(value.details)
    return value as Exclude<T, { fault: string }>
  }
  const plain = (record: KafkaRecord) => ({ ...record, headers: { ...record.headers } })
  const readers = [
    read(topics.status, (record) => {
      publications++
      states.set(record.key, good(decodeStatus(plain(record))))
    }),
    read(topics.events, (record) => {
      const event = decodeEvent(plain(record))
      if (!isRecordFault(event)) events.push(event)
    }),
    read(TOPICS.parked.name, (record) => {
      if (record.headers[PARKED_HEADERS.group] === wiring.group) parked.push(record)
    }),
    read(topics.resends, (record) => void requests.push(good(decodeClientRequest(plain(record))))),
  ]

  return {
    wiring,
    topics,
    producer,
    states,
    events,
    requests,
    parked,
    get publications() {
      return publications
    },
    partitionOf: (session: string) => partitionOf(session, PARTITIONS),
    tell: (...told: RecordingEvent[]) =>
      Promise.all(told.map((event) => producer.send({ topic: topics.events, partition: partitionOf(event.session, PARTITIONS), ...encodeEvent(event) }))),
    until: (what: string, holds: () => boolean) => seen.until(what, holds, PATIENCE_MS, () => `states: ${JSON.stringify([...states.values()].map(({ session, status, version, eventsOffset }) => [session, status, version, eventsOffset])).slice(0, 1000)}`),
    async [Symbol.asyncDispose]() {
      await Promise.all(readers.map((reader) => reader.close()))
      await producer.close()
      if (failures.length > 0) throw failures[0]
    },
  }
}
