import { requireKafkajs } from './kafkajs-patches.ts'

/**
 * Requests in versions that kafkajs 2.2.4 lacks: those that carry leader epochs (KIP-320) and topic ids (KIP-516). The answers have
 * kafkajs's field names, so that they take the place of its own. Brokers support them from Kafka 2.8 on.
 */
export interface RequestDefinition {
  readonly versions: readonly number[]
  protocol(options: { version: number }): (args: never) => ProtocolRequest
}

export interface ProtocolRequest {
  request: { apiKey: number; apiVersion: number; apiName: string; encode: () => Promise<unknown> }
  response: { decode: (bytes: Buffer) => Promise<unknown>; parse: (decoded: unknown) => Promise<unknown> }
}

interface Encoder {
  writeInt8(value: number): Encoder
  writeInt32(value: number): Encoder
  writeInt64(value: string | bigint): Encoder
  writeBoolean(value: boolean): Encoder
  writeString(value: string | null): Encoder
  writeBuffer(value: Buffer): Encoder
  writeArray(values: readonly (Encoder | number)[]): Encoder
  writeUVarInt(value: number): Encoder
  writeUVarIntString(value: string | null): Encoder
  writeUVarIntArray(values: readonly Encoder[]): Encoder
}

interface Decoder {
  readInt16(): number
  readInt32(): number
  readInt64(): bigint
  readBoolean(): boolean
  readString(): string
  readBytes(length: number): Buffer
  readArray<T>(read: (decoder: Decoder) => T): T[]
  readUVarIntString(): string
  readUVarIntArray<T>(read: (decoder: Decoder) => T): T[] | null
  readTaggedFields(): unknown
}

/** In place of a leader epoch that is not known. */
export const NO_EPOCH = -1

