import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheDir } from './cache.ts'
import { SetupError } from './setup-error.ts'

const run = promisify(execFile)
const KAFKA_VERSION = '4.3.0'
const OLDEST_JAVA = 17
const POM = fileURLToPath(new URL('kafka-pom.xml', import.meta.url))
const INSTEAD = 'or set KAFKA_BROKERS to a Kafka that runs already.'

/** The `java` to use (`JAVA_HOME` first); fails with a {@link SetupError} when there is none or it is too old. */
export async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME']
  const java = home && existsSync(join(home, 'bin', 'java')) ? join(home, 'bin', 'java') : 'java'
  const version = await run(java, ['-version']).then(
    ({ stderr, stdout }) => stderr + stdout,
    () => undefined,
  )
  if (version === undefined) {
    throw new SetupError(`Java is missing: install Java ${OLDEST_JAVA} or later (Debian, Ubuntu: apt install openjdk-17-jre-headless) ${INSTEAD}`)
  }
  const major = Number(/version "(?:1\.)?(\d+)/.exec(version)?.[1])
  if (!(major >= OLDEST_JAVA)) {
    throw new SetupError(`Java ${major} is too old: install Java ${OLDEST_JAVA} or later, point JAVA_HOME to it, ${INSTEAD}`)
  }
  return java
}

/** The folder with Kafka's jars, fetched by Maven on first use. Safe for several callers at once. */
export async function installKafka(log: (line: string) => void = () => undefined): Promise<string> {
  const target = join(cacheDir(), `kafka-${KAFKA_VERSION}`)
  if (existsSync(target)) return target
  log(`fetching Apache Kafka ${KAFKA_VERSION} (54 MB, once) into ${target}`)
  mkdirSync(dirname(target), { recursive: true })
  const building = mkdtempSync(`${target}.building-`)
  try {
    cpSync(POM, join(building, 'pom.xml'))
    await runMaven(building)
    try {
      renameSync(join(building, 'libs'), target)
    } catch (error) {
      // Someone else was faster: theirs is as good.
      if (!existsSync(target)) throw error
    }
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
  return target
}

async function runMaven(directory: string): Promise<void> {
  try {
    await run(
      'mvn',
      [
        '--batch-mode',
        '--quiet',
        '--file',
        join(directory, 'pom.xml'),
        'dependency:copy-dependencies',
        '-DincludeScope=runtime',
        `-DoutputDirectory=${join(directory, 'libs')}`,
      ],
      { maxBuffer: 16 << 20 },
    )
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stdout?: string }
    if (failure.code === 'ENOENT') {
      throw new SetupError(`Maven is missing, which fetches Kafka once: install it (Debian, Ubuntu: apt install maven) ${INSTEAD}`)
    }
    const reason = failure.stdout?.split('\n').find((line) => line.includes('[ERROR]')) ?? failure.message
    throw new SetupError(`Maven could not fetch Kafka ${KAFKA_VERSION}, check the network and try again, ${INSTEAD} Maven says: ${reason.trim()}`)
  }
}
