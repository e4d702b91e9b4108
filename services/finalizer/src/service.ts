import { type BlobStore, openBlobStore, watchStorage } from '@longtake/blob'
import { GROUPS, type RetryDelays, TOPICS } from '@longtake/contracts'
import { createParker, createProducer, type PartitionHandler, startConsumer } from '@longtake/kafka'
import { kafkaConnection, type ServiceDeps } from '@longtake/service'
import type { Config } from './config.ts'
import { FinalizerPartition } from './partition.ts'
import { ContentReader } from './read-content.ts'

export interface Wiring {
  topics: { events: string; status: string }
  group: string
  pauses: RetryDelays
  /** Default: the Azure container that the config names. */
  store?: BlobStore
}
const WIRING: Wiring = {
  topics: { events: TOPICS.events.name, status: TOPICS.status.name },
  group: GROUPS.finalizer,
  pauses: { firstMs: 500, maxMs: 15_000 },
}

/** @param wiring another one for tests, which share a Kafka */
export async function start(config: Config, deps: Pick<ServiceDeps, 'logger' | 'health' | 'fail' | 'stopping'>, wiring: Wiring = WIRING): Promise<AsyncDisposable> {
  const { logger, health, fail, stopping } = deps
  const { topics, group, pauses } = wiring
  const store = wiring.store ?? (await openBlobStore(config))
  const kafka = kafkaConnection(config, 'finalizer', logger)
  const producer = createProducer({ kafka, deliveryTimeoutMs: 30_000 })
  const parker = createParker({ producer, group })
  const held = new Set<FinalizerPartition>()
  const contents = new ContentReader(store)

  const consumer = await startConsumer({
    kafka,
    group,
    topics: [topics.status],
    signal: stopping,
    onFatal: fail,
    assign(assigned): PartitionHandler {
      const log = logger.child({ partition: assigned.partition })
      const partition = new FinalizerPartition({ assigned, store, contents, producer, parker, eventsTopic: topics.events, logger: log, pauses, stopping, now: Date.now })
      held.add(partition)
      return {
        handle: (record) => partition.handle(record),
        async close() {
          held.delete(partition)
          await partition.close()
        },
      }
    },
  }).catch(async (error: unknown) => {
    await producer.close()
    throw error
  })

  health.add('consumer', () => consumer.check())
  const storage = watchStorage(store)
  health.add('storage', () => storage.check())
  health.add('finalizing', () => {
    const fault = [...held].map((partition) => partition.fault).find((reason) => reason !== undefined)
    return fault === undefined ? { ready: true } : { ready: false, reason: fault }
  })
  return {
    async [Symbol.asyncDispose]() {
      await consumer.close()
      storage[Symbol.dispose]()
      await producer.close()
    },
  }
}
