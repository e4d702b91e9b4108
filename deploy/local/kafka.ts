import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startChild, waitUntilReady, type Child } from './child.ts'
import { findJava, installKafka } from './kafka-install.ts'
import { freePort } from './ports.ts'

// Not by `import`: @longtake/kafka loads kafkajs anew with repairs, and Node does not forgive that for imported modules.
const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

const LOG4J = fileURLToPath(new URL('kafka-log4j2.properties', import.meta.url))
// One cluster per data folder and never two of them talking to each other, so any valid id does.
const CLUSTER_ID = 'bG9uZ3Rha2UtbG9jYWwtMA'
const READY_WITHIN_MS = 90_000

export interface KafkaOptions {
  /** Its state; a later start with the same folder goes on with it. */
  dataDir: string
  logFile: string
  /** 0 or absent: a free one. */
  port?: number
  controllerPort?: number
  /** Further ports to listen on, each of which tells its clients to come by another one: that of a proxy. */
  proxied?: readonly ProxiedPort[]
  /** Properties of the broker over those that are set here. */
  properties?: Readonly<Record<string, string | number | boolean>>
  /** Passwords of users that may log in by SCRAM-SHA-512, where `properties` open a listener for it. */
  scramUsers?: Readonly<Record<string, string>>
  log?: (line: string) => void
}

export interface ProxiedPort {
  port: number
  advertisedPort: number
}

export interface RunningKafka {
  /** `host:port`, the same after a restart. */
  readonly brokers: string
  readonly pid: number
  /** The present process: another one after {@link restart}. */
  readonly child: Child
  /** Orderly end; resolves when the process is gone. */
  stop(): Promise<void>
  /** SIGKILL, at once. */
  kill(): void
  /** Starts it again at the same address with the same data, after {@link kill}, {@link stop} or while it runs. */
  restart(): Promise<void>
}

/** Starts one Apache Kafka (KRaft, broker and controller in one) and resolves when it answers as a whole cluster. */
export async function startKafka(options: KafkaOptions): Promise<RunningKafka> {
  const port = options.port || (await freePort())
  const controllerPort = options.controllerPort || (await freePort())
  return startNode({ ...options, port, id: 1, controllerPorts: [controllerPort], heap: '512m' })
}

/**
 * Starts so many nodes as one cluster; topics may have as many replicas. Each can be killed and started again by itself,
 * as long as the majority of them is there.
 */
export async function startKafkaCluster(options: Pick<KafkaOptions, 'dataDir' | 'log'> & { logDir: string; size: number }): Promise<RunningKafka[]> {
  const controllerPorts: number[] = []
  while (controllerPorts.length < options.size) controllerPorts.push(await freePort())
  const starts = controllerPorts.map(async (_, index) => {
    const id = index + 1
    const place = { dataDir: join(options.dataDir, String(id)), logFile: join(options.logDir, `kafka-${id}.log`) }
    return startNode({ ...options, ...place, port: await freePort(), id, controllerPorts, heap: '256m' })
  })
  const nodes = await Promise.allSettled(starts)
  const failed = nodes.find((node) => node.status === 'rejected')
  if (failed === undefined) return nodes.flatMap((node) => (node.status === 'fulfilled' ? [node.value] : []))
  for (const node of nodes) if (node.status === 'fulfilled') await node.value.stop()
  throw failed.reason
}

interface NodeOptions extends KafkaOptions {
  /** From 1 on. */
  id: number
  port: number
  /** Of all nodes of the cluster, in the order of their ids. */
  controllerPorts: readonly number[]
  /** As `java -Xmx` takes it. */
  heap: string
}

