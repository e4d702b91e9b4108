import { join } from 'node:path'
import { DEFAULT_PARTITIONS } from '@longtake/contracts'
import { provision } from '../provision.ts'
import { startAzurite, type RunningAzurite } from './azurite.ts'
import { buildBundles } from './build.ts'
import type { Exit } from './child.ts'
import { findJava, installKafka } from './kafka-install.ts'
import { startKafka, type ProxiedPort, type RunningKafka } from './kafka.ts'
import { readOrMakeKeys } from './keys.ts'
import { freePort } from './ports.ts'
import { Processes, type ProcessSpec } from './processes.ts'
import { allocatorEnv, healthPortVariable, SERVICES, type ServiceName, STOP_ORDER } from './services.ts'
import { ROOT } from './test-files.ts'
import { prepareUws } from './uws-glibc.ts'

export interface SystemOptions {
  /** All state: Kafka's, Azurite's, keys, logs. A later system with the same folder goes on with it. */
  dataDir: string
  /** Which services to run; default: all. */
  services?: readonly ServiceName[]
  /** How many of one, where not one. */
  instances?: Partial<Record<ServiceName, number>>
  /** For all services, over what is set here. */
  env?: Record<string, string>
  /** For one process, by its name, over that. */
  processEnv?: Readonly<Record<string, Record<string, string>>>
  /** What services inherit; default: this process's environment without anything that concerns Longtake, Kafka, Azure or telemetry. */
  baseEnv?: NodeJS.ProcessEnv
  /** Default: free ones. */
  ports?: Partial<SystemPorts>
  /** Further ways into the own Kafka. */
  kafkaProxied?: readonly ProxiedPort[]
  /** A Kafka that runs already, as `host:port,…`; default: an own one. */
  brokers?: string
  /** A storage that runs already; default: an own Azurite. */
  storage?: { connectionString: string } | { accountUrl: string }
  /** Each line that a service writes. All go to `<dataDir>/logs` as well. */
  onLine?: (name: string, text: string) => void
  /** If given, a service that ends by itself is started again after a pause, and it is told here. */
  onRestart?: (name: string, exit: Exit, pauseMs: number) => void
  /** Gives a start up: what runs is stopped, and the start fails with the signal's reason. */
  signal?: AbortSignal
  /** Progress of the start and stop. */
  log?: (line: string) => void
}

export interface SystemPorts {
  query: number
  gateway: number
  kafka: number
  kafkaController: number
  azurite: number
  /** Of the first instance of each service; further ones get free ones. */
  health: Partial<Record<ServiceName, number>>
}

export interface System {
  /** Of the first query service; others are in {@link queryUrls}. */
  queryUrl: string
  queryUrls: string[]
  /** `ws://127.0.0.1:…`, of the first gateway; others are in {@link gatewayUrls}. */
  gatewayUrl: string
  gatewayUrls: string[]
  /** For admin calls, as `Authorization: Bearer`. */
  apiKey: string
  tokenSecret: string
  brokers: string
  /** Undefined where storage is an account that is spoken to by identity. */
  connectionString: string | undefined
  container: string
  /** Undefined where they run elsewhere. */
  kafka: RunningKafka | undefined
  azurite: RunningAzurite | undefined
  /** `gateway`, `block-writer`, …, and `block-writer-2` for a second instance. */
  processes: Processes
  /** Everything in order: gateways drain, then the consumers, the query service, at last Kafka and Azurite. */
  stop(): Promise<void>
}

const CONTAINER = 'recordings'
/** The disk of a laptop holds no hour of what a load test records: what is committed is freed soon, and the rest is bounded. */
const OWN_DISK = { LONGTAKE_TOPIC_SEGMENT: '16MiB', LONGTAKE_CHUNKS_KEEP: '5m', LONGTAKE_GATEWAY_BACKLOG: '6GiB', LONGTAKE_PARKED_BYTES: '1GiB' }
const FOREIGN = /^(LONGTAKE_|KAFKA_|AZURE_|OTEL_)/

