import { messageOf } from '@longtake/contracts'
import { backoffMs, pause } from '../backoff.ts'
import { isStaleMetadata } from '../cluster.ts'
import { KafkaError } from '../errors.ts'
import { createErrorFromCode, type ApiName, type Instead, type Log } from '../kafkajs.ts'
import { instruments } from '../metrics.ts'
import { partitionKey } from '../offsets.ts'
import { NO_EPOCH } from '../protocol.ts'
import { decodeBatches, decodeFetchResponse, type FetchedPartition, type FetchQuestion } from './decode.ts'
import { FetchState, type FetchTarget } from './fetch-state.ts'
import { epochEnds } from './leader-epoch.ts'

export type { FetchedRecords, FetchTarget } from './fetch-state.ts'

export interface FetcherOptions {
  /** How long the broker may hold an empty answer back. Default 250. */
  maxWaitMs?: number
  /** Of one answer. Default 16 MiB. */
  maxBytes?: number
  /** Of one partition in one answer; the first batch comes whole in any case. Default 2 MiB. */
  maxBytesPerPartition?: number
}

/** What the fetcher needs of a {@link import('../cluster.ts').Cluster}. */
export interface FetchCluster {
  readonly log: Log
  want(topics: Iterable<string>): void
  leader(topic: string, partition: number): number | undefined
  /** Without it, or where it is undefined, leaders are not fenced, and positions not validated. */
  leaderEpoch?(topic: string, partition: number): number | undefined
  refresh(): Promise<void>
  raw<T>(nodeId: number, api: ApiName, args: object, instead?: Instead<T>): Promise<T>
}

/** A broker that restarts, or a leader that moves, takes less. */
const STALLED_MS = 10_000

const LATEST_BACKOFF_MS = 2000
const METADATA_AGE_MS = 300_000
const partitionBackoffMs = (failures: number): number => backoffMs(failures, 50, LATEST_BACKOFF_MS)

/**
 * Reads any set of partitions, with one request at a time under way to each leader, and each partition in one of them at most.
 * A partition's error concerns that partition alone. It commits nothing and belongs to no group.
 */
export class Fetcher {
  readonly #cluster: FetchCluster
  readonly #options: Required<FetcherOptions>
  readonly #states = new Set<FetchState>()
  readonly #loops = new Map<number | undefined, Promise<void>>()
  readonly #closing = new AbortController()
  #wakers: (() => void)[] = []
  #rotation = 0
  #unaskedAnswers = 0
  #metadataAt = performance.now()
  /** Since when each leader, or anyone who knows a leader, has left us without an answer. */
  readonly #silentSince = new Map<number | undefined, number>()

  constructor(cluster: FetchCluster, options: FetcherOptions = {}) {
    this.#cluster = cluster
    this.#options = { maxWaitMs: 250, maxBytes: 16 << 20, maxBytesPerPartition: 2 << 20, ...options }
  }

  /** Starts reading; the returned function stops it. An answer under way is dropped. */
  add(target: FetchTarget): () => void {
    const state = new FetchState(target)
    this.#cluster.want([target.topic])
    this.#states.add(state)
    this.wake()
    return () => this.#states.delete(state)
  }

