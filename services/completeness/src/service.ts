import { randomUUID } from 'node:crypto'
import { GROUPS, SESSION_STATUSES, TOPICS } from '@longtake/contracts'
import { createParker, createProducer, groupProgress, type KafkaConfig, type PartitionHandler, startConsumer } from '@longtake/kafka'
import { kafkaConnection, type ServiceDeps } from '@longtake/service'
import type { ObservableResult } from '@opentelemetry/api'
import type { Config } from './config.ts'
import { loadSessions } from './load.ts'
import { SessionsPartition } from './partition.ts'
import { Publisher, type TopicNames } from './publisher.ts'
import type { Sessions } from './sessions.ts'
import { instruments } from './telemetry.ts'
import type { Progress } from './written-to.ts'

export interface Wiring {
  topics: TopicNames & { chunks: string }
  group: string
  /** Whose progress in the chunks counts. */
  writerGroup: string
  /** How often the passing of time is looked at: clients that fell silent, requests to be repeated. */
  tickMs: number
}
const WIRING: Wiring = {
  topics: { events: TOPICS.events.name, status: TOPICS.status.name, resends: TOPICS.resends.name, chunks: TOPICS.chunks.name },
  group: GROUPS.completeness,
  writerGroup: GROUPS.blockWriter,
  tickMs: 5_000,
}

/** @param wiring another one for tests, which share a Kafka */
export async function start(config: Config, deps: Pick<ServiceDeps, 'logger' | 'health' | 'fail' | 'stopping'>, wiring: Wiring = WIRING): Promise<AsyncDisposable> {
  const { logger, health, fail, stopping } = deps
  const { topics, group, tickMs } = wiring
  const kafka = kafkaConnection(config, 'completeness', logger)
  const producer = createProducer({ kafka, deliveryTimeoutMs: 30_000 })
  const parker = createParker({ producer, group })
  const held = new Map<number, { handler: SessionsPartition; sessions: Sessions; publisher: Publisher }>()

  const consumer = await startConsumer({
    kafka,
    group,
    topics: [topics.events, topics.status],
    signal: stopping,
    onFatal: fail,
    async assign(assigned): Promise<PartitionHandler> {
      const { partition } = assigned
      const log = logger.child({ partition })
      const eventsEnd = (await groupProgress(kafka, group, [topics.events])).find((of) => of.partition === partition)?.end ?? 0n
      const { sessions, loadedTo, loadedAt } = await loadSessions({ kafka, topic: topics.status, partition, parker, logger: log, signal: assigned.signal, deletedRetentionMs: config.deletedRetentionMs })
      log[sessions.size === 0 ? 'debug' : 'info']({ sessions: sessions.size }, 'sessions loaded')
      const publisher = new Publisher({ writer: randomUUID(), producer, partition, topics, logger: log })
      const handler = new SessionsPartition({ assigned, sessions, loadedTo, loadedAt, eventsEnd, publisher, parker, topics, logger: log, now: Date.now })
      const entry = { handler, sessions, publisher }
      held.set(partition, entry)
      return {
        handle: (record) => handler.handle(record),
        async close(reason) {
          if (held.get(partition) === entry) held.delete(partition)
          await handler.close(reason)
        },
      }
    },
  }).catch(async (error: unknown) => {
    await producer.close()
    throw error
  })

  let looking: Promise<void> | undefined
  const look = async (): Promise<void> => {
    const seen = await writerProgress(kafka, wiring)
    for (const [partition, { handler }] of held) {
      const progress = seen.get(partition)
      if (progress !== undefined) handler.saw(progress)
    }
  }
  const ticking = setInterval(() => {
    for (const { handler } of held.values()) handler.tick()
    if (looking !== undefined || ![...held.values()].some(({ handler }) => handler.isUndecided)) return
    looking = look()
      .catch((error: unknown) => logger.warn({ error }, 'how far block-writer has come is not known: nothing is called abandoned until it is, and sessions that a client has left complete later'))
      .finally(() => (looking = undefined))
  }, tickMs)
  const observe = (result: ObservableResult): void => {
    for (const status of SESSION_STATUSES) {
      result.observe([...held.values()].reduce((sum, { sessions }) => sum + (sessions.statuses.get(status) ?? 0), 0), { status })
    }
  }
  instruments.sessions.addCallback(observe)
  health.add('consumer', () => consumer.check())
  health.add('publishing', () => {
    const fault = [...held.values()].map(({ handler }) => handler.fault).find((reason) => reason !== undefined)
    return fault === undefined ? { ready: true } : { ready: false, reason: fault }
  })
  // Another instance could do no better: that is no reason to be taken out of service.
  health.add('states', () => {
    const still = [...held.values()].flatMap(({ publisher }) => [...publisher.standingStill])
    return still.length === 0 ? { ready: true } : { ready: true, reason: `the status of ${still.length} sessions stands still, too large for Kafka, as of ${still[0]}` }
  })
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(ticking)
      await looking
      instruments.sessions.removeCallback(observe)
      await consumer.close()
      await producer.close()
    },
  }
}

/** How far block-writer has come, by partition. What it has completed it has told before, so the events' end is asked for last. */
async function writerProgress(kafka: KafkaConfig, { topics, group, writerGroup }: Wiring): Promise<Map<number, Progress>> {
  const at = Date.now()
  const written = await groupProgress(kafka, writerGroup, [topics.chunks])
  const told = new Map((await groupProgress(kafka, group, [topics.events])).map(({ partition, end }) => [partition, end]))
  return new Map(written.map(({ partition, completed, end }) => [partition, { at, chunksEnd: end, written: completed, eventsEnd: told.get(partition) ?? 0n }]))
}
