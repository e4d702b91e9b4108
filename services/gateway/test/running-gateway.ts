import { randomUUID } from 'node:crypto'
import { DEFAULT_PARTITIONS, TOPICS, partitionOf, type TopicKey } from '@longtake/contracts'
import { createProducer, ensureTopics, readPartitionToEnd, type KafkaRecord } from '@longtake/kafka'
import { createLogger, createTokens, Health, Secret } from '@longtake/service'
import { TestClient, testKafka, type ClientOptions } from '@longtake/testkit'
import { readConfig } from '../src/config.ts'
import { LIMITS, type Limits } from '../src/limits.ts'
import { start, type RunningGateway } from '../src/service.ts'

const SECRET = 'only-for-tests-only-for-tests-only'
const tokens = createTokens({ tokenSecret: new Secret(SECRET) })

export const gatewayEnv = (): Record<string, string> => ({ KAFKA_BROKERS: testKafka(), LONGTAKE_TOKEN_SECRET: SECRET, LONGTAKE_GATEWAY_PORT: '0', LONGTAKE_LOG_LEVEL: 'fatal' })
export const kafkaOfTests = () => ({ brokers: [testKafka()], clientId: 'gateway-test' })
export const prepareTopics = (): Promise<void> => ensureTopics(kafkaOfTests(), { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 })

/** A session of its own for each test, since all share one Kafka. */
export const newSession = (): string => `gateway-${randomUUID()}`
export const tokenFor = (session: string, { scope = 'ingest' as 'ingest' | 'watch', seconds = 600 } = {}): Promise<string> =>
  tokens.sign({ sub: session, scope, exp: Math.ceil(Date.now() / 1000) + seconds })

export interface TestGateway extends RunningGateway {
  readonly url: string
  readonly health: Health
  /** A client of a new session unless told otherwise. */
  connect(options?: Partial<ClientOptions>): Promise<TestClient>
}

/** A gateway on a free port within this process. */
export async function startGateway({ env = {}, limits = {}, onLog }: { env?: Record<string, string>; limits?: Partial<Limits>; onLog?: (line: string) => void } = {}): Promise<TestGateway> {
  const config = { ...readConfig({ ...gatewayEnv(), ...env }), instance: `gateway-${randomUUID()}` }
  const health = new Health()
  const fail = (error: unknown): never => {
    throw new Error('the gateway cannot go on', { cause: error })
  }
  const logger = createLogger({ service: 'gateway', ...(onLog === undefined ? { level: config.logLevel } : { level: 'debug' as const, destination: { write: onLog } }) })
  const gateway = await start(config, { logger, health, fail, stopping: new AbortController().signal }, { ...LIMITS, ...limits })
  const url = `ws://127.0.0.1:${gateway.port}`
  return {
    port: gateway.port,
    url,
    health,
    async connect(options = {}) {
      const session = options.session ?? newSession()
      return TestClient.connect({ url, session, token: await tokenFor(session), ...options })
    },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}

const PARTITIONS = 12

/** All records of the session in a topic, in their order. */
export async function recordsOf(session: string, topic: TopicKey): Promise<KafkaRecord[]> {
  const records: KafkaRecord[] = []
  await readPartitionToEnd({
    kafka: kafkaOfTests(),
    topic: TOPICS[topic].name,
    partition: partitionOf(session, PARTITIONS),
    onRecord: (record) => void (record.key === session && records.push(record)),
  })
  return records
}

/** Says something on a topic as another service would. */
export async function publish(topic: TopicKey, record: { key: string; value: Uint8Array; headers: Record<string, string> }): Promise<void> {
  await using producer = createProducer({ kafka: kafkaOfTests() })
  const partition = partitionOf(record.key, await producer.partitionCount(TOPICS[topic].name))
  await producer.send({ topic: TOPICS[topic].name, partition, ...record })
}