  /**
   * Why something that is wanted has not been read for longer than `afterMs`: some broker gives no answer, of which a healthy
   * one gives several a second, or a partition meets an error at every try. Undefined while all is well.
   */
  fault(afterMs: number = STALLED_MS): string | undefined {
    const now = performance.now()
    const silentMs = Math.max(0, ...[...this.#silentSince.values()].map((since) => now - since))
    if (silentMs > afterMs) return `Kafka has not answered for ${Math.round(silentMs / 1000)} s`
    for (const { target, failing } of this.#states) {
      if (failing === null || now - failing.since <= afterMs || !target.wants()) continue
      const { since, error } = failing
      return `${partitionKey(target)} cannot be read for ${Math.round((now - since) / 1000)} s: ${messageOf(error)}`
    }
    return undefined
  }

  /** To be called when a target wants again. */
  wake(): void {
    this.#ensureLoops()
    this.#wakeLoops()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#states.clear()
    this.wake()
    await Promise.all(this.#loops.values())
  }

  #leader({ target }: FetchState): number | undefined {
    return this.#cluster.leader(target.topic, target.partition)
  }

  #leaderEpoch({ target }: FetchState): number {
    return this.#cluster.leaderEpoch?.(target.topic, target.partition) ?? NO_EPOCH
  }

  /** Each partition's leader has a loop, which is awake if the partition came to it since the last call. */
  #ensureLoops(): void {
    let haveMoved = false
    for (const state of this.#states) {
      const leader = this.#leader(state)
      haveMoved ||= leader !== state.leader
      state.leader = leader
      this.#ensureLoop(leader)
    }
    if (haveMoved) this.#wakeLoops()
  }

