import { TOPICS } from '@longtake/contracts'
import { createProducer, type KafkaConfig } from '@longtake/kafka'
import { createLogger, kafkaConnection, kafkaSettings, readEnv, type Env } from '@longtake/service'
import { readCommand, USAGE, UsageError, type Command } from './arguments.ts'
import { select } from './backlog.ts'
import { describeBacklog, recordLines, size } from './report.ts'
import { readBacklog, replay } from './replay.ts'

const FOUND_WITHIN_MS = 10_000

/** Lists what is parked, or sends it back. Resolves with what there is to say. */
export async function parked({ replay: isReplay, dryRun, selection, limit }: Command, kafka: KafkaConfig): Promise<string> {
  await using producer = createProducer({ kafka, deliveryTimeoutMs: FOUND_WITHIN_MS })
  await producer.partitionCount(TOPICS.parked.name)
  const chosen = select((await readBacklog(kafka)).waiting, selection)
  if (!isReplay || chosen.length === 0) return describeBacklog(chosen, { limit, selection })
  const bytes = size(chosen.reduce((sum, parked) => sum + parked.bytes, 0))
  if (dryRun) return [...recordLines(chosen), '', `${counted(chosen.length, 'record')}, ${bytes}, would be sent back. Nothing was changed.`].join('\n')
  let count = { sent: 0, superseded: 0 }
  try {
    count = await replay(kafka, producer, chosen, (so) => (count = so))
  } catch (error) {
    throw new Error(`${count.sent} of ${counted(chosen.length, 'record')} were sent back, then it failed: the rest is still parked, run it again.`, { cause: error })
  }
  return [
    `Sent back to where they were read: ${counted(count.sent, 'record')}.`,
    ...(count.superseded > 0 ? [`Not needed any more, since a newer status of the session stands behind them: ${counted(count.superseded, 'record')}.`] : []),
    'Run `npm run parked` again in a minute: what could not be handled this time is parked anew.',
  ].join('\n')
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** The Kafka of the shared settings; without any the one that `npm start` runs on this machine. */
function kafkaOf(env: Env): KafkaConfig {
  const local = `127.0.0.1:${env['LONGTAKE_LOCAL_KAFKA_PORT'] || '19092'}`
  const config = readEnv({ ...env, KAFKA_BROKERS: env['KAFKA_BROKERS'] || local }, kafkaSettings)
  return kafkaConnection({ ...config, instance: String(process.pid) }, 'parked', createLogger({ service: 'parked', level: 'silent' }))
}

async function main(args: readonly string[], env: Env): Promise<void> {
  const kafka = kafkaOf(env)
  try {
    console.log(await parked(readCommand(args), kafka))
  } catch (error) {
    process.exitCode = 1
    if (error instanceof UsageError) return console.error(`parked: ${error.message}\n\n${USAGE}`)
    console.error(`parked: ${messages(error)}`)
    if (!env['KAFKA_BROKERS']) console.error(`Kafka was looked for at ${kafka.brokers.join()}: run \`npm start\` in another terminal, or set KAFKA_BROKERS.`)
  }
}

function messages(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${messages(error.cause)}`
}

if (import.meta.main) await main(process.argv.slice(2), process.env)
