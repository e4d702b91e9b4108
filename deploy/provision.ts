import { openBlobStore } from '@longtake/blob'
import { DEFAULT_PARTITIONS, TOPICS } from '@longtake/contracts'
import { ensureTopics } from '@longtake/kafka'
import { azureSettings, createLogger, type Env, integer, kafkaConnection, kafkaSettings, readEnv } from '@longtake/service'
import { reasons } from './local/run.ts'

const settings = {
  ...kafkaSettings,
  ...azureSettings,
  partitions: integer('LONGTAKE_TOPIC_PARTITIONS', { help: 'of every topic; can never be changed later', default: DEFAULT_PARTITIONS, min: 1 }),
  replicationFactor: integer('LONGTAKE_TOPIC_REPLICATION', { help: 'copies of every topic; 1 only where one broker is all there is', default: 3, min: 1 }),
}

/** Creates the topics and the container that are missing, and checks the topics' settings. Needed once before the services. */
export async function provision(env: Env): Promise<void> {
  const config = readEnv(env, settings)
  const kafka = kafkaConnection({ ...config, instance: String(process.pid) }, 'provision', createLogger({ service: 'provision', level: 'warn' }))
  const store = await openBlobStore(config)
  await Promise.all([ensureTopics(kafka, config), store.ensureContainer()])
}

if (import.meta.main) {
  try {
    await provision(process.env)
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
