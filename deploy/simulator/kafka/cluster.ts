import { TOPICS } from '@longtake/contracts'
import type { Random } from '@longtake/testkit'
import type { Mutation } from '../mutations.ts'
import type { Tcp } from '../world/tcp.ts'
import type { Trace } from '../world/trace.ts'
import type { VirtualTime } from '../world/virtual-time.ts'
import { Broker, type Apis } from './broker.ts'
import { dataApis } from './data-apis.ts'
import { groupApis } from './group-apis.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import { PartitionLog } from './partition-log.ts'

export interface ClusterOptions {
  readonly time: VirtualTime
  readonly trace: Trace
  readonly tcp: Tcp
  readonly random: Random
  readonly topics: readonly string[]
  readonly partitions: number
  /** A broker holds an empty fetch back so many times longer than asked: it saves idle hours most of their requests. */
  readonly idleFactor: number
  readonly mutation: Mutation | undefined
  /** A group has committed; called before the answer leaves. */
  onCommit(commit: { group: string; topic: string; partition: number; offset: number; before: number }): void
}

export const BROKERS = 3

/**
 * Three brokers with replicated partitions, a controller that moves leaders, and group coordinators. Of the three
 * replicas of a partition all are in sync while their brokers are up; at most one broker is down at a time, so what is
 * acknowledged is never lost.
 */
export class SimKafka {
  readonly brokers: readonly Broker[]
  readonly groups: GroupCoordinator
  readonly idleFactor: number
  readonly time: VirtualTime
  readonly random: Random
  readonly #topics: ReadonlyMap<string, readonly PartitionLog[]>
  readonly mutation: Mutation | undefined
  readonly #trace: Trace
  #nextProducerId = 1n

  constructor(options: ClusterOptions) {
    const { time, trace, tcp, random, topics, partitions } = options
    this.time = time
    this.random = random
    this.idleFactor = options.idleFactor
    this.mutation = options.mutation
    this.#trace = trace
    this.#topics = new Map(
      topics.map((topic, index) => [
        topic,
        Array.from(
          { length: partitions },
          (_, partition) => new PartitionLog(topic, partition, (partition + index) % BROKERS, time, random),
        ),
      ]),
    )
    this.groups = new GroupCoordinator({
      time,
      random,
      brokers: BROKERS,
      onCommit: (commit) => options.onCommit(commit),
      offsetOf: ({ topic, partition, offset }) =>
        this.mutation === 'early-offset' && topic === TOPICS.chunks.name
          ? this.log(topic, partition)!.highWatermark
          : offset,
    })
    const apis: Apis = new Map([...dataApis(this), ...groupApis(this)])
    this.brokers = Array.from({ length: BROKERS }, (_, id) => new Broker(id, { time, trace, apis, tcp }))
  }

  get topics(): string[] {
    return [...this.#topics.keys()]
  }

  partitionsOf(topic: string): readonly PartitionLog[] {
    return this.#topics.get(topic) ?? []
  }

  log(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.[partition]
  }

  allPartitions(): PartitionLog[] {
    return [...this.#topics.values()].flat()
  }

  newProducerId(): bigint {
    return this.#nextProducerId++
  }

  /** How long a follower takes to have a batch: at most of them a millisecond, now and then much more. */
  replicationMs(): number {
    return this.random.chance(0.02) ? this.random.between(50, 900) : 0.2 + this.random.next()
  }

  /** Moves the leaders that `matches` to other brokers that are up, as an election or reassignment does. */
  moveLeaders(matches: (partition: PartitionLog) => boolean, away?: number): void {
    for (const partition of this.allPartitions()) {
      if (!matches(partition)) continue
      const able = this.brokers.filter(({ up, id }) => up && id !== away && id !== partition.leader)
      if (able.length === 0) continue
      const to = this.random.pick(able).id
      this.#trace.line(
        `${partition.topic.slice(11)}/${partition.index}`,
        `leader moves from ${partition.leader} to ${to}`,
      )
      partition.moveLeader(to, this.random.chance(0.3) ? this.random.between(1, 900) : 0, this.replicationMs())
    }
    for (const broker of this.brokers) broker.metadataLagMs = this.random.chance(0.3) ? this.random.between(1, 2000) : 0
  }

  /** Crashes a broker: its partitions and groups go to the others. */
  stopBroker(id: number): void {
    this.brokers[id]?.stop()
    this.time.after(this.random.between(20, 1500), () => {
      this.moveLeaders(({ leader }) => leader === id, id)
      this.groups.moveAway(
        id,
        this.brokers.filter(({ up }) => up).map((broker) => broker.id),
      )
    })
  }
}