const EncoderClass = requireKafkajs('kafkajs/src/protocol/encoder') as new () => Encoder
const DecoderClass = requireKafkajs('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => Decoder
const encoder = (): Encoder => new EncoderClass()
const NO_TAGS = 0
const NO_TOPIC_ID = Buffer.alloc(16)
const CONSUMER = -1

function define<Args>(apiName: string, apiKey: number, version: number, encode: (args: Args) => Encoder, decode: (decoder: Decoder) => unknown): RequestDefinition {
  return {
    versions: [version],
    protocol: ({ version: known }) => {
      if (known < version) throw new Error(`Kafka is too old: it supports ${apiName} up to version ${known}, version ${version} is required (Kafka 2.8)`)
      return (args: Args) => ({
        request: { apiKey, apiVersion: version, apiName, encode: () => Promise.resolve(encode(args)) },
        response: { decode: (bytes) => Promise.resolve(decode(new DecoderClass(bytes))), parse: (decoded) => Promise.resolve(decoded) },
      })
    },
  }
}

interface ByTopic<P> {
  topic: string
  partitions: readonly P[]
}
const eachTopic = <P>(topics: readonly ByTopic<P>[], encode: (partition: P) => Encoder | number) =>
  topics.map(({ topic, partitions }) => encoder().writeString(topic).writeArray(partitions.map(encode)))
const readTopics = (decoder: Decoder, read: (decoder: Decoder) => object) => decoder.readArray((d) => ({ topic: d.readString(), partitions: d.readArray(read) }))

/** Version 10 is a flexible one: its header and structures end in tagged fields, its arrays and strings are compact (KIP-482). */
const metadata = define<{ topics: readonly string[]; allowAutoTopicCreation: boolean }>(
  'Metadata',
  3,
  10,
  ({ topics, allowAutoTopicCreation }) =>
    encoder()
      .writeUVarInt(NO_TAGS) // of the request's header
      .writeUVarIntArray(topics.map((topic) => encoder().writeBuffer(NO_TOPIC_ID).writeUVarIntString(topic).writeUVarInt(NO_TAGS)))
      .writeBoolean(allowAutoTopicCreation)
      .writeBoolean(false) // the operations that this client is allowed, for the cluster and its topics
      .writeBoolean(false)
      .writeUVarInt(NO_TAGS),
  (decoder) => {
    const compact = <T>(d: Decoder, read: (of: Decoder) => T): T[] => d.readUVarIntArray((of) => withTags(of, read)) ?? []
    const nodes = (d: Decoder) => d.readUVarIntArray((of) => of.readInt32())
    decoder.readTaggedFields()
    decoder.readInt32() // throttle time
    const brokers = compact(decoder, (d) => ({ nodeId: d.readInt32(), host: d.readUVarIntString(), port: d.readInt32(), rack: d.readUVarIntString() }))
    const [clusterId, controllerId] = [decoder.readUVarIntString(), decoder.readInt32()]
    const topicMetadata = compact(decoder, (d) => {
      const topic = { topicErrorCode: d.readInt16(), topic: d.readUVarIntString(), topicId: d.readBytes(16).toString('hex'), isInternal: d.readBoolean() }
      const partitionMetadata = compact(d, (p) => ({
        partitionErrorCode: p.readInt16(),
        partitionId: p.readInt32(),
        leader: p.readInt32(),
        leaderEpoch: p.readInt32(),
        replicas: nodes(p),
        isr: nodes(p),
        offlineReplicas: nodes(p),
      }))
      d.readInt32() // allowed operations
      return { ...topic, partitionMetadata }
    })
    return { brokers, clusterId, controllerId, topicMetadata }
  },
)

function withTags<T>(decoder: Decoder, read: (decoder: Decoder) => T): T {
  const value = read(decoder)
  decoder.readTaggedFields()
  return value
}

const listOffsets = define<{ isolationLevel: number; topics: readonly ByTopic<{ partition: number; currentLeaderEpoch?: number; timestamp: string }>[] }>(
  'ListOffsets',
  2,
  5,
  ({ isolationLevel, topics }) =>
    encoder()
      .writeInt32(CONSUMER)
      .writeInt8(isolationLevel)
      .writeArray(eachTopic(topics, ({ partition, currentLeaderEpoch = NO_EPOCH, timestamp }) => encoder().writeInt32(partition).writeInt32(currentLeaderEpoch).writeInt64(timestamp))),
  (decoder) => {
    decoder.readInt32()
    const responses = readTopics(decoder, (d) => ({ partition: d.readInt32(), errorCode: d.readInt16(), timestamp: String(d.readInt64()), offset: String(d.readInt64()), leaderEpoch: d.readInt32() }))
    return { responses }
  },
)

const offsetForLeaderEpoch = define<{ topics: readonly ByTopic<{ partition: number; currentLeaderEpoch: number; leaderEpoch: number }>[] }>(
  'OffsetForLeaderEpoch',
  23,
  3,
  ({ topics }) =>
    encoder()
      .writeInt32(CONSUMER)
      .writeArray(eachTopic(topics, ({ partition, currentLeaderEpoch, leaderEpoch }) => encoder().writeInt32(partition).writeInt32(currentLeaderEpoch).writeInt32(leaderEpoch))),
  (decoder) => {
    decoder.readInt32()
    return { topics: readTopics(decoder, (d) => ({ errorCode: d.readInt16(), partition: d.readInt32(), leaderEpoch: d.readInt32(), endOffset: d.readInt64() })) }
  },
)

const offsetCommit = define<{ groupId: string; groupGenerationId: number; memberId: string; topics: readonly ByTopic<{ partition: number; offset: string; leaderEpoch?: number; metadata?: string | undefined }>[] }>(
  'OffsetCommit',
  8,
  6,
  ({ groupId, groupGenerationId, memberId, topics }) =>
    encoder()
      .writeString(groupId)
      .writeInt32(groupGenerationId)
      .writeString(memberId)
      .writeArray(eachTopic(topics, ({ partition, offset, leaderEpoch = NO_EPOCH, metadata: kept }) => encoder().writeInt32(partition).writeInt64(offset).writeInt32(leaderEpoch).writeString(kept ?? null))),
  (decoder) => {
    decoder.readInt32()
    return { responses: readTopics(decoder, (d) => ({ partition: d.readInt32(), errorCode: d.readInt16() })) }
  },
)

const offsetFetch = define<{ groupId: string; topics: readonly ByTopic<{ partition: number }>[] }>(
  'OffsetFetch',
  9,
  5,
  ({ groupId, topics }) => encoder().writeString(groupId).writeArray(eachTopic(topics, ({ partition }) => encoder().writeInt32(partition))),
  (decoder) => {
    decoder.readInt32()
    const responses = readTopics(decoder, (d) => ({ partition: d.readInt32(), offset: String(d.readInt64()), leaderEpoch: d.readInt32(), metadata: d.readString(), errorCode: d.readInt16() }))
    return { responses, errorCode: decoder.readInt16() }
  },
)

export const REQUESTS = { Metadata: metadata, ListOffsets: listOffsets, OffsetForLeaderEpoch: offsetForLeaderEpoch, OffsetCommit: offsetCommit, OffsetFetch: offsetFetch } as const