  #wakeLoops(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const waker of wakers) waker()
  }

  #ensureLoop(nodeId: number | undefined): void {
    if (this.#closing.signal.aborted || this.#loops.has(nodeId)) return
    const loop = (nodeId === undefined ? this.#findLeaders() : this.#read(nodeId)).finally(() => {
      this.#loops.delete(nodeId)
      this.#silentSince.delete(nodeId)
      // Someone may have come, or moved, while it ended.
      if (!this.#closing.signal.aborted) this.#ensureLoops()
    })
    this.#loops.set(nodeId, loop)
  }

  /** Runs as long as partitions without a known leader exist. */
  async #findLeaders(): Promise<void> {
    this.#silentSince.set(undefined, performance.now())
    for (let failures = 1; !this.#closing.signal.aborted && this.#ledBy(undefined).length > 0; failures += 1) {
      try {
        await this.#cluster.refresh()
        this.#ensureLoops()
        if (this.#ledBy(undefined).length === 0) return
      } catch (error) {
        this.#warn(failures, error, 'no metadata; asking again')
      }
      await pause(backoffMs(failures, 100, LATEST_BACKOFF_MS), this.#closing.signal)
    }
  }

  #ledBy(nodeId: number | undefined): FetchState[] {
    return [...this.#states].filter((state) => this.#leader(state) === nodeId)
  }

  async #read(nodeId: number): Promise<void> {
    let failures = 0
    // A partition in backoff may have moved meanwhile, as others refresh the metadata as well.
    for (; !this.#closing.signal.aborted; this.#ensureLoops()) {
      const led = this.#ledBy(nodeId)
      if (led.length === 0) return
      const now = performance.now()
      // One that moved here while another broker has been asked for it waits for that answer.
      const wanting = led.filter(({ target, retryAt, inFlight }) => !inFlight && retryAt <= now && target.wants())
      if (wanting.length === 0) {
        // Nothing is asked of it.
        this.#silentSince.delete(nodeId)
        const retryIn = Math.min(...led.filter(({ retryAt }) => retryAt > now).map(({ retryAt }) => retryAt - now))
        await this.#woken(retryIn)
        continue
      }
      if (!this.#silentSince.has(nodeId)) this.#silentSince.set(nodeId, now)
      try {
        if (now - this.#metadataAt > METADATA_AGE_MS) {
          this.#metadataAt = now
          await this.#cluster.refresh()
          continue
        }
        const unknown = wanting.filter((state) => state.needsValidation(this.#leaderEpoch(state)))
        if (unknown.length > 0) await this.#ask(nodeId, unknown, (asked) => this.#validate(nodeId, asked))
        else await this.#ask(nodeId, wanting, (asked) => this.#fetch(nodeId, asked))
        failures = 0
        this.#silentSince.delete(nodeId)
      } catch (error) {
        failures += 1
        this.#warn(failures, error, `fetch from broker ${nodeId} failed, retrying`)
        await pause(backoffMs(failures, 100, LATEST_BACKOFF_MS), this.#closing.signal)
        if (isStaleMetadata(error)) await this.#refreshQuietly()
      }
    }
  }

  /** Asks a leader for each of the partitions, which are in flight until all answers are used or dropped. */
  async #ask(nodeId: number, states: readonly FetchState[], send: (asked: readonly Asked[]) => Promise<boolean>): Promise<void> {
    // Answers are filled in the request's order up to their size, so the first place goes round.
    this.#rotation += 1
    const asked = new Map<string, Asked>()
    states.forEach((_, index) => {
      const state = states[(index + this.#rotation) % states.length]!
      const key = partitionKey(state.target)
      // Answers are matched by topic and partition.
      if (!asked.has(key)) asked.set(key, { state, question: state.ask(this.#leaderEpoch(state)) })
    })
    let isStale = false
    try {
      isStale = await send([...asked.values()])
    } finally {
      for (const { state, question } of asked.values()) state.close(question)
      // Those that have moved meanwhile were kept waiting by us.
      if ([...asked.values()].some(({ state }) => this.#leader(state) !== nodeId)) this.wake()
    }
    if (isStale) await this.#refreshQuietly()
  }

  /** True when the metadata is to be asked for again. */
  async #fetch(nodeId: number, asked: readonly Asked[]): Promise<boolean> {
    const { maxWaitMs, maxBytes, maxBytesPerPartition } = this.#options
    const topics = [...Map.groupBy(asked, ({ state }) => state.target.topic)].map(([topic, of]) => ({
      topic,
      partitions: of.map(({ state, question }) => ({
        partition: state.target.partition,
        currentLeaderEpoch: question.leaderEpoch,
        fetchOffset: String(question.fetchOffset),
        maxBytes: maxBytesPerPartition,
      })),
    }))
    const args = { maxWaitTime: maxWaitMs, minBytes: 1, maxBytes, isolationLevel: READ_UNCOMMITTED, topics }
    const { throttleTimeMs, errorCode, partitions } = await this.#cluster.raw(nodeId, 'Fetch', args, { decode: decodeFetchResponse })
    if (errorCode !== 0) throw createErrorFromCode(errorCode)
    if (throttleTimeMs > 0 && partitions.length === 0) {
      await pause(Math.min(throttleTimeMs, LATEST_BACKOFF_MS), this.#closing.signal)
      return false
    }
    const waiting = new Map(asked.map((each) => [partitionKey(each.state.target), each]))
    // Grouped by topic, the request begins with the first topic's partitions.
    const first = asked[0] === undefined ? '' : partitionKey(asked[0].state.target)
    let isStale = false
    for (const fetched of partitions) {
      const key = partitionKey(fetched)
      const one = waiting.get(key)
      waiting.delete(key)
      if (one === undefined) this.#reportUnexpected(new KafkaError('KAFKA_UNEXPECTED_ANSWER', `broker ${nodeId} answered for ${key}, which it was not asked for, or twice`), key, (this.#unaskedAnswers += 1))
      else isStale = (await this.#deliver(one, fetched, key === first)) || isStale
    }
    for (const [key, one] of waiting) {
      isStale = this.#failed(one, new KafkaError('KAFKA_UNEXPECTED_ANSWER', `broker ${nodeId} left ${key} out of its answer`)) || isStale
    }
    return isStale
  }

  async #deliver(asked: Asked, fetched: FetchedPartition, isFirst: boolean): Promise<boolean> {
    const { state, question } = asked
    try {
      if (fetched.errorCode !== 0) throw createErrorFromCode(fetched.errorCode)
      const decoded = await decodeBatches(fetched, question)
      if (isFirst && fetched.batches.length > 0 && decoded.nextOffset === question.fetchOffset) {
        throw new KafkaError('KAFKA_UNEXPECTED_ANSWER', `${partitionKey(state.target)} came first in its request, but its first batch is not whole`)
      }
      if (this.#isCurrent(asked)) state.advance(question, decoded, fetched.highWatermark)
      return false
    } catch (error) {
      return this.#failed(asked, error)
    }
  }

  /** Asks a new leader whether it has all that was read before; one that does not stops the partition. */
  async #validate(nodeId: number, asked: readonly Asked[]): Promise<boolean> {
    const questions = asked.map(({ state: { target }, question }) => ({
      topic: target.topic,
      partition: target.partition,
      currentLeaderEpoch: question.leaderEpoch,
      leaderEpoch: question.lastEpoch,
    }))
    const ends = await epochEnds((args) => this.#cluster.raw(nodeId, 'OffsetForLeaderEpoch', args), questions)
    let isStale = false
    asked.forEach((one, index) => {
      const end = ends[index]!
      if (end instanceof KafkaError) isStale = this.#failed(one, end) || isStale
      else if (end.errorCode !== 0) isStale = this.#failed(one, createErrorFromCode(end.errorCode)) || isStale
      else if (this.#isCurrent(one) && !one.state.validated(one.question, end)) {
        const { fetchOffset, lastEpoch, leaderEpoch } = one.question
        const found = `its leader of epoch ${leaderEpoch} has epoch ${end.leaderEpoch} up to ${end.endOffset}`
        this.#stop(one.state, new KafkaError('KAFKA_LOG_TRUNCATED', `${partitionKey(one.state.target)} was read up to ${fetchOffset} in epoch ${lastEpoch}, but ${found}: records that were acknowledged may be lost`))
      }
    })
    return isStale
  }

  /** False for an answer to what nobody asks any more. */
  #isCurrent({ state, question }: Asked): boolean {
    return this.#states.has(state) && state.isOpen(question)
  }

  /** True when the metadata is to be asked for again. */
  #failed(asked: Asked, error: unknown): boolean {
    if (!this.#isCurrent(asked)) return false
    const { state, question } = asked
    const key = partitionKey(state.target)
    const isOutOfRange = (error as { type?: string }).type === 'OFFSET_OUT_OF_RANGE'
    if (isOutOfRange && state.outOfRange()) {
      this.#stop(state, new KafkaError('KAFKA_OFFSET_OUT_OF_RANGE', `${key} no longer holds offset ${question.fetchOffset}: records were lost unread, or the topic was made anew`, { cause: error }))
      return false
    }
    state.failed(error, performance.now(), partitionBackoffMs)
    const isUnexpected = error instanceof KafkaError && error.code === 'KAFKA_UNEXPECTED_ANSWER'
    if (isUnexpected) this.#reportUnexpected(error, key, state.failures)
    else this.#warn(state.failures, error, `fetch of ${key} failed, retrying`)
    // It may come from a deposed leader, whose metadata is older than its successor's.
    return isOutOfRange || isUnexpected || isStaleMetadata(error)
  }

  #stop(state: FetchState, error: KafkaError): void {
    this.#states.delete(state)
    state.target.failed(error)
  }

  async #refreshQuietly(): Promise<void> {
    try {
      await this.#cluster.refresh()
      this.#ensureLoops()
    } catch (error) {
      this.#cluster.log.debug({ error }, 'no metadata')
    }
  }

  #woken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(timeoutMs) ? setTimeout(resolve, timeoutMs) : undefined
      this.#wakers.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #warn(failures: number, error: unknown, message: string): void {
    if (failures % 10 === 3) this.#cluster.log.warn({ error, failures }, message)
  }

  /** Counted each time and logged the first: a broker, or this client, is wrong about what was asked. */
  #reportUnexpected(error: KafkaError, partition: string, failures: number): void {
    instruments().unexpectedAnswers.add(1)
    if (failures === 1) this.#cluster.log.error({ partition, error }, 'answer of a broker rejected, fetching again')
  }
}

interface Asked {
  readonly state: FetchState
  readonly question: FetchQuestion
}

const READ_UNCOMMITTED = 0
