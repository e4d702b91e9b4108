import { backoffMs, pause } from './backoff.ts'
import { isStaleMetadata, type Cluster } from './cluster.ts'
import { KafkaError, protocolError, toKafkaError } from './errors.ts'
import { epochEnds } from './fetch/leader-epoch.ts'
import { createErrorFromCode } from './kafkajs.ts'
import { NO_EPOCH } from './protocol.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Names a partition in maps and messages. */
export const partitionKey = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint
  /** Of the record before it, where it is known. */
  readonly leaderEpoch?: number
  /** What a committed offset carries beside it. */
  readonly metadata?: string
}

const TIMESTAMPS = { earliest: '-2', latest: '-1' } as const

interface ListOffsetsResponse {
  responses: { topic: string; partitions: { partition: number; errorCode: number; offset: string }[] }[]
}

/**
 * The first offset that is still there, or the one behind the last record that all in-sync replicas have. Retries
 * what passes, until `signal` aborts (KAFKA_CLOSED).
 */
export async function listOffsets(cluster: Cluster, wanted: readonly TopicPartition[], which: 'earliest' | 'latest', signal: AbortSignal): Promise<PartitionOffset[]> {
  cluster.want(wanted.map(({ topic }) => topic))
  const found: PartitionOffset[] = []
  let missing = [...wanted]
  for (let failures = 0; missing.length > 0; failures += 1) {
    if (failures > 0) {
      await pause(backoffMs(failures, 50, 1000), signal)
      await cluster.refresh().catch((error: unknown) => cluster.log.debug({ error }, 'no metadata'))
    }
    if (signal.aborted) throw new KafkaError('KAFKA_CLOSED', 'closed while asking for offsets')
    const byLeader = Map.groupBy(missing, ({ topic, partition }) => cluster.leader(topic, partition))
    const answers = await Promise.allSettled([...byLeader].map(([nodeId, led]) => askLeader(cluster, nodeId, led, which)))
    for (const answer of answers) {
      if (answer.status === 'fulfilled') found.push(...answer.value)
      else if (failures % 10 === 3) cluster.log.warn({ error: answer.reason as unknown }, 'asking for offsets failed; asking again')
    }
    missing = missing.filter(({ topic, partition }) => !found.some((known) => known.topic === topic && known.partition === partition))
  }
  return found
}

async function askLeader(cluster: Cluster, nodeId: number | undefined, led: TopicPartition[], which: keyof typeof TIMESTAMPS): Promise<PartitionOffset[]> {
  if (nodeId === undefined) return []
  const topics = [...Map.groupBy(led, ({ topic }) => topic)].map(([topic, partitions]) => ({
    topic,
    partitions: partitions.map(({ partition }) => ({ partition, timestamp: TIMESTAMPS[which], currentLeaderEpoch: cluster.leaderEpoch(topic, partition) ?? NO_EPOCH })),
  }))
  const { responses } = await cluster.raw<ListOffsetsResponse>(nodeId, 'ListOffsets', { isolationLevel: 0, topics })
  const answered = answersOf(responses)
  return led.flatMap(({ topic, partition }) => {
    const answer = answered.get(partitionKey({ topic, partition }))
    return answer?.errorCode === 0 ? [{ topic, partition, offset: BigInt(answer.offset) }] : []
  })
}

/** By topic and partition, to be looked up for what was asked; what was not asked is not looked at, nor what is answered twice. */
function answersOf<A extends { partition: number }>(responses: readonly { topic: string; partitions: readonly A[] }[]): Map<string, A> {
  const groups = Map.groupBy(responses.flatMap(({ topic, partitions }) => partitions.map((answer) => ({ key: partitionKey({ topic, partition: answer.partition }), answer }))), ({ key }) => key)
  return new Map([...groups].flatMap(([key, [one, ...more]]) => (one === undefined || more.length > 0 ? [] : [[key, one.answer] as const])))
}

