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
