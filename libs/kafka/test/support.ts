import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Conditions, testKafka } from '@longtake/testkit'
import type { AssignedPartition, CloseReason, ConsumerOptions, KafkaConfig, KafkaRecord } from '../src/index.ts'
import { createKafkajs } from '../src/kafkajs.ts'

export const kafkaOf = (brokers: string): KafkaConfig => ({ brokers: [brokers], clientId: 'test' })
export const kafka = (): KafkaConfig => kafkaOf(testKafka())
export const unique = (name: string): string => `test.${name}.${randomUUID().slice(0, 8)}`

export type Admin = ReturnType<ReturnType<typeof createKafkajs>['admin']>

export async function withAdmin<T>(config: KafkaConfig, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = createKafkajs(config).admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Makes topics with names of their own; their settings may be given. */
export async function makeTopics(config: KafkaConfig, names: string[], numPartitions: number, settings: Record<string, string> = {}): Promise<string[]> {
  const topics = names.map(unique)
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  await withAdmin(config, async (admin) => {
    await admin.createTopics({ waitForLeaders: false, topics: topics.map((topic) => ({ topic, numPartitions, replicationFactor: 1, configEntries })) })
    // kafkajs's own wait fails over a broker that does not know the topic yet.
    for (let tries = 1; !(await admin.fetchTopicMetadata({ topics }).then(() => true, () => false)); tries++) {
      if (tries === 100) throw new Error(`${topics.join(', ')} do not appear`)
      await delay(50)
    }
  })
  return topics
}

export async function committed(config: KafkaConfig, groupId: string, topic: string): Promise<Map<number, string>> {
  const [found] = await withAdmin(config, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
  return new Map(found?.partitions.map(({ partition, offset }) => [partition, offset]))
}

export type Seen =
  | { what: 'assigned'; partition: number }
  | { what: 'handled'; topic: string; partition: number; offset: bigint; value: string }
  | { what: 'closed'; partition: number; reason: CloseReason }

/** Writes down, in order, all that happens to the handlers of one or more members. */
export class Journal {
  readonly entries: (Seen & { member: string })[] = []
  readonly #conditions = new Conditions()

  add(member: string, seen: Seen): void {
    this.entries.push({ member, ...seen })
    this.#conditions.changed()
  }

  /** Has conditions looked at again that depend on something else too. */
  changed(): void {
    this.#conditions.changed()
  }

  until(what: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> {
    return this.#conditions.until(what, holds, timeoutMs, () => `seen so far: ${this.entries.length} entries, the last ${JSON.stringify(this.entries.slice(-5), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`)
  }

  handled(member?: string) {
    return this.entries.filter((entry): entry is Extract<Seen, { what: 'handled' }> & { member: string } => entry.what === 'handled' && (member === undefined || entry.member === member))
  }

  /** Who holds which partitions, by the entries. */
  held(member: string): number[] {
    const held = new Set<number>()
    for (const entry of this.entries) {
      if (entry.member !== member || entry.what === 'handled') continue
      if (entry.what === 'assigned') held.add(entry.partition)
      else held.delete(entry.partition)
    }
    return [...held].toSorted((a, b) => a - b)
  }

  /** Consumer options that write everything down here. By default a handled record is done. */
  member(name: string, handle: (record: KafkaRecord, partition: AssignedPartition) => Promise<void> | void = (record, partition) => partition.done(record)): Pick<ConsumerOptions, 'assign'> {
    return {
      assign: (partition) => {
        this.add(name, { what: 'assigned', partition: partition.partition })
        return {
          handle: async (record) => {
            await handle(record, partition)
            this.add(name, { what: 'handled', topic: record.topic, partition: record.partition, offset: record.offset, value: record.value.toString() })
          },
          close: (reason) => this.add(name, { what: 'closed', partition: partition.partition, reason }),
        }
      },
    }
  }
}

/** Fails the test: nothing fatal is expected. */
export const unexpected = (error: Error): never => {
  throw error
}
