import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'

// Not by `import`, see deploy/local/kafka.ts.
const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

/** Resolves when every partition of every topic has all its replicas in sync: then any one broker may die again. */
export async function untilInSync(brokers: readonly string[], boundMs = 120_000): Promise<void> {
  const client = new kafkajs.Kafka({ clientId: 'faults', brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING, connectionTimeout: 2000, requestTimeout: 5000 })
  const admin = client.admin()
  const deadline = Date.now() + boundMs
  try {
    await admin.connect()
    for (;;) {
      const { topics } = await admin.fetchTopicMetadata()
      const behind = topics.flatMap(({ name, partitions }) =>
        partitions.filter(({ leader, isr, replicas }) => leader < 0 || isr.length < replicas.length).map(({ partitionId }) => `${name}/${partitionId}`),
      )
      if (topics.length > 0 && behind.length === 0) return
      if (Date.now() > deadline) throw new Error(`after ${boundMs} ms not all replicas are in sync: ${behind.join(', ')}`)
      await delay(200)
    }
  } finally {
    await admin.disconnect()
  }
}
