import { DEFAULT_PARTITIONS, MAX_MESSAGE_BYTES, TOPICS, type TopicSpec } from '@longtake/contracts'
import type { Admin } from 'kafkajs'
import { backoffMs, pause } from './backoff.ts'
import { KafkaError, toKafkaError } from './errors.ts'
import { ConfigResourceTypes, createKafkajs, type KafkaConfig } from './kafkajs.ts'

const KNOWN_AFTER_MS = 10_000

export interface TopicLayout {
  /** The same for all topics. Default {@link DEFAULT_PARTITIONS}. */
  partitions?: number
  /** Default 3; 1 only where one broker is all there is. */
  replicationFactor?: number
  /** Default 2, or 1 with a replication factor below 3. */
  minInsyncReplicas?: number
}

/**
 * Creates the topics that are missing and checks all of them: partition count, replication, in-sync replicas, size,
 * cleanup, retention, compression. Differences are reported all together as KAFKA_TOPICS_DIFFER and never "repaired":
 * another partition count would split sessions, a shorter retention lose data.
 */
export async function ensureTopics(kafka: KafkaConfig, layout: TopicLayout = {}, specs: readonly TopicSpec[] = Object.values(TOPICS)): Promise<void> {
  const { partitions = DEFAULT_PARTITIONS, replicationFactor = 3 } = layout
  const { minInsyncReplicas = replicationFactor >= 3 ? 2 : 1 } = layout
  const admin = createKafkajs(kafka).admin()
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const missing = specs.filter(({ name }) => !existing.has(name))
    if (missing.length > 0) {
      await admin.createTopics({
        // kafkajs gives up when a broker does not know a new topic yet: `describe` waits for that, and for leaders.
        waitForLeaders: false,
        topics: missing.map((spec) => ({
          topic: spec.name,
          numPartitions: partitions,
          replicationFactor,
          configEntries: Object.entries(settingsOf(spec, minInsyncReplicas)).map(([name, value]) => ({ name, value })),
        })),
      })
    }
    const { topics, resources } = await describe(admin, specs.map(({ name }) => name))
    const differences = specs.flatMap((spec) => {
      const found = topics.find(({ name }) => name === spec.name)?.partitions ?? []
      const settings = new Map(resources.find(({ resourceName }) => resourceName === spec.name)?.configEntries.map(({ configName, configValue }) => [configName, configValue]))
      return [
        ...difference(spec.name, 'partitions', partitions, found.length),
        ...difference(spec.name, 'replication factor', replicationFactor, Math.min(...found.map(({ replicas }) => replicas.length))),
        ...Object.entries(settingsOf(spec, minInsyncReplicas)).flatMap(([name, value]) => difference(spec.name, name, value, settings.get(name))),
      ]
    })
    if (differences.length > 0) throw new KafkaError('KAFKA_TOPICS_DIFFER', `topics exist with other settings:\n${differences.map((line) => `  ${line}`).join('\n')}`)
  } catch (error) {
    throw toKafkaError(error, 'preparing topics')
  } finally {
    await admin.disconnect()
  }
}

/** Whether compaction leaves holes in the topic; undefined for one that is not ours. */
export function isCompacted(topic: string): boolean | undefined {
  const spec = Object.values<TopicSpec>(TOPICS).find(({ name }) => name === topic)
  return spec === undefined ? undefined : spec.cleanup === 'compact'
}

/** What another process has just created, not every broker knows at once: asked again for a while. */
async function describe(admin: Admin, names: string[]) {
  const deadline = performance.now() + KNOWN_AFTER_MS
  for (let failures = 1; ; failures++) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: names })
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })) })
      return { topics, resources }
    } catch (error) {
      const type = (error as { type?: string }).type
      const isYoung = type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'LEADER_NOT_AVAILABLE'
      if (!isYoung || performance.now() > deadline) throw error
      await pause(backoffMs(failures, 50, 1000))
    }
  }
}

function settingsOf(spec: TopicSpec, minInsyncReplicas: number): Record<string, string> {
  return {
    'cleanup.policy': spec.cleanup,
    'retention.ms': String(spec.retentionMs),
    'max.message.bytes': String(MAX_MESSAGE_BYTES),
    'min.insync.replicas': String(minInsyncReplicas),
    // Video does not compress; whatever producers do, brokers leave it alone.
    'compression.type': 'producer',
    // An acknowledgement by an out-of-sync leader would be worth nothing.
    'unclean.leader.election.enable': 'false',
  }
}

function difference(topic: string, what: string, needed: string | number, found: string | number | undefined): string[] {
  return String(needed) === String(found) ? [] : [`${topic}: ${what} is ${found ?? 'unknown'}, needed ${needed}`]
}

/** How far a group has come in a partition. */
export interface GroupProgress {
  readonly topic: string
  readonly partition: number
  /** All before it is complete; without a commit the first record there is. */
  readonly completed: bigint
  /** Where the partition ended before `completed` was asked for. */
  readonly end: bigint
}

/** How far a group is behind, by topic and partition; a partition without a commit counts from its first record. */
export async function consumerLag(kafka: KafkaConfig, group: string, topics: readonly string[]): Promise<{ topic: string; partition: number; lag: bigint }[]> {
  return (await groupProgress(kafka, group, topics)).map(({ topic, partition, completed, end }) => ({ topic, partition, lag: end - completed }))
}

/** How far a group has come, by topic and partition. */
export async function groupProgress(kafka: KafkaConfig, group: string, topics: readonly string[]): Promise<GroupProgress[]> {
  const admin = createKafkajs(kafka).admin()
  try {
    await admin.connect()
    const ends = await Promise.all(topics.map(async (topic) => ({ topic, offsets: await admin.fetchTopicOffsets(topic) })))
    const committed = await admin.fetchOffsets({ groupId: group, topics: [...topics] })
    return ends.flatMap(({ topic, offsets }) =>
      offsets.map(({ partition, high, low }) => {
        const at = committed.find((of) => of.topic === topic)?.partitions.find((of) => of.partition === partition)?.offset ?? '-1'
        return { topic, partition, completed: BigInt(at === '-1' ? low : at), end: BigInt(high) }
      }),
    )
  } catch (error) {
    throw toKafkaError(error, `asking how far ${group} has come`)
  } finally {
    await admin.disconnect()
  }
}
