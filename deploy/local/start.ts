import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LongtakeError } from '@longtake/contracts'
import { KafkaError } from '@longtake/kafka'
import { nearNames } from '@longtake/service'
import { killChildren } from './child.ts'
import { careFor, refuseFullData } from './care.ts'
import { parseDataLimit, resetData } from './data-folder.ts'
import { LauncherOutput } from './launcher-output.ts'
import { type PidLock, takePidLock } from './pid-lock.mjs'
import { isFree } from './ports.ts'
import { onStopAgain, reportSetupError, untilStopped } from './run.ts'
import { HEALTH_PORTS, healthPortVariable, SERVICES, type ServiceName } from './services.ts'
import { SetupError } from './setup-error.ts'
import { startSystem, type SystemOptions, type SystemPorts } from './system.ts'
import { ROOT } from './test-files.ts'

const DATA_DIR = resolve(ROOT, process.env['LONGTAKE_LOCAL_DATA'] || '.data')
/** What the watchdog may take to end what a killed start has left. */
const LEFTOVERS_GONE_MS = 30_000
/** Ctrl-C: what has not ended in order by then is killed; then the launcher itself ends. */
const KILL_AFTER_MS = 7500
/**
 * Default of `LONGTAKE_SHUTDOWN_TIMEOUT` for `npm start`: short enough that the services stopped last have time as
 * well. block-writer reads from Kafka at the next start what it has not committed by then.
 */
const SERVICE_SHUTDOWN_TIMEOUT = '4s'
const STOPPED_WITHIN_MS = 9500
const say = (line: string): void => console.log(`longtake: ${line}`)

interface NamedPort {
  port: number
  what: string
  variable: string
}

function readPort(variable: string, fallback: number, what: string): NamedPort {
  const text = process.env[variable]
  const port = text ? Number(text) : fallback
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new SetupError(`${variable} is ${text}, which is no port: give a number from 1 to 65535.`)
  return { port, what, variable }
}

function readPorts(ownKafka: boolean, ownAzurite: boolean) {
  const query = readPort('LONGTAKE_QUERY_PORT', 8080, 'the pages and the API')
  const gateway = readPort('LONGTAKE_GATEWAY_PORT', 8081, 'the gateway')
  const kafka = readPort('LONGTAKE_LOCAL_KAFKA_PORT', 19_092, 'Kafka')
  const kafkaController = readPort('LONGTAKE_LOCAL_KAFKA_CONTROLLER_PORT', 19_093, "Kafka's controller")
  const azurite = readPort('LONGTAKE_LOCAL_AZURITE_PORT', 11_000, 'Azurite')
  const health = SERVICES.map((service) => [service, readPort(healthPortVariable(service), HEALTH_PORTS[service], `the health of ${service}`)] as const)
  const used = [query, gateway, ...(ownKafka ? [kafka, kafkaController] : []), ...(ownAzurite ? [azurite] : []), ...health.map(([, port]) => port)]
  const ports: SystemPorts = {
    query: query.port,
    gateway: gateway.port,
    kafka: kafka.port,
    kafkaController: kafkaController.port,
    azurite: azurite.port,
    health: Object.fromEntries(health.map(([service, { port }]) => [service, port])) as Record<ServiceName, number>,
  }
  return { ports, used }
}

/** After a killed start its watchdog may still be ending the leftovers: then a taken port is waited for. */
async function checkPorts(used: readonly NamedPort[], waitMs: number): Promise<void> {
  const deadline = Date.now() + waitMs
  for (const { port, what, variable } of used) {
    for (let said = false; !(await isFree(port)); said = true) {
      if (Date.now() > deadline)
        throw new SetupError(`port ${port} (${what}) is taken: end the program that listens there, or choose another one: ${variable}=${await nextFree(port, used)} npm start.`)
      if (!said) say(`waiting for what a killed run has left on port ${port} to end …`)
      await delay(200)
    }
  }
}

/** The next one that is free and that nothing else here wants: beside 8080 lies the gateway's 8081. */
async function nextFree(port: number, used: readonly NamedPort[]): Promise<number> {
  let next = port + 1
  while (used.some((other) => other.port === next) || !(await isFree(next))) next += 1
  return next
}

