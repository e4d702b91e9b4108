import { encodeDeclaration, encodeEvent, partitionOf, TOPICS, type EncodedRecord } from '@longtake/contracts'
import { createProducer, type Producer } from '@longtake/kafka'
import { seededRandom, type Random } from '@longtake/testkit'
import { Browser } from '../browser.ts'
import { SimKafka } from '../kafka/cluster.ts'
import type { Mutation } from '../mutations.ts'
import { Model } from '../model.ts'
import type { Plan, ServiceKind, SessionPlan } from '../plan.ts'
import { Weather } from './weather.ts'
import { enter } from './install.ts'
import { Supervisor } from './supervisor.ts'
import { SimStorage } from './storage.ts'
import { Tcp } from './tcp.ts'
import { Trace } from './trace.ts'
import { SimProcess, VirtualTime } from './virtual-time.ts'
import { useWebSockets, type SimWebSocket } from './websocket.ts'

export interface WorldOptions {
  readonly write: ((line: string) => void) | undefined
  readonly mutation: Mutation | undefined
}

/** Everything of one run: time, network, Kafka, storage, services, browsers, and the oracle that watches. */
export class World {
  readonly plan: Plan
  readonly mutation: Mutation | undefined
  readonly time = new VirtualTime()
  readonly trace: Trace
  readonly random: Random
  readonly weather: Weather
  readonly kafka: SimKafka
  readonly storage: SimStorage
  readonly tcp: Tcp
  readonly model: Model
  readonly services: Supervisor
  readonly pages = new Map<SimProcess, Browser>()
  readonly browsers: Browser[]
  readonly #sockets = new Set<SimWebSocket>()
  readonly #backend = new SimProcess('backend')
  #producer: Producer | undefined

  constructor(plan: Plan, { write, mutation }: WorldOptions) {
    this.plan = plan
    this.mutation = mutation
    const { time } = this
    this.trace = new Trace(time, write)
    this.random = seededRandom(plan.seed * 7919 + 1)
    this.weather = new Weather(time, seededRandom(plan.seed * 7919 + 2))
    this.tcp = new Tcp(time, (client, host) => this.weather.linkMs(client, host))
    enter({
      time,
      random: seededRandom(plan.seed * 7919 + 3),
      connect: (address, onConnect) => this.tcp.connect(address, onConnect),
    })
    this.kafka = new SimKafka({
      time,
      trace: this.trace,
      tcp: this.tcp,
      random: seededRandom(plan.seed * 7919 + 4),
      topics: Object.values(TOPICS).map(({ name }) => name),
      partitions: plan.partitions,
      idleFactor: plan.idleFactor,
      mutation,
      onCommit: (commit) => this.model.committed(commit),
    })
    this.storage = new SimStorage({ time, trace: this.trace, mutation, fate: () => this.weather.storageFate() })
    this.model = new Model({ time, trace: this.trace, kafka: this.kafka, storage: this.storage, plan })
    this.services = new Supervisor({
      time,
      trace: this.trace,
      store: this.storage.port,
      holeWaitMs: plan.holeWaitMs,
      onDeath: (reason) => this.model.broken('crash', reason),
    })
    useWebSockets({
      time,
      trace: this.trace,
      route: () => this.services.ingest(this.random),
      delayMs: (page) => (time.now < (this.pages.get(page)?.offlineUntil ?? 0) ? null : this.weather.clientMs()),
      onSent: () => undefined,
      opened: (socket) => void this.#sockets.add(socket),
    })
    this.browsers = plan.sessions.flatMap((session) =>
      session.clients.map((client, index) => new Browser(this, session, client, index)),
    )
  }

  start(): void {
    for (const kind of ['gateway', 'block-writer', 'completeness', 'finalizer'] as const satisfies ServiceKind[]) {
      for (let index = 0; index < this.plan.instances[kind]; index += 1) this.services.start(kind, index)
    }
    this.#backend.run(() => {
      this.#producer = createProducer({ kafka: { brokers: ['broker-0:9092', 'broker-1:9092'], clientId: 'backend' } })
    })
    for (const session of this.plan.sessions) this.#act(session)
    for (const browser of this.browsers) browser.start()
  }

  cutClients(matches: (socket: SimWebSocket) => boolean): void {
    for (const socket of this.#sockets) {
      if (!matches(socket)) continue
      this.#sockets.delete(socket)
      const notices = (): number | null => (this.random.chance(0.1) ? null : this.random.between(0, 3000))
      socket.cut(notices(), notices())
    }
  }

  /** What the backend does about a session. */
  #act({ id, startsAt, end, clients, deletedAt, heldAt }: SessionPlan): void {
    const { time } = this
    const at = (): string => new Date().toISOString()
    const createdAt = Math.max(0, startsAt - 500)
    time.at(createdAt, () =>
      this.#publish(TOPICS.events.name, () =>
        encodeEvent({ type: 'session-created', session: id, at: at(), metadata: {}, graces: this.plan.graces }),
      ),
    )
    if (end === 'backend') {
      const endsAt = startsAt + Math.max(...clients.map(({ joinsAt, recordsMs }) => joinsAt + recordsMs))
      time.at(endsAt, () =>
        this.#publish(TOPICS.chunks.name, () =>
          encodeDeclaration({ type: 'session-finished', session: id, parts: null, at: at() }),
        ),
      )
    }
    if (deletedAt !== null) {
      time.at(startsAt + deletedAt, () => {
        this.#publish(TOPICS.chunks.name, () => encodeDeclaration({ type: 'session-deleted', session: id, at: at() }))
        this.#publish(TOPICS.events.name, () => encodeEvent({ type: 'session-deleted', session: id, at: at() }))
      })
    }
    if (heldAt !== null) time.at(startsAt + heldAt, () => this.model.hold(id))
  }

  /** Until the broker has it, as a backend that repeats its call. */
  #publish(topic: string, encode: () => EncodedRecord): void {
    void this.#backend.run(async () => {
      for (;;) {
        try {
          const record = encode()
          await this.#producer!.send({ topic, partition: partitionOf(record.key, this.plan.partitions), ...record })
          return
        } catch {
          await this.time.sleep(500)
        }
      }
    })
  }
}
