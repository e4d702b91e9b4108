import { backoffMs, pause } from '../backoff.ts'
import type { Cluster } from '../cluster.ts'
import { KafkaError, protocolError, RETRIABLE_AFTER_ALL, toKafkaError } from '../errors.ts'
import { createErrorFromCode, MemberAssignment, MemberMetadata } from '../kafkajs.ts'
import { instruments } from '../metrics.ts'
import { isCoordinatorGone, onePartitionCount, partitionKey, type PartitionOffset } from '../offsets.ts'
import { NO_EPOCH } from '../protocol.ts'
import { assignPartitions, type Member } from './assigner.ts'

export interface MembershipOptions {
  group: string
  topics: readonly string[]
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  heartbeatMs: number
}

/** What the membership needs of the consumer whose partitions it negotiates. */
export interface PartitionOwner {
  /** The partitions held now, or being given up. */
  owned(): number[]
  /** The whole new assignment. Resolves when what is not in it is given up: true if there was any, so that we must join again. */
  assigned(partitions: number[]): Promise<boolean>
  /** Nothing held before is certain to be ours any more. */
  lost(): void
  fatal(error: KafkaError): void
}

const PROTOCOL = 'longtake-cooperative'
const EXPELLED = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])

interface JoinGroupResponse {
  generationId: number
  leaderId: string
  memberId: string
  members: { memberId: string; memberMetadata: Buffer }[]
}

type Change = 'rejoin' | 'expelled' | 'stopped'

/**
 * Membership in a consumer group by Kafka's own group protocol, with the cooperative way of handing over: partitions
 * that stay are worked on through a rebalance, those that move are finished first and joined for again. Heartbeats have
 * a timer of their own, so long work never costs the membership.
 */
export class Membership {
  readonly #cluster: Cluster
  readonly #options: MembershipOptions
  readonly #owner: PartitionOwner
  readonly #stopping = new AbortController()
  #memberId = ''
  /** The last generation joined without having missed one since `#memberId` was given. */
  #generation = -1
  #coordinator: number | undefined
  #confirmedUntil = -Infinity
  #expel: (() => void) | undefined
  #running: Promise<void> | undefined
  /** Joins since the start, for tests and logs. */
  generations = 0

  constructor(cluster: Cluster, options: MembershipOptions, owner: PartitionOwner) {
    this.#cluster = cluster
    this.#options = options
    this.#owner = owner
  }

  get memberId(): string {
    return this.#memberId
  }

