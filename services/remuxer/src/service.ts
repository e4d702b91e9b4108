import { mkdir } from 'node:fs/promises'
import { openBlobStore, watchStorage } from '@longtake/blob'
import { GROUPS, TOPICS } from '@longtake/contracts'
import { createParker, createProducer, type PartitionHandler, startConsumer } from '@longtake/kafka'
import { kafkaConnection, type ServiceDeps } from '@longtake/service'
import pLimit from 'p-limit'
import type { Config } from './config.ts'
import { findFfmpeg } from './ffmpeg.ts'
import { RemuxerPartition } from './partition.ts'
import { removeLeftovers } from './workspace.ts'

/** Where it reads and says things; others in tests that share a cluster. */
const NAMES = { status: TOPICS.status.name as string, events: TOPICS.events.name as string, group: GROUPS.remuxer as string }

export async function start(config: Config, deps: Pick<ServiceDeps, 'logger' | 'health' | 'fail' | 'stopping'>, names = NAMES): Promise<AsyncDisposable> {
  const { logger, health, fail, stopping } = deps
  const { atOnce, timeLimitMs, tempDir, tempBytes, mp4, encodeAtOnce, decode, decodeAtOnce } = config
  const ffmpeg = findFfmpeg(config)
  await mkdir(tempDir, { recursive: true })
  const leftovers = await removeLeftovers(tempDir)
  logger.info({ ffmpeg, tempDir, leftovers }, 'ffmpeg found')
  const store = await openBlobStore(config)
  const run = { store, ffmpeg, timeLimitMs, tempDir, runBytes: Math.floor(tempBytes / (atOnce + encodeAtOnce + decodeAtOnce)) }
  const renderer = { ...run, atOnce: pLimit(atOnce), encodeAtOnce: pLimit(encodeAtOnce), mp4Policy: mp4 }
  const decoder = { ...run, atOnce: pLimit(decodeAtOnce), coverage: decode }
  const kafka = kafkaConnection(config, 'remuxer', logger)
  const producer = createProducer({ kafka })
  const parker = createParker({ producer, group: names.group })
  const held = new Set<RemuxerPartition>()

  const consumer = await startConsumer({
    kafka,
    group: names.group,
    topics: [names.status],
    signal: stopping,
    onFatal: fail,
    assign(assigned): PartitionHandler {
      const log = logger.child({ partition: assigned.partition })
      const partition = new RemuxerPartition({ assigned, renderer, decoder, producer, parker, eventsTopic: names.events, logger: log, stopping, now: Date.now })
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
  health.add('remuxing', () => {
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