/** Services are given all of these, so that none of them could tell who has mistyped one. */
function refuseNearNames(): void {
  const ports = ['LONGTAKE_QUERY_PORT', 'LONGTAKE_GATEWAY_PORT', 'LONGTAKE_LOCAL_KAFKA_PORT', 'LONGTAKE_LOCAL_KAFKA_CONTROLLER_PORT', 'LONGTAKE_LOCAL_AZURITE_PORT', ...SERVICES.map(healthPortVariable)]
  const others = ['LONGTAKE_LOCAL_DATA', 'LONGTAKE_DATA_LIMIT', 'LONGTAKE_QUERY_PUBLIC_URL', 'LONGTAKE_GATEWAY_PUBLIC_URL', 'LONGTAKE_AZURE_ACCOUNT_URL', 'LONGTAKE_AZURE_CONTAINER', 'LONGTAKE_API_KEY', 'LONGTAKE_TOKEN_SECRET']
  const near = nearNames(process.env, [...ports, ...others])
  if (near.length > 0) throw new SetupError(near.join(' '))
}

function readStorage(): SystemOptions['storage'] {
  const connectionString = process.env['AZURE_STORAGE_CONNECTION_STRING']
  const accountUrl = process.env['LONGTAKE_AZURE_ACCOUNT_URL']
  if (connectionString && accountUrl) throw new SetupError('AZURE_STORAGE_CONNECTION_STRING and LONGTAKE_AZURE_ACCOUNT_URL are both set: unset one of them.')
  if (connectionString) return { connectionString }
  return accountUrl ? { accountUrl } : undefined
}