  /** False when the coordinator has not answered for longer than it waits for us: it may have dealt our partitions anew. */
  get confirmed(): boolean {
    return performance.now() < this.#confirmedUntil
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Stops taking part; `leave` tells the group, so that it need not wait for the session timeout. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#leave()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted; ) {
      try {
        const assignment = await this.#joinAndSync()
        failures = 0
        await this.#stay(assignment)
      } catch (error) {
        if (this.#stopping.signal.aborted) return
        const type = protocolError(error)
        if (type !== undefined && EXPELLED.has(type)) this.#forget()
        else if (type !== 'REBALANCE_IN_PROGRESS') {
          const known = toKafkaError(error, `joining ${this.#options.group}`)
          if (!known.retryable) {
            await this.#leave()
            this.#forget()
            this.#owner.fatal(known)
            return
          }
          this.#coordinator = undefined
          failures += 1
          if (failures % 10 === 3) this.#cluster.log.warn({ group: this.#options.group, reason: known.message, failures }, 'group join failed, retrying')
          await pause(backoffMs(failures, 100, 2000), this.#stopping.signal)
        }
      }
    }
  }

  async #joinAndSync(): Promise<number[]> {
    const { group, sessionTimeoutMs, rebalanceTimeoutMs, topics } = this.#options
    const coordinator = (this.#coordinator ??= await this.#cluster.coordinator(group))
    const userData = Buffer.from(JSON.stringify({ owned: this.#owner.owned(), generation: this.#generation }))
    const join = (): Promise<JoinGroupResponse> =>
      this.#cluster.group(coordinator, 'JoinGroup', {
        groupId: group,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: rebalanceTimeoutMs,
        memberId: this.#memberId,
        protocolType: 'consumer',
        groupProtocols: [{ name: PROTOCOL, metadata: MemberMetadata.encode({ version: 1, topics: [...topics], userData }) }],
      })
    const joining = new AbortController()
    const joinSentAt = performance.now()
    if (this.#generation >= 0) void this.#confirmWhileJoining(coordinator, joining.signal)
    let joined: JoinGroupResponse
    try {
      joined = await join()
    } catch (error) {
      if ((error as Error).name !== 'KafkaJSMemberIdRequired') throw error
      this.#memberId = (error as Error & { memberId: string }).memberId
      joined = await join()
    } finally {
      joining.abort()
    }
    // A generation that passed without us may have dealt our partitions to others.
    const missed = this.#generation >= 0 && joined.generationId > this.#generation + 1
    if (missed || joined.generationId < this.#generation) this.#owner.lost()
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    this.#confirm(joinSentAt)
    const groupAssignment = joined.leaderId === joined.memberId ? await this.#deal(joined) : []
    const syncSentAt = performance.now()
    const { memberAssignment } = await this.#cluster.group<{ memberAssignment: Buffer }>(coordinator, 'SyncGroup', {
      groupId: group,
      generationId: this.#generation,
      memberId: this.#memberId,
      groupAssignment,
    })
    this.#confirm(syncSentAt)
    this.generations += 1
    instruments().rebalances.add(1, { group })
    const dealt = MemberAssignment.decode(memberAssignment)?.assignment ?? {}
    return dealt[topics[0]!] ?? []
  }

  /**
   * A join waits in the broker for all others, which may take longer than the session timeout. Until it is answered, what is
   * held is certain only by heartbeats, on a connection that the join does not hold up.
   */
  async #confirmWhileJoining(coordinator: number, joined: AbortSignal): Promise<void> {
    const { group, heartbeatMs } = this.#options
    const args = { groupId: group, groupGenerationId: this.#generation, memberId: this.#memberId }
    for (;;) {
      await pause(heartbeatMs, joined)
      if (joined.aborted) return
      const sentAt = performance.now()
      try {
        const { errorCode } = await this.#cluster.raw<{ errorCode: number }>(coordinator, 'Heartbeat', args)
        const isMember = errorCode === 0 || protocolError(createErrorFromCode(errorCode)) === 'REBALANCE_IN_PROGRESS'
        if (isMember && !joined.aborted) this.#confirm(sentAt)
      } catch (error) {
        this.#cluster.log.debug({ group, error }, 'heartbeat failed while joining')
      }
    }
  }

  /** As the group's leader: deals the partitions to all members. */
  async #deal({ members }: JoinGroupResponse): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const subscriptions = members.map(({ memberId, memberMetadata }) => ({ memberId, ...MemberMetadata.decode(memberMetadata) }))
    const topics = [...new Set(subscriptions.flatMap((subscription) => subscription.topics))]
    this.#cluster.want(topics)
    await this.#cluster.refresh()
    const partitions = onePartitionCount(this.#cluster, topics)
    const dealt = assignPartitions(
      subscriptions.map(({ memberId, userData }): Member => ({ id: memberId, ...(JSON.parse(userData.toString()) as { owned: number[]; generation: number }) })),
      partitions,
    )
    return subscriptions.map(({ memberId, topics: ofMember }) => {
      const assignment = Object.fromEntries(ofMember.map((topic) => [topic, dealt.get(memberId) ?? []]))
      return { memberId, memberAssignment: MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }) }
    })
  }

