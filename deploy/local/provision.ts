import { openBlobStore, type AzureConfig } from '@longtake/blob'
import { DEFAULT_PARTITIONS, MAX_MESSAGE_BYTES, TOPICS, type TopicSpec } from '@longtake/contracts'
import kafkajs from 'kafkajs'

/** Creates the container of all recordings unless it is there. */
export async function ensureContainer(config: AzureConfig): Promise<void> {
  const store = await openBlobStore(config)
  await store.ensureContainer()
}

/** Creates the topics that are missing. */
export async function ensureTopics(brokers: string): Promise<void> {
  const admin = new kafkajs.Kafka({ clientId: 'longtake-local', brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: Object.values(TOPICS).map((topic: TopicSpec) => ({
        topic: topic.name,
        numPartitions: DEFAULT_PARTITIONS,
        replicationFactor: 1,
        configEntries: [
          { name: 'cleanup.policy', value: topic.cleanup },
          { name: 'retention.ms', value: String(topic.retentionMs) },
          { name: 'max.message.bytes', value: String(MAX_MESSAGE_BYTES) },
        ],
      })),
    })
  } finally {
    await admin.disconnect()
  }
}
