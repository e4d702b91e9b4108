import { withAdmin } from './admin.ts'
import { ConfigResourceTypes, type KafkaConfig } from './kafkajs.ts'

/**
 * For how long at most a topic keeps a record, ms, by topic; null where no clock removes it. Kafka removes whole segments, so a
 * record may outlive `retention.ms` by the time that its segment took to fill, at most `segment.ms`.
 */
export async function keptAtMostMs(kafka: KafkaConfig, topics: readonly string[]): Promise<Map<string, number | null>> {
  return withAdmin(kafka, 'reading how long topics keep records', async (admin) => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })) })
    return new Map(
      resources.map(({ resourceName, configEntries }) => {
        const value = (name: string): number => Number(configEntries.find(({ configName }) => configName === name)?.configValue ?? -1)
        const retentionMs = value('retention.ms')
        return [resourceName, retentionMs < 0 ? null : retentionMs + Math.max(0, value('segment.ms'))]
      }),
    )
  })
}

/** Those of the topics that exist. */
export async function existingTopics(kafka: KafkaConfig, topics: readonly string[]): Promise<string[]> {
  const existing = await withAdmin(kafka, 'listing topics', (admin) => admin.listTopics())
  return topics.filter((topic) => existing.includes(topic))
}

/** The size above which Kafka deletes a partition's oldest segments; null where there is no such limit. */
export async function sizeLimitBytes(kafka: KafkaConfig, topic: string): Promise<number | null> {
  return withAdmin(kafka, `reading the size limit of ${topic}`, async (admin) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    const { resources: [found] } = await admin.describeConfigs({ includeSynonyms: false, resources })
    const limit = Number(found?.configEntries.find(({ configName }) => configName === 'retention.bytes')?.configValue ?? -1)
    return limit < 0 ? null : limit
  })
}

/** Deletes the records of a topic before an offset of each partition (DeleteRecords, KIP-107). */
export async function deleteBefore(
  kafka: KafkaConfig,
  topic: string,
  offsets: readonly { partition: number; offset: bigint }[],
): Promise<void> {
  const partitions = offsets.map(({ partition, offset }) => ({ partition, offset: String(offset) }))
  await withAdmin(kafka, `deleting records of ${topic}`, async (admin) => {
    // kafkajs finds the leaders only of topics that this client has asked about before.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions })
  })
}
