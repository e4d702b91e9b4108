import { openBlobStore } from '@longtake/blob'
import { PRODUCTION_PARTITIONS, TOPICS } from '@longtake/contracts'
import { adjustTopics, ensureTopics } from '@longtake/kafka'
import { azureSettings, bytes, createLogger, type Env, integer, kafkaConnection, kafkaSettings, readEnv } from '@longtake/service'
import { reasons } from './local/run.ts'

const settings = {
  ...kafkaSettings,
  ...azureSettings,
  partitions: integer('LONGTAKE_TOPIC_PARTITIONS', {
    help: `of every topic; can never be changed later; unset: as topics have that exist, else ${PRODUCTION_PARTITIONS}`,
    default: undefined,
    min: 1,
  }),
  replicationFactor: integer('LONGTAKE_TOPIC_REPLICATION', { help: 'copies of every topic; 1 only where one broker is all there is', default: 3, min: 1 }),
  maxSegmentBytes: bytes('LONGTAKE_TOPIC_SEGMENT', {
    help: 'largest segment of recordings.chunks; truncation frees disk by whole segments',
    default: 128 * 1024 ** 2,
    min: 1024 ** 2,
  }),
}

/**
 * Creates the topics and the container that are missing, brings topics of an earlier version to this one's retention
 * and segments, and checks the topics' settings. Needed once before the services, and before those of a new version.
 * Resolves with a line for each setting that was changed.
 * @param newPartitions of topics that do not exist yet, where LONGTAKE_TOPIC_PARTITIONS is unset
 */
export async function provision(env: Env, newPartitions = PRODUCTION_PARTITIONS): Promise<string[]> {
  const { partitions, ...config } = readEnv(env, settings)
  const layout = { ...config, newPartitions, ...(partitions === undefined ? {} : { partitions }) }
  const kafka = kafkaConnection({ ...config, instance: String(process.pid) }, 'provision', createLogger({ service: 'provision', level: 'warn' }))
  const store = await openBlobStore(config)
  const topics = async (): Promise<string[]> => {
    const changes = await adjustTopics(kafka, layout)
    await ensureTopics(kafka, layout)
    return changes
  }
  const [changes] = await Promise.all([topics(), store.ensureContainer()])
  return changes
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
