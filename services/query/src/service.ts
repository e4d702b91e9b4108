import { openBlobStore, watchStorage } from '@longtake/blob'
import { encodeDeclaration, encodeEvent, partitionOf, TOPICS, type EncodedRecord } from '@longtake/contracts'
import { createProducer, keptAtMostMs, readTable, type KafkaConfig } from '@longtake/kafka'
import { createTokens, kafkaConnection, type Check, type ServiceDeps } from '@longtake/service'
import { publicAddresses } from './addresses.ts'
import { buildApp } from './app.ts'
import { Authority } from './auth.ts'
import type { Config } from './config.ts'
import { pageRoutes } from './routes/pages.ts'
import { SessionTable } from './session-table.ts'
import { spoolKeyOf } from './spool-key.ts'
import { storedRecordings } from './stored-recordings.ts'

/** Serves once it has read all statuses there are. */
export async function start(config: Config, { logger, health, fail, stopping }: ServiceDeps): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const kafka = kafkaConnection(config, 'query', logger)
  const producer = stack.use(createProducer({ kafka, deliveryTimeoutMs: 10_000 }))
  const partitions = await producer.partitionCount(TOPICS.status.name, stopping)

  const sessions = new SessionTable((session) => reader.waitFor(partitionOf(session, partitions)))
  const reader = stack.use(
    readTable({
      kafka,
      topic: TOPICS.status.name,
      onRecord: ({ key, value, tombstone, headers, offset }) => {
        const fault = sessions.apply(key, tombstone ? null : value, headers)
        if (fault !== undefined) logger.error({ session: key, offset: String(offset), fault }, 'a status cannot be read and is left out')
      },
      onFatal: fail,
    }),
  )
  const store = await openBlobStore(config)
  const storage = stack.use(watchStorage(store))
  health.add('status', () => told(reader.check()))
  health.add('storage', () => told(storage.check()))
  await reader.caughtUp

  const publish = async (topic: string, record: EncodedRecord): Promise<void> => {
    await producer.send({ topic, partition: partitionOf(record.key, partitions), ...record })
  }
  const tokens = createTokens(config)
  const app = await buildApp({
    logger,
    authority: new Authority(config.apiKey, tokens, Date.now),
    sessions,
    announcer: {
      event: (event) => publish(TOPICS.events.name, encodeEvent(event)),
      declare: (declaration) => publish(TOPICS.chunks.name, encodeDeclaration(declaration)),
    },
    recordings: storedRecordings(store),
    tokens: {
      issue: (session, scope) => {
        const ttlMs = scope === 'ingest' ? config.ingestTokenMs : config.watchTokenMs
        return tokens.sign({ sub: session, scope, exp: Math.floor((Date.now() + ttlMs) / 1000) })
      },
    },
    spoolKey: (session) => spoolKeyOf(config.spoolSecret ?? config.tokenSecret, session),
    addresses: publicAddresses(config),
    deletionPolicy: {
      deletedRetentionMs: config.deletedRetentionMs,
      keepCommittedMs: config.keepCommittedMs,
      keptAtMostMs: await keptOrUnknown(kafka, logger),
    },
    browserPolicy: { corsOrigins: config.corsOrigins, frameAncestors: config.frameAncestors, connectOrigins: gatewayOrigins(config.gatewayPublicUrl) },
    now: () => new Date(),
  })
  stack.defer(() => app.close())
  await app.register(pageRoutes)
  await app.listen({ host: config.host, port: config.port })
  return stack.move()
}

/** Recorders connect by WebSocket, and by HTTP polling where WebSockets are blocked. @param url with `ws:` or `wss:` */
function gatewayOrigins(url: string): string[] {
  const { origin } = new URL(url)
  return [origin, origin.replace('ws', 'http')]
}

/** Reading topic settings may be forbidden to this service: then receipts name no dates for topics. */
async function keptOrUnknown(kafka: KafkaConfig, logger: ServiceDeps['logger']): Promise<Map<string, number | null>> {
  try {
    return await keptAtMostMs(kafka, Object.values(TOPICS).map(({ name }) => name))
  } catch (error) {
    logger.warn({ error }, 'topic settings cannot be read: what remains of deleted sessions is stated without dates')
    return new Map()
  }
}

/** Without Kafka or storage it serves what it can and answers 503 to the rest; no other instance could do more. */
function told(check: ReturnType<Check>): ReturnType<Check> {
  return check.ready ? check : { ready: true, reason: check.reason }
}