interface OffsetFetchResponse {
  errorCode: number
  responses: { topic: string; partitions: { partition: number; errorCode: number; offset: string; leaderEpoch?: number; metadata?: string | null }[] }[]
}

/**
 * What a group has committed; partitions without a commit are left out. Throws what the coordinator says, and
 * KAFKA_UNEXPECTED_ANSWER when a partition is missing in its answer: it must not look like one that was never committed.
 */
export async function committedOffsets(cluster: Cluster, coordinator: number, groupId: string, wanted: readonly TopicPartition[]): Promise<PartitionOffset[]> {
  const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([topic, partitions]) => ({
    topic,
    partitions: partitions.map(({ partition }) => ({ partition })),
  }))
  const { errorCode, responses } = await cluster.raw<OffsetFetchResponse>(coordinator, 'OffsetFetch', { groupId, topics })
  if (errorCode !== 0) throw createErrorFromCode(errorCode)
  const answered = answersOf(responses)
  return wanted.flatMap(({ topic, partition }) => {
    const answer = answered.get(partitionKey({ topic, partition }))
    if (answer === undefined) throw new KafkaError('KAFKA_UNEXPECTED_ANSWER', `the coordinator of ${groupId} returned no single committed offset for ${topic}/${partition}`)
    // Nor must one whose offset could not be read.
    if (answer.errorCode !== 0) throw createErrorFromCode(answer.errorCode)
    if (answer.offset === '-1') return []
    return [{ topic, partition, offset: BigInt(answer.offset), leaderEpoch: answer.leaderEpoch ?? NO_EPOCH, ...(answer.metadata ? { metadata: answer.metadata } : {}) }]
  })
}

interface DeleteRecordsResponse {
  topics: { topic: string; partitions: { partition: number; errorCode: number }[] }[]
}

/** Where a log may be deleted up to, as long as its leader is still that of an epoch. */
export interface FencedOffset extends PartitionOffset {
  readonly soundEpoch: number
}

/** The leader answers when all in-sync replicas have moved their start, or after this. */
const DELETE_TIMEOUT_MS = 5000

/**
 * Deletes the records before each offset, where the leader confirms its epoch. One try for each leader; rejects never, but
 * reports what has failed.
 */
export async function deleteRecords(
  cluster: Cluster,
  wanted: readonly FencedOffset[],
): Promise<{ deleted: PartitionOffset[]; failed: (PartitionOffset & { error: unknown })[] }> {
  const deleted: PartitionOffset[] = []
  const failed: (PartitionOffset & { error: unknown })[] = []
  const byLeader = Map.groupBy(wanted, ({ topic, partition }) => cluster.leader(topic, partition))
  const attempts = [...byLeader].map(async ([nodeId, led]) => {
    const errors = await askToDelete(cluster, nodeId, led).catch((error: unknown) => () => error)
    for (const of of led) {
      const error = errors(of)
      if (error === undefined) deleted.push(of)
      else failed.push({ ...of, error })
    }
  })
  await Promise.all(attempts)
  if (failed.some(({ error }) => isStaleMetadata(error))) {
    await cluster.refresh().catch((error: unknown) => cluster.log.debug({ error }, 'no metadata'))
  }
  return { deleted, failed }
}

