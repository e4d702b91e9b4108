import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startAzurite, type RunningAzurite } from './azurite.ts'
import { startKafka, type RunningKafka } from './kafka.ts'
import { reportSetupError, untilStopped } from './run.ts'

export interface TestInfrastructure {
  kafka: RunningKafka
  azurite: RunningAzurite
  /** What tests read, see libs/testkit/src/infrastructure.ts. */
  env: { LONGTAKE_TEST_KAFKA: string; LONGTAKE_TEST_AZURITE: string }
  stop(): Promise<void>
}

/** One Kafka and one Azurite on free ports, with state in a temporary folder that goes with them. */
export async function startTestInfrastructure(log: (line: string) => void): Promise<TestInfrastructure> {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-test-'))
  const starts = [
    startKafka({ dataDir: join(dataDir, 'kafka'), logFile: join(dataDir, 'kafka.log'), log }),
    startAzurite({ dataDir: join(dataDir, 'azurite') }),
  ] as const
  const [kafka, azurite] = await Promise.all(starts).catch(async (error: unknown) => {
    const results = await Promise.allSettled(starts)
    for (const result of results) if (result.status === 'fulfilled') await result.value.stop()
    throw error
  })
  return {
    kafka,
    azurite,
    env: { LONGTAKE_TEST_KAFKA: kafka.brokers, LONGTAKE_TEST_AZURITE: azurite.connectionString },
    stop: async () => {
      await Promise.all([kafka.stop(), azurite.stop()])
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function main(): Promise<void> {
  const stopped = untilStopped()
  const infrastructure = await startTestInfrastructure(console.error)
  for (const [name, value] of Object.entries(infrastructure.env)) console.log(`export ${name}='${value}'`)
  console.error('Set these in another terminal and run single tests there with node_modules/.bin/node --test. Ctrl-C ends both.')
  await stopped
  await infrastructure.stop()
}

if (import.meta.main) await main().then(() => process.exit(0), reportSetupError)
