import { openBlobStore, watchStorage, type BlobStore } from '@longtake/blob'
import { encodeClientRequest, encodeEvent, GROUPS, LongtakeError, TOPICS, type RecordingEvent } from '@longtake/contracts'
import { createParker, createProducer, readRange, startConsumer } from '@longtake/kafka'
import { kafkaConnection, type Check, type Logger, type ServiceDeps } from '@longtake/service'
import type { ObservableCallback } from '@opentelemetry/api'
import { ByteBudget } from './budget.ts'
import { pause, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { COMMIT_LIMITS, COMMIT_POLICY } from './core/index.ts'
import { limitParking } from './limited-parker.ts'
import { ParkingLimit } from './parking-limit.ts'
import { ChunksPartition, type HandlerDeps, type HandlerSettings } from './partition-handler.ts'
import { StorageTurns } from './storage-turns.ts'
import { instruments } from './telemetry.ts'

/** A file with so many blocks takes no further part: Azure's limit is 50,000. */
const FULL_AT_BLOCKS = 40_000
/** A request to the gateways holds up the track that it concerns for no longer. */
const REQUEST_TIMEOUT_MS = 10_000
/** A track that cannot be written for so long makes the service unready, so that somebody looks. */
const STUCK_MS = 30_000

/** Where it reads and says things, and how soon the group misses it; others in tests that share a cluster. */
export interface Place {
  readonly chunks: string
  readonly events: string
  readonly group: string
  /** Default: `recordings.resends`. */
  readonly resends?: string
  readonly sessionTimeoutMs?: number
  /** Default: the Azure container that the config names. */
  readonly store?: BlobStore
}
const PLACE: Place = { chunks: TOPICS.chunks.name, events: TOPICS.events.name, group: GROUPS.blockWriter }

export async function start(config: Config, deps: Pick<ServiceDeps, 'logger' | 'health' | 'fail' | 'stopping'>, place: Place = PLACE): Promise<AsyncDisposable> {
  const { logger, health, fail, stopping } = deps
  const kafka = kafkaConnection(config, 'block-writer', logger)
  const store = place.store ?? (await openBlobStore(config))
  await untilThere(store, logger, stopping)
  const producer = createProducer({ kafka })
  const parker = limitParking({
    parker: createParker({ producer, group: place.group }),
    limit: new ParkingLimit(config.parkedBytes),
    logger,
    now: () => systemClock.now(),
    request: async (partition, request) => {
      const topic = place.resends ?? TOPICS.resends.name
      await producer.send({ topic, partition, ...encodeClientRequest(request) }, { deliveryTimeoutMs: REQUEST_TIMEOUT_MS })
    },
  })
  const budget = new ByteBudget(config.bufferBytes)
  const turns = new StorageTurns()
  const settings = handlerSettings(config)
  const partitions = new Set<ChunksPartition>()
  const publish = async (partition: number, event: RecordingEvent): Promise<void> => {
    await producer.send({ topic: place.events, partition, ...encodeEvent(event) })
  }
  const readBack: HandlerDeps['readBack'] = async (partition, from, to, onRecord) => readRange({ kafka, topic: place.chunks, partition, from, to, onRecord, signal: stopping })
  const consumer = await startConsumer({
    kafka,
    group: place.group,
    topics: [place.chunks],
    ...(place.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: place.sessionTimeoutMs }),
    signal: stopping,
    onFatal: fail,
    // What is committed is read from Kafka no more, but for a checkpoint that turns out to be damaged.
    truncate: { behindMs: config.keepCommittedMs },
    // Below the time an orderly stop has, which also has to flush the producer.
    closeTimeoutMs: Math.min(20_000, config.shutdownTimeoutMs * 0.7),
    assign(assigned) {
      const handler = new ChunksPartition(assigned, { store, settings, clock: systemClock, budget, turns, logger, publish, park: async (record, why) => parker.park(record, why), readBack })
      partitions.add(handler)
      assigned.signal.addEventListener('abort', () => partitions.delete(handler), { once: true })
      return handler
    },
  })
  health.add('kafka', () => consumer.check())
  const storage = watchStorage(store)
  health.add('storage', () => storage.check())
  health.add('tracks', () => judgeTracks([...partitions], systemClock.now()))
  health.add('buffers', () => {
    const paused = [...partitions].filter((partition) => partition.paused).length
    const used = `${Math.round(budget.used / 2 ** 20)} of ${Math.round(budget.limit / 2 ** 20)} MiB`
    return paused === 0 ? { ready: true } : { ready: true, reason: `${paused} partitions wait until more is committed; ${used} are uncommitted, ${turns.waiting} tracks wait for their turn` }
  })
  const observeAge: ObservableCallback = (result) => {
    for (const { partition, uncommittedSince } of partitions) {
      result.observe(uncommittedSince === null ? 0 : (systemClock.now() - uncommittedSince) / 1_000, { 'messaging.destination.partition.id': String(partition) })
    }
  }
  instruments.uncommittedAge.addCallback(observeAge)
  return {
    async [Symbol.asyncDispose]() {
      await consumer.close()
      instruments.uncommittedAge.removeCallback(observeAge)
      storage[Symbol.dispose]()
      await producer.close({ timeoutMs: config.shutdownTimeoutMs * 0.2 })
    },
  }
}

/** A storage that is away at the start is waited for: to end and be started again would not bring it back sooner. */
async function untilThere(store: BlobStore, logger: Logger, stopping: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await store.ensureContainer({ signal: stopping })
    } catch (error) {
      stopping.throwIfAborted()
      if (!(error instanceof LongtakeError && error.code === 'BLOB_UNAVAILABLE')) throw error
      logger.warn({ error }, 'waiting for the storage')
      await pause(systemClock, 1_000, stopping)
    }
  }
}

function judgeTracks(partitions: readonly ChunksPartition[], now: number): ReturnType<Check> {
  const stuck = partitions.flatMap(({ writers }) => writers).filter(({ failingSince }) => failingSince !== null && now - failingSince > STUCK_MS)
  const [first] = stuck
  if (first === undefined) return { ready: true }
  const failure = first.failure instanceof Error ? first.failure.message : String(first.failure)
  return { ready: false, reason: `${stuck.length} tracks cannot be written for more than ${STUCK_MS / 1000} s, as ${first.session}/${first.name}: ${failure}` }
}

function handlerSettings(config: Config): HandlerSettings {
  const { firstCommitMs, commitEveryMs, commitCalmMs, blockBytes, headerBytes, holeWaitMs, idleMs } = config
  return {
    policy: { firstMs: firstCommitMs, everyMs: commitEveryMs, calmEveryMs: commitCalmMs, calmAfterMs: COMMIT_POLICY.calmAfterMs, maxBytes: blockBytes, calmMaxBytes: 2 * blockBytes },
    limits: { holeWaitMs, holeWaitBytes: blockBytes / 2, fullAtBlocks: FULL_AT_BLOCKS },
    commitLimits: { ...COMMIT_LIMITS, maxBlockBytes: 2.5 * blockBytes, headerBytes },
    // What is committed at once of a longer catch-up.
    workBytes: 4 * blockBytes,
    retryMs: 250,
    maxRetryMs: 15_000,
    maxTrackBytes: 4 * blockBytes,
    idleMs,
  }
}
