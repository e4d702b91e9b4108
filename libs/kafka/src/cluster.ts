import { pause } from './backoff.ts'
import { isConnectionError, KafkaError, protocolError, toKafkaError } from './errors.ts'
import { createBroker, createErrorFromCode, logOf, sendChecked, sendRaw, type ApiName, type Broker, type Instead, type KafkaConfig, type Log } from './kafkajs.ts'
import { Leaders, type TopicMetadata } from './leaders.ts'

/** Leaves the broker time between two questions for the same thing. */
const REFRESH_PAUSE_MS = 100
const CLOSE_WITHIN_MS = 1000

interface Metadata {
  brokers: { nodeId: number; host: string; port: number }[]
  topicMetadata: ({ topicErrorCode: number } & TopicMetadata)[]
}

/** `group` and `admin` requests have connections of their own: a join, or a deletion, waits in the broker and holds up all behind it. */
type Purpose = 'data' | 'group' | 'admin'

/**
 * Connections to the brokers and knowledge of who leads what. Unlike kafkajs's Cluster, an error of one topic or
 * partition in the metadata leaves the others usable, and nothing here retries: callers own their deadlines.
 */
export class Cluster {
  readonly log: Log
  readonly #config: KafkaConfig
  readonly #brokers = new Map<string, Broker>()
  readonly #connecting = new WeakMap<object, Promise<unknown>>()
  readonly #wanted = new Set<string>()
  readonly #leaders = new Leaders()
  #addresses = new Map<number, { host: string; port: number }>()
  /** `topics`: how many were wanted when it began; none is ever unwanted. */
  #refreshing: { done: Promise<void>; topics: number } | undefined
  #refreshedAt = -Infinity
  #closed = false

  constructor(config: KafkaConfig) {
    this.#config = config
    this.log = logOf(config)
  }

  /** Topics whose leaders every refresh asks for. */
  want(topics: Iterable<string>): void {
    for (const topic of topics) this.#wanted.add(topic)
  }

  /** From what is known now; undefined before a refresh has seen the topic, and for topics that do not exist. */
  partitionCount(topic: string): number | undefined {
    return this.#leaders.partitionCount(topic)
  }

  /** The node that leads the partition as far as is known; undefined when it is not known, or it has no leader. */
  leader(topic: string, partition: number): number | undefined {
    return this.#leaders.leader(topic, partition)
  }

  /** Of the leader, as far as is known. It rises with every election; requests that carry it are refused by any other leader. */
  leaderEpoch(topic: string, partition: number): number | undefined {
    return this.#leaders.leaderEpoch(topic, partition)
  }

