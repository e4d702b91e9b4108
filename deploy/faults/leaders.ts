import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { findJava, installKafka } from '../local/kafka-install.ts'

// Not by `import`, see deploy/local/kafka.ts.
const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

/** Where a partition is: who leads it, and its replicas, of which the first is the preferred leader. */
export interface Placement {
  topic: string
  partition: number
  leader: number
  replicas: number[]
}

/** Places all partitions of all topics; those of Kafka's own too, so that group coordinators move as well. */
export async function placements(brokers: readonly string[]): Promise<Placement[]> {
  return withAdmin(brokers, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata()
    return topics.flatMap(({ name, partitions }) => partitions.map(({ partitionId, leader, replicas }) => ({ topic: name, partition: partitionId, leader, replicas })))
  })
}

/** Gives each partition the replicas named, and resolves when all are moved. The leader stays as long as it is one of them. */
export async function reassign(brokers: readonly string[], wanted: readonly Pick<Placement, 'topic' | 'partition' | 'replicas'>[], boundMs = 120_000): Promise<void> {
  const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([topic, partitions]) => ({
    topic,
    partitionAssignment: partitions.map(({ partition, replicas }) => ({ partition, replicas })),
  }))
  await withAdmin(brokers, async (admin) => {
    await admin.alterPartitionReassignments({ topics, timeout: 10_000 })
    const of = topics.map(({ topic, partitionAssignment }) => ({ topic, partitions: partitionAssignment.map(({ partition }) => partition) }))
    for (const deadline = Date.now() + boundMs; ; ) {
      const moving = (await admin.listPartitionReassignments({ topics: of })).topics.flatMap(({ partitions }) => partitions)
      if (moving.length === 0) return
      if (Date.now() > deadline) throw new Error(`after ${boundMs} ms ${moving.length} partitions are still being moved`)
      await delay(100)
    }
  })
}

/** Makes the first replica of every partition its leader, where it is in sync. By Kafka's own tool: kafkajs has no such request. */
export async function electPreferredLeaders(brokers: readonly string[]): Promise<void> {
  const tool = ['-Xshare:auto', '-XX:TieredStopAtLevel=1', '-cp', `${await installKafka()}/*`, 'org.apache.kafka.tools.LeaderElectionCommand']
  await promisify(execFile)(await findJava(), [...tool, '--bootstrap-server', brokers.join(','), '--election-type', 'preferred', '--all-topic-partitions'])
}

type Admin = ReturnType<InstanceType<typeof kafkajs.Kafka>['admin']>

async function withAdmin<T>(brokers: readonly string[], use: (admin: Admin) => Promise<T>): Promise<T> {
  const client = new kafkajs.Kafka({ clientId: 'faults', brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING, connectionTimeout: 2000, requestTimeout: 15_000 })
  const admin = client.admin()
  try {
    await admin.connect()
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}