async function startNode(options: NodeOptions): Promise<RunningKafka> {
  const java = await findJava()
  const classpath = `${await installKafka(options.log)}/*`
  const brokers = `127.0.0.1:${options.port}`
  const logDir = join(options.dataDir, 'log')
  const config = join(options.dataDir, 'server.properties')
  mkdirSync(options.dataDir, { recursive: true })
  writeFileSync(config, properties(logDir, options))
  if (!existsSync(join(logDir, 'meta.properties'))) {
    const users = Object.entries(options.scramUsers ?? {})
    await promisify(execFile)(java, [
      '-Xshare:auto',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      classpath,
      'kafka.tools.StorageTool',
      'format',
      '--ignore-formatted',
      '-t',
      CLUSTER_ID,
      '-c',
      config,
      ...users.flatMap(([name, password]) => ['--add-scram', `SCRAM-SHA-512=[name=${name},password=${password}]`]),
    ])
  }

  const launch = async (): Promise<Child> => {
    const child = await startChild({
      name: 'kafka',
      command: java,
      args: [
        '-Xms128m',
        `-Xmx${options.heap}`,
        '-XX:+UseSerialGC',
        // It is up in two thirds of the time; what the second compiler would make faster later, nobody here waits for.
        '-XX:TieredStopAtLevel=1',
        '-Xshare:auto',
        '-Djava.awt.headless=true',
        `-Dlog4j2.configurationFile=${LOG4J}`,
        '-cp',
        classpath,
        'kafka.Kafka',
        config,
      ],
      output: { file: options.logFile },
    })
    try {
      await waitUntilReady({ child, timeoutMs: READY_WITHIN_MS, logFile: options.logFile, check: () => answersAsCluster(brokers) })
    } catch (error) {
      await child.stop(0)
      throw error
    }
    return child
  }

  let child = await launch()
  return {
    brokers,
    get pid() {
      return child.pid
    },
    get child() {
      return child
    },
    stop: async () => {
      await child.stop()
    },
    kill: () => child.signal('SIGKILL'),
    restart: async () => {
      await child.stop()
      child = await launch()
    },
  }
}

/** Throws unless the broker is registered, unfenced and knows its controller. */
async function answersAsCluster(brokers: string): Promise<void> {
  const client = new kafkajs.Kafka({
    clientId: 'longtake-local',
    brokers: [brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 2000,
    requestTimeout: 5000,
    retry: { retries: 0 },
  })
  const admin = client.admin()
  try {
    await admin.connect()
    const cluster = await admin.describeCluster()
    if (cluster.brokers.length === 0 || cluster.controller === null) throw new Error('the broker is not registered yet')
  } finally {
    await admin.disconnect()
  }
}

function properties(logDir: string, { id, port, controllerPorts, proxied = [], properties: more = {} }: NodeOptions): string {
  const replicas = controllerPorts.length
  const others = proxied.map((ports, index) => ({ name: `PROXIED${index + 1}`, ...ports }))
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': controllerPorts.map((voter, index) => `${index + 1}@127.0.0.1:${voter}`).join(','),
    listeners: [
      `PLAINTEXT://127.0.0.1:${port}`,
      `CONTROLLER://127.0.0.1:${controllerPorts[id - 1]}`,
      ...others.map((other) => `${other.name}://127.0.0.1:${other.port}`),
    ].join(','),
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${port}`, ...others.map(({ name, advertisedPort }) => `${name}://127.0.0.1:${advertisedPort}`)].join(','),
    'listener.security.protocol.map': ['PLAINTEXT', 'CONTROLLER', ...others.map(({ name }) => name)].map((name) => `${name}:PLAINTEXT`).join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': logDir,
    // Topics are made on purpose, with the settings of the contracts; a misspelt name must fail.
    'auto.create.topics.enable': false,
    'num.partitions': 4,
    // Few partitions start faster.
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 8,
    // A group that is away keeps its offsets for 90 days instead of 7, so that it resumes where it stopped.
    'offsets.retention.minutes': 90 * 24 * 60,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': 1,
    // After a kill -9 the broker may register again only when its old session has run out (default 9 s).
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 500,
    'group.initial.rebalance.delay.ms': 100,
    // So that tests may kill consumers and see the others take over soon.
    'group.min.session.timeout.ms': 1000,
    // Only whole segments are deleted: small ones return disk space soon (defaults: 1 GiB, 100 MiB for offsets, checked every 5 minutes).
    'log.segment.bytes': 16 << 20,
    'offsets.topic.segment.bytes': 8 << 20,
    // Preallocated twice for each partition (default: 10 MiB), which is sparse on some file systems only; such a segment needs 40 KiB.
    'log.index.size.max.bytes': 1 << 20,
    'log.retention.check.interval.ms': 30_000,
    'log.segment.delete.delay.ms': 1000,
    'metadata.log.segment.bytes': 16 << 20,
    'metadata.max.retention.bytes': 64 << 20,
    // The default, 128 MB, would be a quarter of this heap.
    'log.cleaner.dedupe.buffer.size': 8 << 20,
    'num.network.threads': 2,
    'num.io.threads': 4,
    ...more,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