/** Keys given in the environment win over this machine's own. */
function givenKeys(): Record<string, string> {
  return Object.fromEntries(['LONGTAKE_API_KEY', 'LONGTAKE_TOKEN_SECRET'].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

/** A Kafka or a storage that was named, and not started here, is the user's to mend. */
function orUnusable(error: unknown): unknown {
  const brokers = process.env['KAFKA_BROKERS']
  if (brokers && error instanceof KafkaError && error.code === 'KAFKA_UNREACHABLE')
    return new SetupError(`no Kafka answers at ${brokers} (KAFKA_BROKERS): start it, or unset KAFKA_BROKERS, and this brings its own.`, { cause: error })
  if (readStorage() !== undefined && error instanceof LongtakeError && error.code.startsWith('BLOB_'))
    return new SetupError(`the storage that was named cannot be used (${error.code}: ${error.message}): mend that, or unset its variable, and this brings its own.`, { cause: error })
  return error
}

const LOCK_FILE = join(DATA_DIR, 'start.pid')
/** Names the process that is stopping: a start meanwhile waits for it. */
const STOPPING_FILE = join(DATA_DIR, 'start.stopping')

/** Undefined when aborted while it waits for the process before to stop. */
async function takeLock(signal: AbortSignal): Promise<Extract<PidLock, { stale: boolean }> | undefined> {
  const deadline = Date.now() + STOPPED_WITHIN_MS + 5000
  let notStopping = 0
  for (let announced = false; ; ) {
    const lock = takePidLock(LOCK_FILE, 'start.ts')
    if (lock.owner === undefined) return lock
    // It may have ended between the two looks, which takes its stopping file away as well: then the next look finds no owner.
    notStopping = isStopping(lock.owner) ? 0 : notStopping + 1
    if (notStopping > 1 || Date.now() > deadline) {
      throw new SetupError(
        `it runs already with the data in ${DATA_DIR} as process ${lock.owner}: use that one, or end it by Ctrl-C in its terminal (or kill ${lock.owner}).`,
      )
    }
    if (!announced && notStopping === 0) {
      announced = true
      say(`waiting for process ${lock.owner} to stop …`)
    }
    await delay(200)
    if (signal.aborted) return undefined
  }
}

function isStopping(owner: number): boolean {
  return existsSync(STOPPING_FILE) && readFileSync(STOPPING_FILE, 'utf8') === String(owner)
}

/** From now on this process ends in time, whatever of its children is dead or hangs. */
function boundStop(failure: () => Error | undefined): void {
  writeFileSync(STOPPING_FILE, String(process.pid))
  // Killed again and again: a child may be starting right now.
  setTimeout(() => setInterval(killChildren, 250), KILL_AFTER_MS).unref()
  const endNow = (line: string): never => {
    say(line)
    killChildren()
    // The lock stays: the next start sees that this one has not ended orderly, and waits for its ports.
    const error = failure()
    return error === undefined ? process.exit(0) : reportSetupError(error)
  }
  setTimeout(() => endNow('stopped by force; nothing acknowledged is lost.'), STOPPED_WITHIN_MS)
  onStopAgain(() => endNow('stopped at once; nothing acknowledged is lost.'))
}

async function stopWhenAsked(stopping: AbortController): Promise<void> {
  const why = await untilStopped()
  say(`stopping everything (${why}) …`)
  stopping.abort()
}

function readArguments(): { reset: boolean } {
  const unknown = process.argv.slice(2).find((argument) => argument !== '--reset')
  if (unknown !== undefined) throw new SetupError(`${unknown} is no option: npm start [-- --reset].`)
  return { reset: process.argv.includes('--reset') }
}

async function main(): Promise<void> {
  const beginning = performance.now()
  const { reset } = readArguments()
  const stopping = new AbortController()
  let failure: Error | undefined
  const stopped = stopWhenAsked(stopping)
  refuseNearNames()
  const limitBytes = parseDataLimit(process.env['LONGTAKE_DATA_LIMIT'] || '20GiB')
  const lock = await takeLock(stopping.signal)
  if (lock === undefined) return
  stopping.signal.addEventListener('abort', () => boundStop(() => failure))
  if (stopping.signal.aborted) return lock.release()
  try {
    const brokers = process.env['KAFKA_BROKERS']
    const storage = readStorage()
    const { ports, used } = readPorts(!brokers, !storage)
    await checkPorts(used, lock.stale ? LEFTOVERS_GONE_MS : 0)
    if (reset) {
      resetData(DATA_DIR)
      say(`deleted the recordings, topics and logs in ${DATA_DIR}.`)
    }
    await refuseFullData(DATA_DIR, limitBytes)
    // Of the previous run.
    rmSync(join(DATA_DIR, 'logs'), { recursive: true, force: true })
    say('starting …')
    const output = new LauncherOutput()
    const system = await startSystem({
      dataDir: DATA_DIR,
      baseEnv: { LONGTAKE_SHUTDOWN_TIMEOUT: SERVICE_SHUTDOWN_TIMEOUT, ...(brokers ? { LONGTAKE_TOPIC_REPLICATION: String(Math.min(3, brokers.split(',').length)) } : {}), ...process.env },
      env: givenKeys(),
      ports,
      ...(brokers ? { brokers } : {}),
      ...(storage ? { storage } : {}),
      onLine: (name, text) => output.line(name, text),
      onRestart: (name, { code, signal }, pauseMs) => say(`${name} ended (${signal ?? `exit code ${code}`}), it is started again in ${pauseMs / 1000} s`),
      log: say,
      signal: stopping.signal,
    })
    console.log(`
longtake is ready after ${((performance.now() - beginning) / 1000).toFixed(1)} s.

  record     ${system.queryUrl}/record#key=${encodeURIComponent(system.apiKey)}
  API        ${system.queryUrl}/docs   (Authorization: Bearer ${system.apiKey})
  gateway    ${system.gatewayUrl}
  Kafka      ${system.brokers}
  storage    ${system.azurite?.url ?? 'as configured'}
  data       ${DATA_DIR}   (logs in ${join(DATA_DIR, 'logs')})

Ctrl-C stops everything; the next start goes on with the data.
`)
    const care = careFor(system, { dataDir: DATA_DIR, limitBytes, log: say })
    await Promise.race([stopped, care.failed]).catch((error: Error) => {
      failure = error
      say('stopping everything …')
      stopping.abort()
    })
    await care.stop()
    await system.stop()
    if (failure !== undefined) throw failure
    say('stopped, nothing is left running.')
  } catch (error) {
    if (failure !== undefined || !stopping.signal.aborted) throw orUnusable(error)
    say('stopped before it was ready, nothing is left running.')
  } finally {
    rmSync(STOPPING_FILE, { force: true })
    lock.release()
  }
}

await main().then(() => process.exit(0), reportSetupError)