  /** Asks the cluster for brokers and leaders; calls at the same time share one request, if it asks for all topics wanted by now. */
  refresh(): Promise<void> {
    const wanted = this.#wanted.size
    if (this.#refreshing !== undefined) {
      const { done, topics } = this.#refreshing
      return topics === wanted ? done : done.catch(() => {}).then(() => this.refresh())
    }
    const done = this.#refresh().finally(() => {
      this.#refreshing = undefined
      this.#refreshedAt = performance.now()
    })
    this.#refreshing = { done, topics: wanted }
    return done
  }

  async #refresh(): Promise<void> {
    const soonest = this.#refreshedAt + REFRESH_PAUSE_MS - performance.now()
    if (soonest > 0) await pause(soonest)
    if (this.#closed) throw new KafkaError('KAFKA_CLOSED', 'the Kafka client is closed')
    const metadata = await this.#askAny()
    this.#addresses = new Map(metadata.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    for (const { topicErrorCode, ...topicMetadata } of metadata.topicMetadata) {
      const { topic } = topicMetadata
      if (topicErrorCode !== 0) {
        // A topic is unknown for a moment on a broker that just came up; what was known before is the better guess.
        this.log.debug({ topic, error: createErrorFromCode(topicErrorCode).message }, 'no metadata of a topic')
        continue
      }
      if (this.#wanted.has(topic)) this.#leaders.update(topicMetadata)
    }
  }

  async #askAny(): Promise<Metadata> {
    const errors: unknown[] = []
    const args = { topics: [...this.#wanted], allowAutoTopicCreation: false }
    for (const nodeId of this.#addresses.keys()) {
      try {
        return await this.#send(nodeId, 'data', (broker) => sendRaw<Metadata>(broker, 'Metadata', args))
      } catch (error) {
        errors.push(error)
      }
    }
    for (const seed of this.#config.brokers) {
      const [host = seed, port = '9092'] = splitAddress(seed)
      const broker = createBroker(this.#config, { host, port: Number(port), nodeId: null })
      try {
        await this.#connect(broker, 0)
        return await sendRaw<Metadata>(broker, 'Metadata', args)
      } catch (error) {
        errors.push(error)
      } finally {
        this.#drop(broker)
      }
    }
    const last = errors.at(-1)
    if (last !== undefined && !isConnectionError(last)) throw toKafkaError(last, 'asking for metadata')
    throw new KafkaError('KAFKA_UNREACHABLE', `no broker of ${this.#config.brokers.join(', ')} answers`, { cause: last })
  }

  /** Sends to one node; error codes stay in the answer, for each partition to be judged by itself. */
  raw<T>(nodeId: number, api: ApiName, args: object, instead?: Instead<T>): Promise<T> {
    return this.#send(nodeId, 'data', (broker) => sendRaw(broker, api, args, instead), api === 'Fetch' ? 1 : 0)
  }

  /** Sends to one node what may take long there; error codes stay in the answer. */
  rawAdmin<T>(nodeId: number, api: ApiName, args: object): Promise<T> {
    return this.#send(nodeId, 'admin', (broker) => sendRaw(broker, api, args))
  }

  /** Sends to a group's coordinator; error codes stay in the answer. */
  rawGroup<T>(nodeId: number, api: ApiName, args: object): Promise<T> {
    return this.#send(nodeId, 'group', (broker) => sendRaw(broker, api, args))
  }

  /** Sends to a group's coordinator; an error code in the answer is thrown. */
  group<T>(nodeId: number, api: ApiName, args: object): Promise<T> {
    return this.#send(nodeId, 'group', (broker) => sendChecked(broker, api, args))
  }

  /** The node that coordinates the group now. */
  async coordinator(groupId: string): Promise<number> {
    if (this.#addresses.size === 0) await this.refresh()
    let last: unknown
    for (const nodeId of this.#addresses.keys()) {
      try {
        const args = { groupId, coordinatorType: 0 }
        const { coordinator } = await this.#send(nodeId, 'data', (broker) => sendChecked<{ coordinator: { nodeId: number } }>(broker, 'GroupCoordinator', args))
        if (!this.#addresses.has(coordinator.nodeId)) await this.refresh()
        return coordinator.nodeId
      } catch (error) {
        last = error
      }
    }
    await this.refresh()
    throw toKafkaError(last, `looking for the coordinator of ${groupId}`)
  }

  async close(): Promise<void> {
    this.#closed = true
    const brokers = [...this.#brokers.values()]
    this.#brokers.clear()
    const enough = new AbortController()
    await Promise.race([Promise.all(brokers.map((broker) => broker.disconnect())), pause(CLOSE_WITHIN_MS, enough.signal)])
    enough.abort()
    // A broker that hangs would hold the process until its requests time out.
    for (const { connectionPool } of brokers) for (const { socket } of connectionPool.pool) socket?.destroy()
  }

  async #send<T>(nodeId: number, purpose: Purpose, send: (broker: Broker) => Promise<T>, connection = 0): Promise<T> {
    if (this.#closed) throw new KafkaError('KAFKA_CLOSED', 'the Kafka client is closed')
    const address = this.#addresses.get(nodeId)
    if (address === undefined) throw new KafkaError('KAFKA_UNREACHABLE', `broker ${nodeId} is not part of the cluster as last seen`)
    const key = `${purpose} ${nodeId} ${address.host}:${address.port}`
    let broker = this.#brokers.get(key)
    if (broker === undefined) this.#brokers.set(key, (broker = createBroker(this.#config, { ...address, nodeId })))
    try {
      await this.#connect(broker, connection)
      return await send(broker)
    } catch (error) {
      // A connection that failed once is not trusted again: half-open ones time out for ever.
      if (isConnectionError(error) && this.#brokers.get(key) === broker) {
        this.#brokers.delete(key)
        this.#drop(broker)
      }
      throw error
    }
  }

  async #connect(broker: Broker, index: number): Promise<void> {
    await broker.connect()
    const connection = broker.connectionPool.pool[index]
    if (connection === undefined || connection.isConnected()) return
    // kafkajs would open a socket for each of two concurrent callers, and lose one of them.
    let connecting = this.#connecting.get(connection)
    if (connecting === undefined) {
      connecting = connection.connect().finally(() => this.#connecting.delete(connection))
      this.#connecting.set(connection, connecting)
    }
    await connecting
  }

  #drop(broker: Broker): void {
    broker.disconnect().catch((error: unknown) => this.log.debug({ error }, 'a dropped connection did not close cleanly'))
  }
}

/** True where asking for metadata again is the cure. */
export function isStaleMetadata(error: unknown): boolean {
  return isConnectionError(error) || STALE.has(protocolError(error) ?? '')
}
const STALE = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION', 'FENCED_LEADER_EPOCH', 'UNKNOWN_LEADER_EPOCH', 'REPLICA_NOT_AVAILABLE', 'KAFKA_STORAGE_ERROR', 'BROKER_NOT_AVAILABLE'])

const splitAddress = (address: string): string[] => {
  const at = address.lastIndexOf(':')
  return at < 0 ? [address] : [address.slice(0, at), address.slice(at + 1)]
}