/** Starts Kafka, Azurite and the services as processes and resolves when all are ready; a failed start leaves nothing. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const log = options.log ?? (() => undefined)
  prepareUws(log)
  const running: { stop(): Promise<void> }[] = []
  const stop = async (): Promise<void> => {
    for (const part of running.toReversed()) await part.stop()
  }
  const onAbort = (): void => void stop()
  options.signal?.addEventListener('abort', onAbort)
  try {
    return await start(options, log, running, stop)
  } catch (error) {
    await stop()
    options.signal?.throwIfAborted()
    throw error
  } finally {
    options.signal?.removeEventListener('abort', onAbort)
  }
}

async function start(options: SystemOptions, log: (line: string) => void, running: { stop(): Promise<void> }[], stop: () => Promise<void>): Promise<System> {
  const { dataDir } = options
  const logDir = join(dataDir, 'logs')
  const keys = readOrMakeKeys(dataDir)

  const { kafka, azurite } = await startInfrastructure(options, logDir, log, running)
  options.signal?.throwIfAborted()
  const brokers = kafka?.brokers ?? options.brokers ?? ''
  const storage = options.storage ?? { connectionString: azurite?.connectionString ?? '' }
  const container = options.env?.['LONGTAKE_AZURE_CONTAINER'] ?? options.baseEnv?.['LONGTAKE_AZURE_CONTAINER'] ?? CONTAINER
  const addresses = await planAddresses(options)
  const env: NodeJS.ProcessEnv = {
    LONGTAKE_QUERY_PUBLIC_URL: addresses.queryUrl,
    LONGTAKE_GATEWAY_PUBLIC_URL: addresses.gatewayUrls[0],
    ...(kafka ? OWN_DISK : {}),
    ...(options.baseEnv ?? withoutForeign(process.env)),
    KAFKA_BROKERS: brokers,
    ...storageEnv(storage),
    LONGTAKE_AZURE_CONTAINER: container,
    LONGTAKE_API_KEY: keys.apiKey,
    LONGTAKE_TOKEN_SECRET: keys.tokenSecret,
    ...(kafka ? { LONGTAKE_TOPIC_REPLICATION: '1' } : {}),
    ...options.env,
  }
  for (const change of await provision(env, DEFAULT_PARTITIONS)) log(change)
  options.signal?.throwIfAborted()
  const processes = new Processes({
    specs: await planProcesses(options, addresses, env),
    logDir,
    onLine: options.onLine,
    onRestart: options.onRestart,
  })
  running.push({ stop: () => stopServices(processes, log) })
  if (options.services === undefined || options.services.includes('query')) await buildBundles(log)
  await Promise.all(processes.names().map((name) => processes.start(name)))

  return {
    queryUrl: addresses.queryUrl,
    queryUrls: addresses.queries.map(httpUrl),
    gatewayUrl: addresses.gatewayUrls[0] ?? '',
    gatewayUrls: addresses.gatewayUrls,
    apiKey: env['LONGTAKE_API_KEY'] ?? '',
    tokenSecret: env['LONGTAKE_TOKEN_SECRET'] ?? '',
    brokers,
    connectionString: 'connectionString' in storage ? storage.connectionString : undefined,
    container,
    kafka,
    azurite,
    processes,
    stop,
  }
}

/** Both at once; whatever has started is in `running`, also when the other fails. */
async function startInfrastructure(
  { dataDir, storage, brokers, kafkaProxied = [], ports = {} }: SystemOptions,
  logDir: string,
  log: (line: string) => void,
  running: { stop(): Promise<void> }[],
): Promise<{ kafka: RunningKafka | undefined; azurite: RunningAzurite | undefined }> {
  const kafkaPorts = {
    ...(ports.kafka === undefined ? {} : { port: ports.kafka }),
    ...(ports.kafkaController === undefined ? {} : { controllerPort: ports.kafkaController }),
  }
  const azuritePort = ports.azurite === undefined ? {} : { port: ports.azurite }
  // First what may be missing on this machine, before anything runs that would have to be stopped again.
  if (brokers === undefined) {
    await findJava()
    await installKafka(log)
  }
  const [kafka, azurite] = await Promise.allSettled([
    brokers === undefined ? startKafka({ dataDir: join(dataDir, 'kafka'), logFile: join(logDir, 'kafka.log'), log, proxied: kafkaProxied, ...kafkaPorts }) : undefined,
    storage === undefined ? startAzurite({ dataDir: join(dataDir, 'azurite'), logFile: join(logDir, 'azurite.log'), ...azuritePort }) : undefined,
  ])
  for (const result of [azurite, kafka]) if (result.status === 'fulfilled' && result.value) running.push(result.value)
  if (kafka.status === 'rejected') throw kafka.reason
  if (azurite.status === 'rejected') throw azurite.reason
  return { kafka: kafka.value, azurite: azurite.value }
}