/** Resolves with what names the error of each partition. */
async function askToDelete(
  cluster: Cluster,
  nodeId: number | undefined,
  led: readonly FencedOffset[],
): Promise<(of: TopicPartition) => unknown> {
  if (nodeId === undefined) throw new KafkaError('KAFKA_UNREACHABLE', 'the partition has no leader')
  const refused = await fencedPartitions(cluster, nodeId, led)
  const confirmed = led.filter((of) => !refused.has(partitionKey(of)))
  if (confirmed.length === 0) return (of) => refused.get(partitionKey(of))
  const topics = [...Map.groupBy(confirmed, ({ topic }) => topic)].map(([topic, partitions]) => ({
    topic,
    partitions: partitions.map(({ partition, offset }) => ({ partition, offset: String(offset) })),
  }))
  const answer = await cluster.rawAdmin<DeleteRecordsResponse>(nodeId, 'DeleteRecords', { topics, timeout: DELETE_TIMEOUT_MS })
  return (of) => {
    const { topic, partition } = of
    const fenced = refused.get(partitionKey(of))
    if (fenced !== undefined) return fenced
    const found = answer.topics.find((of) => of.topic === topic)?.partitions.find((of) => of.partition === partition)
    if (found === undefined) return new KafkaError('KAFKA_UNEXPECTED_ANSWER', `no answer for ${topic}/${partition}`)
    return found.errorCode === 0 ? undefined : createErrorFromCode(found.errorCode)
  }
}

/**
 * The error of each partition whose leader does not confirm its epoch. DeleteRecords itself carries no epoch, and the metadata
 * of this client may be older than an election.
 */
async function fencedPartitions(cluster: Cluster, nodeId: number, led: readonly FencedOffset[]): Promise<Map<string, unknown>> {
  const questions = led.map(({ topic, partition, soundEpoch }) => ({
    topic,
    partition,
    currentLeaderEpoch: soundEpoch,
    leaderEpoch: soundEpoch,
  }))
  const ends = await epochEnds((args) => cluster.raw(nodeId, 'OffsetForLeaderEpoch', args), questions)
  const errors = led.map((of, index): [string, unknown] => {
    const end = ends[index]!
    if (end instanceof KafkaError) return [partitionKey(of), end]
    return [partitionKey(of), end.errorCode === 0 ? undefined : createErrorFromCode(end.errorCode)]
  })
  return new Map(errors.filter(([, error]) => error !== undefined))
}

/** Resolves with the one partition count of all topics, once all exist; throws KAFKA_PARTITION_COUNTS when they differ. */
export async function awaitTopics(cluster: Cluster, topics: readonly string[], signal: AbortSignal): Promise<number> {
  cluster.want(topics)
  for (let failures = 1; ; failures += 1) {
    let last: unknown
    try {
      await cluster.refresh()
    } catch (error) {
      last = error
    }
    if (signal.aborted) throw new KafkaError('KAFKA_CLOSED', 'closed before the topics were there')
    const missing = topics.filter((topic) => cluster.partitionCount(topic) === undefined)
    if (missing.length === 0) return onePartitionCount(cluster, topics)
    if (failures % 10 === 3) cluster.log.warn({ missing, error: last }, 'waiting for topics to exist')
    await pause(backoffMs(failures, 100, 2000), signal)
  }
}

/** The partition count that all topics have; throws KAFKA_PARTITION_COUNTS when they differ, KAFKA_BROKER when one is not known. */
export function onePartitionCount(cluster: Cluster, topics: readonly string[]): number {
  const unknown = topics.filter((topic) => cluster.partitionCount(topic) === undefined)
  if (unknown.length > 0) throw new KafkaError('KAFKA_BROKER', `Kafka does not know ${unknown.join(', ')} yet`)
  const counts = topics.map((topic) => cluster.partitionCount(topic) ?? 0)
  const [first = 0] = counts
  if (counts.every((count) => count === first)) return first
  const told = topics.map((topic, index) => `${topic} has ${counts[index]}`).join(', ')
  throw new KafkaError('KAFKA_PARTITION_COUNTS', `topics that are read together need equal partition counts: ${told}`)
}

/** True for answers after which the coordinator has to be looked for again. */
export function isCoordinatorGone(error: unknown): boolean {
  const type = protocolError(error)
  return type === 'NOT_COORDINATOR_FOR_GROUP' || type === 'GROUP_COORDINATOR_NOT_AVAILABLE' || toKafkaError(error, '').code === 'KAFKA_UNREACHABLE'
}
