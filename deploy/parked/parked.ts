import { TOPICS } from '@longtake/contracts'
import { createProducer, type KafkaConfig } from '@longtake/kafka'
import { createLogger, kafkaConnection, kafkaSettings, readEnv, type Env } from '@longtake/service'
import { reasons } from '../local/run.ts'
import { readCommand, USAGE, UsageError, type Command } from './arguments.ts'
import { select } from './backlog.ts'
import { describeBacklog, recordLines, size } from './report.ts'
import { readBacklog, replay, truncateSentBack } from './replay.ts'

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
  const left = chosen.some(({ place }) => place === TOPICS.unwritable.name) ? await whyNotDeleted(kafka) : undefined
  return [
    `Sent back to where they were read: ${counted(count.sent, 'record')}.`,
    ...(count.superseded > 0 ? [`Not needed any more, since a newer status of the session stands behind them: ${counted(count.superseded, 'record')}.`] : []),
    ...(left === undefined ? [] : [left]),
    'Run `npm run parked` again in a minute: what could not be handled this time is parked anew.',
  ].join('\n')
}

/** Deletes what was sent back from where no clock does. What stays costs disk, and is no longer listed. */
async function whyNotDeleted(kafka: KafkaConfig): Promise<string | undefined> {
  try {
    await truncateSentBack(kafka)
    return undefined
  } catch (error) {
    return `Their copies stay in ${TOPICS.unwritable.name}, which needs the right Delete to be truncated: ${reasons(error)}`
  }
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

function kafkaOf(env: Env): KafkaConfig {
  const config = readEnv(env, kafkaSettings)
  return kafkaConnection({ ...config, instance: String(process.pid) }, 'parked', createLogger({ service: 'parked', level: 'silent' }))
}

/** Of the shared settings; without any it speaks to the Kafka that `npm start` runs on this machine. */
async function main(args: readonly string[], env: Env): Promise<void> {
  const local = `127.0.0.1:${env['LONGTAKE_LOCAL_KAFKA_PORT'] || '19092'}`
  try {
    console.log(await parked(readCommand(args), kafkaOf({ ...env, KAFKA_BROKERS: env['KAFKA_BROKERS'] || local })))
  } catch (error) {
    process.exitCode = 1
    if (error instanceof UsageError) return console.error(`parked: ${error.message}\n\n${USAGE}`)
    console.error(`parked: ${reasons(error)}`)
    if (!env['KAFKA_BROKERS']) console.error(`Kafka was looked for at ${local}: run \`npm start\` in another terminal, or set KAFKA_BROKERS.`)
  }
}

if (import.meta.main) await main(process.argv.slice(2), process.env)
