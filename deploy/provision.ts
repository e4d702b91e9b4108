import { openBlobStore } from '@longtake/blob'
import { isOnlyCopy, PRODUCTION_PARTITIONS, TOPICS, type TopicSpec } from '@longtake/contracts'
import { adjustTopics, ensureTopics, existingTopics, type KafkaConfig, sizeLimitBytes } from '@longtake/kafka'
import { azureSettings, bytes, createLogger, duration, type Env, integer, kafkaConnection, kafkaSettings, readEnv } from '@longtake/service'
import { reasons } from './local/run.ts'
import { readBacklog } from './parked/replay.ts'

const settings = {
  ...kafkaSettings,
  ...azureSettings,
  partitions: integer('LONGTAKE_TOPIC_PARTITIONS', {
    help: `of every topic; can never be changed later; unset: as topics have that exist, else ${PRODUCTION_PARTITIONS}`,
    default: undefined,
    min: 1,
  }),
  replicationFactor: integer('LONGTAKE_TOPIC_REPLICATION', { help: 'copies of every topic; 1 only where one broker is all there is', default: 3, min: 1 }),
  eventsRetentionMs: duration('LONGTAKE_EVENTS_RETENTION', { help: 'how long recordings.events keeps the facts about a session', default: undefined, min: 86_400_000 }),
  parkedRetentionMs: duration('LONGTAKE_PARKED_RETENTION', {
    help: 'how long recordings.parked keeps what could not be handled, chunks among it; replay it before',
    default: undefined,
    min: 86_400_000,
  }),
  parkedBytes: bytes('LONGTAKE_PARKED_BYTES', {
    help: 'above so much, without replicas, the oldest records of recordings.parked are deleted',
    default: TOPICS.parked.retentionBytes,
    min: 16 * 1024 ** 2,
  }),
  unwritableRetentionMs: duration('LONGTAKE_UNWRITABLE_RETENTION', {
    help: 'how long recordings.unwritable keeps acknowledged records that no file holds; unset: until they are sent back',
    default: undefined,
    min: 86_400_000,
  }),
  maxSegmentBytes: bytes('LONGTAKE_TOPIC_SEGMENT', {
    help: 'largest segment of recordings.chunks; truncation frees disk by whole segments',
    default: 128 * 1024 ** 2,
    min: 1024 ** 2,
  }),
}

/**
 * Creates the topics and the container that are missing, adjusts topics of an earlier version to this one's retention
 * and segments, and checks the topics' settings. Needed once before the services, and before those of a new version.
 * Resolves with a line for each setting that was changed.
 * @param newPartitions of topics that do not exist yet, where LONGTAKE_TOPIC_PARTITIONS is unset
 */
export async function provision(env: Env, newPartitions = PRODUCTION_PARTITIONS): Promise<string[]> {
  const { partitions, eventsRetentionMs, parkedRetentionMs, unwritableRetentionMs, parkedBytes, ...config } = readEnv(env, settings)
  const retention = new Map<string, number>([
    ...(eventsRetentionMs === undefined ? [] : [[TOPICS.events.name, eventsRetentionMs] as const]),
    ...(parkedRetentionMs === undefined ? [] : [[TOPICS.parked.name, parkedRetentionMs] as const]),
    ...(unwritableRetentionMs === undefined ? [] : [[TOPICS.unwritable.name, unwritableRetentionMs] as const]),
  ])
  const specs = Object.values<TopicSpec>(TOPICS).map((spec) => ({
    ...spec,
    retentionMs: retention.get(spec.name) ?? spec.retentionMs,
    ...(spec.name === TOPICS.parked.name ? { retentionBytes: parkedBytes } : {}),
  }))
  const layout = { ...config, newPartitions, ...(partitions === undefined ? {} : { partitions }), mayShorten: new Set(retention.keys()) }
  const kafka = kafkaConnection({ ...config, instance: String(process.pid) }, 'provision', createLogger({ service: 'provision', level: 'warn' }))
  const store = await openBlobStore(config)
  const topics = async (): Promise<string[]> => {
    const unlimited = await whyUnlimited(kafka)
    const limits = { ...layout, mayLimit: new Set(unlimited === undefined ? [TOPICS.parked.name] : []) }
    const changes = await adjustTopics(kafka, limits, specs)
    await ensureTopics(kafka, limits, specs)
    return unlimited === undefined ? changes : [...changes, unlimited]
  }
  const [changes] = await Promise.all([topics(), store.ensureContainer()])
  return changes
}

/**
 * Why `recordings.parked` may not be limited in size yet: earlier versions parked the only copies of acknowledged records there,
 * too, which no limit may delete.
 */
async function whyUnlimited(kafka: KafkaConfig): Promise<string | undefined> {
  const { name } = TOPICS.parked
  const exists = (await existingTopics(kafka, [name])).length > 0
  if (!exists || (await sizeLimitBytes(kafka, name)) !== null) return undefined
  const kept = (await readBacklog(kafka, [name])).waiting.filter(({ topic, reason }) => isOnlyCopy(topic, reason))
  if (kept.length === 0) return undefined
  return `${name}: keeps no size limit, as ${kept.length} of its records are the only copies of what was acknowledged. Send them back
  (npm run parked -- replay --reason ${kept[0]!.reason}) and provision again.`
}

if (import.meta.main) {
  try {
    for (const change of await provision(process.env)) console.log(change)
    console.log(
      `topics ${Object.values(TOPICS)
        .map(({ name }) => name)
        .join(', ')} and the container are there`,
    )
  } catch (error) {
    console.error(`provision has failed. ${reasons(error)}`)
    process.exit(1)
  }
}
