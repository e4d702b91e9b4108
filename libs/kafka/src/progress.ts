import { withAdmin } from './admin.ts'
import type { KafkaConfig } from './kafkajs.ts'

/** How far a group has come in a partition. */
export interface GroupProgress {
  readonly topic: string
  readonly partition: number
  /** All before it is complete; without a commit the first record there is. */
  readonly completed: bigint
  /** Where the partition ended before `completed` was asked for. */
  readonly end: bigint
}

/** What a partition holds: all records from `start` to before `end`. */
export interface LogExtent {
  readonly partition: number
  readonly start: bigint
  readonly end: bigint
}

/** What the partitions of a topic hold. Whoever may write to a topic may ask for that, as Kafka's right Write implies Describe. */
export async function logExtents(kafka: KafkaConfig, topic: string): Promise<LogExtent[]> {
  return withAdmin(kafka, `asking what ${topic} holds`, async (admin) => {
    const offsets = await admin.fetchTopicOffsets(topic)
    return offsets.map(({ partition, low, high }) => ({ partition, start: BigInt(low), end: BigInt(high) }))
  })
}

/** How far a group is behind, by topic and partition; a partition without a commit counts from its first record. */
export async function consumerLag(kafka: KafkaConfig, group: string, topics: readonly string[]): Promise<{ topic: string; partition: number; lag: bigint }[]> {
  return (await groupProgress(kafka, group, topics)).map(({ topic, partition, completed, end }) => ({ topic, partition, lag: end - completed }))
}

/** How far a group has come, by topic and partition. */
export async function groupProgress(kafka: KafkaConfig, group: string, topics: readonly string[]): Promise<GroupProgress[]> {
  return withAdmin(kafka, `asking how far ${group} has come`, async (admin) => {
    const ends = await Promise.all(topics.map(async (topic) => ({ topic, offsets: await admin.fetchTopicOffsets(topic) })))
    const committed = await admin.fetchOffsets({ groupId: group, topics: [...topics] })
    return ends.flatMap(({ topic, offsets }) =>
      offsets.map(({ partition, high, low }) => {
        const at = committed.find((of) => of.topic === topic)?.partitions.find((of) => of.partition === partition)?.offset ?? '-1'
        return { topic, partition, completed: BigInt(at === '-1' ? low : at), end: BigInt(high) }
      }),
    )
  })
}
