import { createRequire } from 'node:module'
import { BlobServiceClient, RestError } from '@azure/storage-blob'
import type { Observation } from './supervision.ts'

const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

const DEADLINE_MS = 3500
const PROBE_TOPIC = 'longtake.probe'
const PROBE_CONTAINER = 'longtake-probe'

/** Never rejects and never takes much longer than its deadline. */
export type Probe = () => Promise<Observation>

/** Overwrites one small blob; answered reads distinguish an overloaded Azurite from a hung one. */
export function azuriteProbe({ connectionString, url }: { connectionString: string; url: string }, deadlineMs = DEADLINE_MS): Probe {
  const container = BlobServiceClient.fromConnectionString(connectionString, { retryOptions: { maxTries: 1 } }).getContainerClient(PROBE_CONTAINER)
  let exists = false
  const write = async (): Promise<Observation> => {
    const abortSignal = AbortSignal.timeout(deadlineMs)
    try {
      if (!exists) await container.createIfNotExists({ abortSignal })
      exists = true
      await container.getBlockBlobClient('probe').upload('probe', 5, { abortSignal })
      return 'works'
    } catch (error) {
      const status = error instanceof RestError ? error.statusCode : undefined
      if (status === 404) exists = false
      return status === undefined ? 'silent' : 'rejects'
    }
  }
  const read = async (): Promise<boolean> => {
    try {
      const response = await fetch(`${url}?comp=list`, { signal: AbortSignal.timeout(deadlineMs) })
      await response.arrayBuffer()
      return true
    } catch {
      return false
    }
  }
  return async () => {
    const [written, answers] = await Promise.all([write(), read()])
    return written === 'silent' && answers ? 'slow' : written
  }
}

/** Writes one small record to a topic of its own and waits for the broker's acknowledgement. */
export function kafkaProbe(brokers: string, deadlineMs = DEADLINE_MS): Probe {
  const client = new kafkajs.Kafka({
    clientId: 'longtake-probe',
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: deadlineMs,
    requestTimeout: deadlineMs,
    retry: { retries: 0 },
  })
  let exists = false
  const write = async (): Promise<Observation> => {
    const admin = client.admin()
    const producer = client.producer({ allowAutoTopicCreation: false, createPartitioner: kafkajs.Partitioners.DefaultPartitioner, retry: { retries: 0 } })
    try {
      if (!exists) {
        await admin.connect()
        const configEntries = [{ name: 'retention.ms', value: '60000' }, { name: 'segment.bytes', value: String(1 << 20) }]
        await admin.createTopics({ topics: [{ topic: PROBE_TOPIC, numPartitions: 1, replicationFactor: 1, configEntries }], waitForLeaders: false })
        exists = true
      }
      await producer.connect()
      await producer.send({ topic: PROBE_TOPIC, acks: -1, timeout: deadlineMs, messages: [{ value: 'probe' }] })
      return 'works'
    } catch (error) {
      return error instanceof kafkajs.KafkaJSProtocolError ? 'rejects' : 'silent'
    } finally {
      // Of a hung broker's connection nobody waits for the end.
      void Promise.allSettled([producer.disconnect(), admin.disconnect()])
    }
  }
  return () => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<Observation>((resolve) => {
      timer = setTimeout(() => resolve('silent'), deadlineMs)
    })
    return Promise.race([write(), late]).finally(() => clearTimeout(timer))
  }
}
