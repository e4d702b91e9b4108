import { setTimeout as delay } from 'node:timers/promises'
import { decodeClientRequest, GROUPS, isRecordFault, TOPICS } from '@longtake/contracts'
import { createProducer, groupProgress, logExtents, readTable, type KafkaRecord } from '@longtake/kafka'
import { createTokens, kafkaConnection, type Logger, type ServiceDeps } from '@longtake/service'
import { LogHistory } from './backlog.ts'
import { watchBacklog } from './backlog-watch.ts'
import type { Config } from './config.ts'
import { Gateway } from './gateway.ts'
import { LIMITS, type Limits } from './limits.ts'
import { startServer } from './server.ts'
import { instruments } from './telemetry.ts'

/** Clients answer a close before their socket may be dropped, else they would lose its code. */
const FAREWELL_MS = 500

export interface RunningGateway extends AsyncDisposable {
  readonly port: number
}

/**
 * @param limits other ones for tests
 * @param listen another way for clients to connect, for tests and simulations
 */
export async function start(config: Config, deps: Omit<ServiceDeps, 'metrics'>, limits: Limits = LIMITS, listen = startServer): Promise<RunningGateway> {
  const { logger, health, fail, stopping } = deps
  await using stack = new AsyncDisposableStack()
  const kafka = kafkaConnection(config, 'gateway', logger)
  // Twice the gateway's own budget, so that this one is met first: it can tell clients to slow down.
  const producer = createProducer({ kafka, maxBufferedBytes: 2 * config.inFlightBytes, deliveryTimeoutMs: config.kafkaTimeoutMs })
  stack.defer(() => producer.close({ timeoutMs: config.shutdownTimeoutMs * 0.25 }))
  const partitions = await producer.partitionCount(TOPICS.chunks.name, stopping)

  const gateway = stack.use(new Gateway({ ...config, partitions, limits, logger, send: (record) => producer.send(record) }))
  // Read before the first connection: a gateway must see its own announcements.
  const onRecord = (record: KafkaRecord): void => handleRequest(record, gateway, logger)
  const requests = stack.use(readTable({ kafka, topic: TOPICS.resends.name, from: 'latest', onRecord, onFatal: fail }))
  await unlessStopped(requests.caughtUp, stopping)
  const watch = watchBacklog({
    progress: () => groupProgress(kafka, GROUPS.blockWriter, [TOPICS.chunks.name]),
    extents: () => logExtents(kafka, TOPICS.chunks.name),
    history: new LogHistory(limits.keptCommittedMs),
    onRecords: (records, fault) => gateway.sawBacklog(records, fault),
    onUnseen: (fault) => gateway.missedBacklog(fault),
    everyMs: limits.backlogEveryMs,
    steadyMs: () => performance.now(),
    logger,
  })
  stack.use(watch)

  const server = await listen({ ...config, gateway, tokens: createTokens(config), limits, logger })
  stack.defer(async () => {
    server.stopListening()
    await gateway.drain(config.shutdownTimeoutMs * 0.5)
    await delay(FAREWELL_MS)
    server.close()
  })
  health.add('requests', () => requests.check())
  health.add('kafka', () => {
    const waitingMs = producer.oldestAgeMs
    return waitingMs < limits.kafkaSilenceMs ? { ready: true } : { ready: false, reason: `Kafka has not answered for ${Math.round(waitingMs / 1000)} s` }
  })
  health.add('backlog', () => gateway.checkBacklog())
  logger.info({ host: config.host, port: server.port, partitions }, 'listening')
  const running = stack.move()
  return { port: server.port, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

function handleRequest(record: KafkaRecord, gateway: Gateway, logger: Logger): void {
  const request = decodeClientRequest({ ...record, headers: { ...record.headers } })
  if (!isRecordFault(request)) return gateway.handle(request)
  instruments.unknownMessages.add(1)
  logger.warn({ ...request, session: record.key }, 'a request that this version does not know')
}

/** Waits for Kafka only as long as the process is wanted. */
async function unlessStopped<T>(work: Promise<T>, stopping: AbortSignal): Promise<T> {
  stopping.throwIfAborted()
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const stop = (): void => reject(stopping.reason as Error)
  stopping.addEventListener('abort', stop)
  try {
    return await Promise.race([work, stopped])
  } finally {
    stopping.removeEventListener('abort', stop)
  }
}
