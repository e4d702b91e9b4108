import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startHttpFaultProxy, type HttpFaultProxy, type Random } from '@longtake/testkit'
import { startStickyBalancer } from '../e2e/sticky-balancer.ts'
import { TcpLine } from '../e2e/tcp-line.ts'
import { azuriteConnection } from '../local/azurite.ts'
import { startKafkaCluster, type RunningKafka } from '../local/kafka.ts'
import { freePort } from '../local/ports.ts'
import { SERVICES, type ServiceName } from '../local/services.ts'
import { startSystem, type System } from '../local/system.ts'

/** Commits often, so that a trial of seconds has many of them. */
const QUICK = { LONGTAKE_FIRST_COMMIT: '500ms', LONGTAKE_COMMIT_EVERY: '2s', LONGTAKE_COMMIT_EVERY_CALM: '2s', LONGTAKE_HOLE_WAIT: '1s' }
/** Two of each, so that there is always one to take over; pictures can wait. */
const INSTANCES = { gateway: 2, 'block-writer': 2, completeness: 2, finalizer: 2, query: 2 }
const HEALTHY_WITHIN_MS = 90_000

export const BROKERS = ['three brokers', 'one broker'] as const
export type Brokers = (typeof BROKERS)[number]

/** The running system, with everything between its processes that faults need a hold of. */
export interface Stage {
  readonly system: System
  readonly brokers: readonly RunningKafka[]
  /** All recorders come by it, to each gateway in turn. */
  readonly clients: TcpLine
  /** Between the first instance of each service and Kafka. None with three brokers. */
  readonly toKafka: Readonly<Partial<Record<ServiceName, TcpLine>>>
  /** Between the first instance of each service that uses it and storage. */
  readonly toStorage: Readonly<Partial<Record<ServiceName, TcpLine>>>
  /** What all services say to storage goes through it. */
  readonly storage: HttpFaultProxy
  /** How recorders reach the gateways. */
  readonly ingestUrl: string
  /** Likewise by HTTP polling: each to one gateway as long as it answers. */
  readonly pollingUrl: string
  /** One instance of the service. */
  pick(service: ServiceName, random: Random): string
  /** Ends every fault and resolves when all is up and ready again. */
  restore(): Promise<void>
  stop(): Promise<void>
}

const USES_STORAGE = ['block-writer', 'finalizer', 'remuxer', 'query'] as const satisfies readonly ServiceName[]

export async function setStage(dataDir: string, kind: Brokers, log: (line: string) => void): Promise<Stage> {
  const opened: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close()
  }
  try {
    return await build(dataDir, kind, log, opened, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function build(dataDir: string, kind: Brokers, log: (line: string) => void, opened: (() => Promise<void>)[], stop: () => Promise<void>): Promise<Stage> {
  const line = async (...targets: number[]): Promise<TcpLine> => {
    const made = await TcpLine.to(...targets)
    opened.push(async () => made[Symbol.asyncDispose]())
    return made
  }
  const azuritePort = await freePort()
  const storage = await startHttpFaultProxy(`http://127.0.0.1:${azuritePort}`)
  opened.push(async () => storage[Symbol.asyncDispose]())
  const storagePort = Number(new URL(storage.origin).port)

  const processEnv: Record<string, Record<string, string>> = {}
  const toStorage: Partial<Record<ServiceName, TcpLine>> = {}
  for (const service of USES_STORAGE) {
    const own = await line(storagePort)
    toStorage[service] = own
    processEnv[service] = { AZURE_STORAGE_CONNECTION_STRING: azuriteConnection(own.port) }
    processEnv[`${service}-2`] = { AZURE_STORAGE_CONNECTION_STRING: azuriteConnection(storagePort) }
  }
  const toKafka: Partial<Record<ServiceName, TcpLine>> = {}
  const kafkaProxied: { port: number; advertisedPort: number }[] = []
  if (kind === 'one broker') {
    for (const service of SERVICES) {
      const port = await freePort()
      const own = await line(port)
      toKafka[service] = own
      kafkaProxied.push({ port, advertisedPort: own.port })
      processEnv[service] = { ...processEnv[service], KAFKA_BROKERS: `127.0.0.1:${own.port}` }
    }
  }
  const cluster = kind === 'three brokers' ? await startKafkaCluster({ dataDir: join(dataDir, 'kafka'), logDir: join(dataDir, 'logs'), size: 3, log }) : []
  opened.push(async () => void (await Promise.all(cluster.map((node) => node.stop()))))

  const gateways = [await freePort(), await freePort()]
  const system = await startSystem({
    dataDir,
    instances: INSTANCES,
    env: { ...QUICK, ...(cluster.length > 0 ? { LONGTAKE_TOPIC_REPLICATION: String(cluster.length) } : {}) },
    processEnv,
    kafkaProxied,
    ports: { azurite: azuritePort, gateway: gateways[0]! },
    ...(cluster.length > 0 ? { brokers: cluster.map(({ brokers }) => brokers).join(',') } : {}),
    log,
  })
  opened.push(() => system.stop())
  const gatewayPorts = system.gatewayUrls.map((url) => Number(new URL(url).port))
  const clients = await line(...gatewayPorts)
  const balancer = await startStickyBalancer(gatewayPorts)
  opened.push(async () => balancer[Symbol.asyncDispose]())
  const lines = [clients, ...Object.values(toKafka), ...Object.values(toStorage)]
  const brokers = system.kafka === undefined ? cluster : [system.kafka]

  return {
    system, brokers, clients, toKafka, toStorage, storage, stop,
    ingestUrl: `ws://127.0.0.1:${clients.port}`,
    pollingUrl: `ws://127.0.0.1:${balancer.port}`,
    pick: (service, random) => random.pick(instancesOf(system, service)),
    restore: async () => {
      for (const each of lines) each.mend()
      await Promise.all([...brokers, ...(system.azurite === undefined ? [] : [system.azurite])].map(restoreInfrastructure))
      await Promise.all(system.processes.names().map((name) => restoreProcess(system, name)))
    },
  }
}

export function instancesOf(system: System, service: ServiceName): string[] {
  return system.processes.names().filter((name) => name === service || name === `${service}-2`)
}

async function restoreInfrastructure(part: Pick<RunningKafka, 'child' | 'restart'>): Promise<void> {
  if (part.child.exit() === undefined) part.child.signal('SIGCONT')
  else await part.restart()
}

async function restoreProcess({ processes }: System, name: string): Promise<void> {
  if (isRunning(processes, name)) processes.kill(name, 'SIGCONT')
  else await processes.restart(name)
  const deadline = Date.now() + HEALTHY_WITHIN_MS
  for (;;) {
    const answer = await fetch(`${processes.healthUrl(name)}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    if (answer?.ok) return
    if (Date.now() > deadline) throw new Error(`${name} did not get ready again within ${HEALTHY_WITHIN_MS} ms: ${await answer?.text()}`)
    await delay(100)
  }
}

function isRunning(processes: System['processes'], name: string): boolean {
  try {
    process.kill(processes.pid(name), 0)
    return true
  } catch {
    return false
  }
}