  /** Lives through one generation; returns when there is to be another. */
  async #stay(assignment: number[]): Promise<void> {
    const ended = new AbortController()
    let settled = false
    const heartbeats = this.#heartbeats(ended.signal, () => settled)
    const assigned = this.#owner.assigned(assignment).finally(() => (settled = true))
    const change = await Promise.race([heartbeats, assigned.then((gaveUp): Change | Promise<Change> => (gaveUp ? 'rejoin' : heartbeats))])
    if (change === 'expelled') this.#forget()
    // What moves on is finished, or given up on, before the claim to it ends with the next join; heartbeats go on.
    await assigned
    ended.abort()
    await heartbeats
  }

  /** @param mayRejoin false while partitions are being given up: heartbeats must go on although a rebalance waits for us */
  async #heartbeats(ended: AbortSignal, mayRejoin: () => boolean): Promise<Change> {
    const { group, heartbeatMs } = this.#options
    const expelled = new AbortController()
    this.#expel = () => expelled.abort()
    const over = AbortSignal.any([ended, this.#stopping.signal, expelled.signal])
    // An answer counts for the generation that the heartbeat was sent in.
    const generation = { groupGenerationId: this.#generation, memberId: this.#memberId }
    let failures = 0
    for (;;) {
      await pause(failures === 0 ? heartbeatMs : backoffMs(failures, 100, 1000), over)
      if (expelled.signal.aborted) return 'expelled'
      if (over.aborted) return 'stopped'
      let sentAt = performance.now()
      try {
        const coordinator = (this.#coordinator ??= await this.#cluster.coordinator(group))
        sentAt = performance.now()
        await this.#cluster.group(coordinator, 'Heartbeat', { groupId: group, ...generation })
        this.#confirm(sentAt)
        failures = 0
      } catch (error) {
        const type = protocolError(error)
        if (type !== undefined && EXPELLED.has(type)) return 'expelled'
        if (type === 'REBALANCE_IN_PROGRESS') {
          this.#confirm(sentAt)
          failures = 0
          if (mayRejoin()) return 'rejoin'
        } else {
          failures += 1
          if (isCoordinatorGone(error)) this.#coordinator = undefined
          if (failures % 10 === 3) this.#cluster.log.warn({ group, error, failures }, 'heartbeat failed, retrying')
        }
      }
    }
  }

  /**
   * Commits for the present generation; resolves with the partitions whose commit the coordinator took: those that its answer names,
   * without an error. One who is no longer a member, or of an older generation, is refused by Kafka.
   */
  async commit(offsets: readonly PartitionOffset[]): Promise<PartitionOffset[]> {
    const { group } = this.#options
    const generation = this.#generation
    const memberId = this.#memberId
    // Outside of a generation Kafka takes a commit from anybody while the group is empty: it could set another's offsets back.
    if (generation < 0) return []
    const coordinator = (this.#coordinator ??= await this.#cluster.coordinator(group))
    // Partitions may have been dealt anew meanwhile: in the name of the next generation it could set another's offsets back.
    if (generation !== this.#generation || memberId !== this.#memberId) return []
    const topics = [...Map.groupBy(offsets, ({ topic }) => topic)].map(([topic, partitions]) => ({
      topic,
      partitions: partitions.map(({ partition, offset, leaderEpoch = NO_EPOCH, metadata }) => ({ partition, offset: String(offset), leaderEpoch, metadata })),
    }))
    let answer: { responses: { topic: string; partitions: { partition: number; errorCode: number }[] }[] }
    try {
      answer = await this.#cluster.raw(coordinator, 'OffsetCommit', { groupId: group, groupGenerationId: generation, memberId, retentionTime: '-1', topics })
    } catch (error) {
      if (isCoordinatorGone(error)) this.#coordinator = undefined
      throw error
    }
    const codes = new Map(answer.responses.flatMap(({ topic, partitions }) => partitions.map(({ partition, errorCode }) => [partitionKey({ topic, partition }), errorCode])))
    const refusals = [...new Set(codes.values())].filter((code) => code !== 0).map((code) => createErrorFromCode(code))
    const isPresent = generation === this.#generation && memberId === this.#memberId
    for (const error of refusals) this.#judgeRefusal(error, isPresent)
    return offsets.filter((offset) => codes.get(partitionKey(offset)) === 0)
  }

  /** @param isPresent false for an answer to an earlier generation's commit: it does not concern the membership that there is now */
  #judgeRefusal(error: Error, isPresent: boolean): void {
    const { group } = this.#options
    const type = protocolError(error) ?? ''
    if (EXPELLED.has(type)) {
      if (isPresent) this.#expel?.()
      throw new KafkaError('KAFKA_FENCED', `${group} refused a commit: ${error.message}`, { cause: error })
    }
    if (isCoordinatorGone(error)) this.#coordinator = undefined
    // While a new generation forms nobody may commit; the next round does.
    const passes = type === 'REBALANCE_IN_PROGRESS' || (error as { retriable?: boolean }).retriable === true || RETRIABLE_AFTER_ALL.has(type)
    if (!passes) this.#cluster.log.error({ group, error }, 'a commit was refused')
  }

  /** The committed offsets; retries until `signal` aborts. */
  async coordinate<T>(signal: AbortSignal, ask: (coordinator: number) => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      if (signal.aborted) throw new KafkaError('KAFKA_CLOSED', 'closed while asking the coordinator')
      try {
        return await ask((this.#coordinator ??= await this.#cluster.coordinator(this.#options.group)))
      } catch (error) {
        if (isCoordinatorGone(error)) this.#coordinator = undefined
        if (failures % 10 === 3) this.#cluster.log.warn({ group: this.#options.group, error, failures }, 'the coordinator does not answer as it should; asking again')
        await pause(backoffMs(failures, 100, 2000), signal)
      }
    }
  }

  /** The coordinator waits from when a request reached it, which may be long before its answer came: so from the sending. */
  #confirm(sentAt: number): void {
    this.#confirmedUntil = Math.max(this.#confirmedUntil, sentAt + this.#options.sessionTimeoutMs)
  }

  #forget(): void {
    this.#memberId = ''
    this.#generation = -1
    this.#owner.lost()
  }

  async #leave(): Promise<void> {
    const { group } = this.#options
    if (this.#memberId === '' || this.#coordinator === undefined) return
    try {
      // Not by the group's own connection: there a join of ours may be waiting, which this ends.
      await this.#cluster.raw(this.#coordinator, 'LeaveGroup', { groupId: group, memberId: this.#memberId })
    } catch (error) {
      this.#cluster.log.info({ group, error }, 'could not leave the group; it will notice by the session timeout')
    }
  }
}
