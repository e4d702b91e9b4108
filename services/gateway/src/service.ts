import { setTimeout as delay } from 'node:timers/promises'
import { decodeClientRequest, isRecordFault, TOPICS } from '@longtake/contracts'
import { createProducer, readTable, type KafkaRecord } from '@longtake/kafka'
import { createTokens, type ServiceDeps } from '@longtake/service'
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

/** @param limits other ones for tests */
export async function start(config: Config, deps: Pick<ServiceDeps, 'logger' | 'health' | 'fail'>, limits: Limits = LIMITS): Promise<RunningGateway> {
  const { logger, health, fail } = deps
  const kafka = { brokers: config.kafkaBrokers, clientId: `gateway-${config.instance}`, log: logger }
  // Twice the gateway's own budget, so that this one is met first: it can tell clients to slow down.
  const producer = createProducer({ kafka, maxBufferedBytes: 2 * config.inFlightBytes, deliveryTimeoutMs: config.kafkaTimeoutMs })
  const partitions = await producer.partitionCount(TOPICS.chunks.name)
  const gateway = new Gateway({ ...config, partitions, limits, logger, send: (record) => producer.send(record) })
  const onRecord = (record: KafkaRecord): void => {
    const request = decodeClientRequest({ ...record, headers: { ...record.headers } })
    if (!isRecordFault(request)) return gateway.handle(request)
    instruments.unknownMessages.add(1)
    logger.warn({ ...request, session: record.key }, 'a request that this version does not know')
  }
  // Read before the first connection: a gateway must see its own announcements.
  const requests = readTable({ kafka, topic: TOPICS.resends.name, from: 'latest', onRecord, onFatal: fail })
  await requests.caughtUp
  const server = await startServer({ ...config, gateway, tokens: createTokens(config), limits, logger })
  health.add('requests', () => requests.check())
  health.add('kafka', () => {
    const waitingMs = producer.oldestAgeMs
    return waitingMs < limits.kafkaSilenceMs ? { ready: true } : { ready: false, reason: `Kafka has not answered for ${Math.round(waitingMs / 1000)} s` }
  })
  logger.info({ host: config.host, port: server.port, partitions }, 'listening')
  return {
    port: server.port,
    async [Symbol.asyncDispose]() {
      server.stopListening()
      await gateway.drain(config.shutdownTimeoutMs * 0.5)
      await Promise.all([producer.close({ timeoutMs: config.shutdownTimeoutMs * 0.25 }), requests.close(), delay(FAREWELL_MS)])
      server.close()
    },
  }
}
