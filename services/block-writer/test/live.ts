import { createHash, randomUUID } from 'node:crypto'
import { openBlobStore, type BlobStore } from '@longtake/blob'
import { BLOBS, decodeEvent, encodeChunkRecord, encodeDeclaration, isRecordFault, partitionOf, TOPICS, type Declaration, type EventOf, type RecordingEvent } from '@longtake/contracts'
import { createProducer, ensureTopics, readTable, type KafkaConfig, type Producer } from '@longtake/kafka'
import { createLogger, Health, Secret } from '@longtake/service'
import { Conditions, testAzurite, testKafka } from '@longtake/testkit'
import { readConfig, type Config } from '../src/config.ts'
import { start, type Place } from '../src/service.ts'
import type { TestPart } from './harness.ts'

const PARTITIONS = 4

/** Real Kafka and Azurite with topics, a group and a container of its own. */
export class Live implements AsyncDisposable {
  readonly place: Place
  readonly kafka: KafkaConfig
  readonly producer: Producer
  /** Of the records that are sent, in milliseconds since the epoch; default now. */
  timestamp: number | undefined
  readonly store: BlobStore
  readonly container: string
  readonly events: RecordingEvent[] = []
  readonly conditions = new Conditions()
  /** Of the writer that was started last. */
  health = new Health()
  #reader: ReturnType<typeof readTable> | null = null

  private constructor(id: string, store: BlobStore, brokers: string) {
    this.place = { chunks: `test.${id}.chunks`, events: `test.${id}.events`, group: `test.${id}`, sessionTimeoutMs: 3_000 }
    this.kafka = { brokers: [brokers], clientId: `test-${id}` }
    this.producer = createProducer({ kafka: this.kafka })
    this.container = `t${id}`
    this.store = store
  }

  /**
   * @param brokers another Kafka than the one that tests share
   * @param maxSegmentBytes of the topics
   */
  static async begin(brokers = testKafka(), maxSegmentBytes = Infinity): Promise<Live> {
    const id = randomUUID().slice(0, 8)
    const store = await openBlobStore({ azureConnectionString: new Secret(testAzurite()), azureAccountUrl: undefined, azureContainer: `t${id}` })
    const live = new Live(id, store, brokers)
    const specs = [{ ...TOPICS.chunks, name: live.place.chunks }, { ...TOPICS.events, name: live.place.events }]
    await ensureTopics(live.kafka, { partitions: PARTITIONS, replicationFactor: 1, maxSegmentBytes }, specs)
    await store.ensureContainer()
    live.#reader = readTable({
      kafka: live.kafka,
      topic: live.place.events,
      onRecord: (record) => {
        const event = decodeEvent({ ...record, headers: { ...record.headers } })
        if (isRecordFault(event)) throw new Error(`${event.fault}: ${event.details}`)
        live.events.push(event)
        live.conditions.changed()
      },
      onFatal: (error) => {
        throw error
      },
    })
    await live.#reader.caughtUp
    return live
  }

  config(more: NodeJS.ProcessEnv = {}): Config {
    return readConfig(this.env(more))
  }

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      KAFKA_BROKERS: this.kafka.brokers.join(','),
      AZURE_STORAGE_CONNECTION_STRING: testAzurite(),
      LONGTAKE_AZURE_CONTAINER: this.container,
      LONGTAKE_LOG_LEVEL: process.env['LONGTAKE_LOG_LEVEL'] ?? 'error',
      LONGTAKE_BLOCK_WRITER_HEALTH_PORT: '0',
      ...more,
    }
  }

  async writer(more: NodeJS.ProcessEnv = {}): Promise<AsyncDisposable> {
    const config = this.config(more)
    const fail = (error: unknown): void => {
      throw error
    }
    this.health = new Health()
    return start(config, { logger: createLogger({ service: 'block-writer', level: config.logLevel }), health: this.health, fail, stopping: new AbortController().signal }, this.place)
  }

  async send(session: string, record: { key: string; value: Uint8Array; headers: Record<string, string> }): Promise<void> {
    await this.producer.send({ topic: this.place.chunks, partition: partitionOf(session, PARTITIONS), timestamp: this.timestamp, ...record })
  }

  async declare(declaration: Declaration): Promise<void> {
    await this.send(declaration.session, encodeDeclaration(declaration))
  }

  async open(session: string, { track, part, client, mimeType, startedAt }: TestPart): Promise<void> {
    await this.declare({ type: 'part-opened', session, track, part, client, mimeType, startedAt, at: new Date().toISOString() })
  }

  async chunk(session: string, { track, part, client, startedAt }: TestPart, seq: number, payload: Uint8Array, capturedMs = (seq + 1) * 250): Promise<void> {
    const sha256 = createHash('sha256').update(payload).digest('hex')
    await this.send(session, encodeChunkRecord({ session, track, part, client, seq, sha256, capturedAt: Date.parse(startedAt) + capturedMs, payload }))
  }

  async closePart(session: string, { track, part }: TestPart, chunks: number): Promise<void> {
    await this.declare({ type: 'part-closed', session, track, part, chunks, clean: true, at: new Date().toISOString() })
  }

  commits(session: string, track = 'webcam', file = 0): EventOf<'blocks-committed'>[] {
    return this.events.filter((event) => event.type === 'blocks-committed').filter((event) => event.session === session && event.track === track && event.file === file)
  }

  /** Waits until the newest commit of the part has all its chunks and its close. */
  async whole(session: string, part: TestPart, chunks: number): Promise<EventOf<'blocks-committed'>> {
    const found = (): EventOf<'blocks-committed'> | undefined =>
      this.commits(session, part.track).find((event) => event.parts.some((state) => state.part === part.part && state.chunks === chunks && state.closed !== null))
    await this.conditions.until(`${session} to be whole`, () => found() !== undefined, 60_000, () => JSON.stringify(this.commits(session, part.track).at(-1)?.parts.map((state) => [state.stored, state.closed])))
    return found()!
  }

  async file(session: string, track = 'webcam', file = 0): Promise<Uint8Array> {
    const read = await this.store.readAll(BLOBS.file(session, track, file))
    if (read === null) throw new Error(`no file ${file} of ${track} of ${session}`)
    return read.bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader?.close()
    await this.producer.close()
  }
}