interface Addresses {
  /** One for each query service. */
  queries: number[]
  queryUrl: string
  /** One for each gateway. */
  gateways: number[]
  gatewayUrls: string[]
}

const httpUrl = (port: number): string => `http://127.0.0.1:${port}`

async function planAddresses({ ports = {}, instances = {} }: SystemOptions): Promise<Addresses> {
  const query = ports.query ?? (await freePort())
  const queries = [query]
  while (queries.length < (instances.query ?? 1)) queries.push(await freePort())
  const gateways = [ports.gateway ?? (await freePort())]
  while (gateways.length < (instances.gateway ?? 1)) gateways.push(await freePort())
  return { queries, queryUrl: httpUrl(query), gateways, gatewayUrls: gateways.map((port) => `ws://127.0.0.1:${port}`) }
}

async function planProcesses(options: SystemOptions, { gateways, queries }: Addresses, env: NodeJS.ProcessEnv): Promise<ProcessSpec[]> {
  const specs: ProcessSpec[] = []
  for (const service of options.services ?? SERVICES) {
    for (let index = 0; index < (options.instances?.[service] ?? 1); index += 1) {
      const name = index === 0 ? service : `${service}-${index + 1}`
      const healthPort = (index === 0 ? options.ports?.health?.[service] : undefined) ?? (await freePort())
      const own = {
        LONGTAKE_INSTANCE: name,
        [healthPortVariable(service)]: String(healthPort),
        ...(service === 'gateway' ? { LONGTAKE_GATEWAY_PORT: String(gateways[index]) } : {}),
        ...(service === 'query' ? { LONGTAKE_QUERY_PORT: String(queries[index]) } : {}),
        ...options.processEnv?.[name],
      }
      specs.push({ name, script: join(ROOT, 'services', service, 'src', 'main.ts'), healthPort, env: { ...allocatorEnv(service), ...env, ...own } })
    }
  }
  return specs
}

/** Stops one group of {@link STOP_ORDER} after the other, all instances of a group together. */
async function stopServices(processes: Processes, log: (line: string) => void): Promise<void> {
  processes.expectEnd()
  for (const services of STOP_ORDER) {
    const names = processes.names().filter((name) => services.some((service: string) => name === service || new RegExp(`^${service}-\\d+$`).test(name)))
    await Promise.all(
      names.map(async (name) => {
        const exit = await processes.stop(name)
        if (exit?.signal === 'SIGKILL') log(`${name} had to be killed`)
        else if (exit?.code) log(`${name} ended with exit code ${exit.code}`)
      }),
    )
  }
}

function withoutForeign(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !FOREIGN.test(name)))
}

function storageEnv(storage: NonNullable<SystemOptions['storage']>): Record<string, string> {
  return 'connectionString' in storage ? { AZURE_STORAGE_CONNECTION_STRING: storage.connectionString } : { LONGTAKE_AZURE_ACCOUNT_URL: storage.accountUrl }
}
