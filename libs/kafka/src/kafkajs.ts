import net from 'node:net'
import tls from 'node:tls'
import type { KafkaConfig as KafkajsConfig } from 'kafkajs'
import { requireKafkajs } from './kafkajs-patches.ts'
import { REQUESTS, type ProtocolRequest } from './protocol.ts'

/** The parts of kafkajs that Longtake builds on: protocol, connections, authentication. Its version is pinned for this. */
const BrokerClass = requireKafkajs('kafkajs/src/broker') as new (options: object) => Broker
const ConnectionPoolClass = requireKafkajs('kafkajs/src/network/connectionPool') as new (options: object) => ConnectionPool
const { createLogger } = requireKafkajs('kafkajs/src/loggers') as { createLogger: (options: object) => unknown }
const { requests } = requireKafkajs('kafkajs/src/protocol/requests') as { requests: Record<ApiName, unknown> }
const definitions: Record<ApiName, unknown> = { ...requests, ...REQUESTS }
const apiKeys = requireKafkajs('kafkajs/src/protocol/requests/apiKeys') as Record<ApiName, number>
const { Kafka, ConfigResourceTypes } = requireKafkajs('kafkajs') as typeof import('kafkajs')
export { ConfigResourceTypes }
export const { createErrorFromCode } = requireKafkajs('kafkajs/src/protocol/error') as { createErrorFromCode: (code: number) => Error }
export const { MemberMetadata, MemberAssignment } = requireKafkajs('kafkajs/src/consumer/assignerProtocol') as {
  MemberMetadata: { encode(o: { version: number; topics: string[]; userData: Buffer }): Buffer; decode(b: Buffer): { topics: string[]; userData: Buffer } }
  MemberAssignment: {
    encode(o: { version: number; assignment: Record<string, number[]>; userData: Buffer }): Buffer
    decode(b: Buffer): { assignment: Record<string, number[]>; userData: Buffer } | null
  }
}
export const decodeRecordBatch = requireKafkajs('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: unknown) => Promise<{ records: RawRecord[] }>
const Encoder = requireKafkajs('kafkajs/src/protocol/encoder') as new (size: number) => object
export const Decoder = requireKafkajs('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => {
  offset: number
  readInt16(): number
  readInt32(): number
  readInt64(): bigint
  readString(): string
  readBytes(length?: number): Buffer | null
  readArray<T>(read: (decoder: InstanceType<typeof Decoder>) => T): T[]
}

export type ApiName =
  | 'Produce'
  | 'InitProducerId'
  | 'Fetch' | 'ListOffsets' | 'Metadata' | 'GroupCoordinator' | 'JoinGroup' | 'SyncGroup' | 'Heartbeat' | 'LeaveGroup' | 'OffsetCommit' | 'OffsetFetch' | 'OffsetForLeaderEpoch' | 'DeleteRecords'

export interface RawRecord {
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | Buffer[] | null>
  isControlRecord: boolean
}

interface Connection {
  isConnected(): boolean
  connect(): Promise<unknown>
  socket?: net.Socket
}

interface ConnectionPool {
  pool: Connection[]
  isConnected(): boolean
  send(request: ProtocolRequest): Promise<unknown>
}

export interface Broker {
  connectionPool: ConnectionPool
  connect(): Promise<void>
  disconnect(): Promise<void>
  lookupRequest(apiKey: number, definition: unknown): (args: object) => ProtocolRequest
}

export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** How to reach a Kafka cluster. */
export interface KafkaConfig {
  /** `host:port` of one or more brokers, tried in turn. */
  brokers: readonly string[]
  clientId: string
  ssl?: KafkajsConfig['ssl']
  sasl?: KafkajsConfig['sasl']
  /** Any pino logger fits. */
  log?: Log
  /** Default 3,000. */
  connectTimeoutMs?: number
  /** After it a request is given up and its connection dropped. Default 15,000. */
  requestTimeoutMs?: number
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
export const logOf = (config: KafkaConfig): Log => config.log ?? silent

/** One broker with two connections: fetches wait in the second, so that they delay nothing else. */
export function createBroker(config: KafkaConfig, address: { host: string; port: number; nodeId: number | null }): Broker {
  const { host, port, nodeId } = address
  const logger = quietLogger(config)
  const connectionPool = new ConnectionPoolClass({
    host,
    port,
    ssl: config.ssl === true ? {} : config.ssl || null,
    sasl: config.sasl ?? null,
    clientId: config.clientId,
    connectionTimeout: config.connectTimeoutMs ?? 3000,
    requestTimeout: config.requestTimeoutMs ?? 15_000,
    enforceRequestTimeout: true,
    reauthenticationThreshold: 10_000,
    socketFactory,
    logger,
  })
  return new BrokerClass({ connectionPool, logger, nodeId, allowAutoTopicCreation: false })
}

/** Where kafkajs's own way does not do: another decoder for the answer, or the body of the request ready made. */
export interface Instead<T> {
  decode?: (bytes: Buffer) => Promise<T>
  body?: Buffer
}

/** Sends one request and returns the decoded answer with its error codes still in it. */
export async function sendRaw<T>(broker: Broker, api: ApiName, args: object, { decode, body }: Instead<T> = {}): Promise<T> {
  const made = request(broker, api, args)
  if (body !== undefined) made.request.encode = () => Promise.resolve(Object.assign(new Encoder(1), { buf: body, offset: body.length }))
  const response = { decode: decode ?? made.response.decode, parse: (decoded: unknown) => Promise.resolve(decoded) }
  return (await broker.connectionPool.send({ ...made, response })) as T
}

/** Sends one request; an error code in the answer is thrown. */
export async function sendChecked<T>(broker: Broker, api: ApiName, args: object): Promise<T> {
  return (await broker.connectionPool.send(request(broker, api, args))) as T
}

const request = (broker: Broker, api: ApiName, args: object) => broker.lookupRequest(apiKeys[api], definitions[api])(args)

/** kafkajs's public client, for administration. */
export function createKafkajs(config: KafkaConfig): InstanceType<typeof Kafka> {
  return new Kafka({
    brokers: [...config.brokers],
    clientId: config.clientId,
    ...(config.ssl === undefined ? {} : { ssl: config.ssl }),
    ...(config.sasl === undefined ? {} : { sasl: config.sasl }),
    connectionTimeout: config.connectTimeoutMs ?? 3000,
    requestTimeout: config.requestTimeoutMs ?? 15_000,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2000 },
    socketFactory,
    logCreator: () => forward(config),
  })
}

// Nagle's algorithm would hold back the tail of a request until the one before is acknowledged.
function socketFactory({ host, port, ssl, onConnect }: { host: string; port: number; ssl: tls.ConnectionOptions; onConnect: () => void }): net.Socket {
  const socket = ssl
    ? tls.connect({ host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : net.connect({ host, port }, onConnect)
  return socket.setNoDelay(true).setKeepAlive(true, 60_000)
}

// What kafkajs calls an error is dealt with and reported by the caller, so here it is all detail.
const forward = (config: KafkaConfig) => {
  const log = logOf(config)
  return ({ namespace, log: { message, ...fields } }: { namespace: string; log: { message: string } }) => log.debug({ kafkajs: namespace, ...fields }, message)
}
const quietLogger = (config: KafkaConfig) => createLogger({ level: 4, logCreator: () => forward(config) })
