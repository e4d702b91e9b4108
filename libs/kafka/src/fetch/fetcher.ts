import { backoffMs, pause } from '../backoff.ts'
import { isStaleMetadata, type Cluster } from '../cluster.ts'
import { KafkaError } from '../errors.ts'
import { createErrorFromCode } from '../kafkajs.ts'
import type { KafkaRecord } from '../record.ts'
import { decodeBatches, decodeFetchResponse, type FetchedPartition } from './decode.ts'

/** One partition that is being read. */
export interface FetchTarget {
  readonly topic: string
  readonly partition: number
  /** Where the next fetch begins; the fetcher moves it on. */
  nextOffset: bigint
  /** False as long as enough is queued. */
  wants(): boolean
  accept(fetched: { records: KafkaRecord[]; highWatermark: bigint }): void
  /** The partition is fetched no more. */
  failed(error: KafkaError): void
}

export interface FetcherOptions {
  /** How long the broker may hold an empty answer back. Default 250. */
  maxWaitMs?: number
  /** Of one answer. Default 16 MiB. */
  maxBytes?: number
  /** Of one partition in one answer; the first batch comes whole in any case. Default 2 MiB. */
  maxBytesPerPartition?: number
}

interface Entry {
  readonly target: FetchTarget
  failures: number
  retryAt: number
  /** The error that it has met at every try since. */
  failing: { since: number; error: unknown } | null
}

/** A broker that restarts, or a leader that moves, takes less. */
const STALLED_MS = 10_000

const LATEST_BACKOFF_MS = 2000
const METADATA_AGE_MS = 300_000

/**
 * Reads any set of partitions, with one request at a time under way to each leader. A partition's error concerns that
 * partition alone. It commits nothing and belongs to no group.
 */
export class Fetcher {
  readonly #cluster: Cluster
  readonly #options: Required<FetcherOptions>
  readonly #entries = new Set<Entry>()
  readonly #loops = new Map<number | undefined, Promise<void>>()
  readonly #closing = new AbortController()
  #wakers: (() => void)[] = []
  #rotation = 0
  #metadataAt = performance.now()
  /** Since when each leader, or anyone who knows a leader, has left us without an answer. */
  readonly #silentSince = new Map<number | undefined, number>()

  constructor(cluster: Cluster, options: FetcherOptions = {}) {
    this.#cluster = cluster
    this.#options = { maxWaitMs: 250, maxBytes: 16 << 20, maxBytesPerPartition: 2 << 20, ...options }
  }

  /** Starts reading; the returned function stops it. An answer under way is dropped. */
  add(target: FetchTarget): () => void {
    const entry: Entry = { target, failures: 0, retryAt: 0, failing: null }
    this.#cluster.want([target.topic])
    this.#entries.add(entry)
    this.wake()
    return () => this.#entries.delete(entry)
  }

  /**
   * Why something that is wanted has not been read for longer than `afterMs`: some broker gives no answer, of which a healthy
   * one gives several a second, or a partition meets an error at every try. Undefined while all is well.
   */
  fault(afterMs: number = STALLED_MS): string | undefined {
    const now = performance.now()
    const silentMs = Math.max(0, ...[...this.#silentSince.values()].map((since) => now - since))
    if (silentMs > afterMs) return `Kafka has not answered for ${Math.round(silentMs / 1000)} s`
    for (const { target, failing } of this.#entries) {
      if (failing === null || now - failing.since <= afterMs || !target.wants()) continue
      const { since, error } = failing
      return `${keyOf(target)} cannot be read for ${Math.round((now - since) / 1000)} s: ${error instanceof Error ? error.message : String(error)}`
    }
    return undefined
  }

  /** To be called when a target wants again. */
  wake(): void {
    for (const entry of this.#entries) this.#ensureLoop(this.#leader(entry))
    const wakers = this.#wakers
    this.#wakers = []
    for (const waker of wakers) waker()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#entries.clear()
    this.wake()
    await Promise.all(this.#loops.values())
  }

  #leader({ target }: Entry): number | undefined {
    return this.#cluster.leader(target.topic, target.partition)
  }

  #ensureLoop(nodeId: number | undefined): void {
    if (this.#closing.signal.aborted || this.#loops.has(nodeId)) return
    const loop = (nodeId === undefined ? this.#findLeaders() : this.#read(nodeId)).finally(() => {
      this.#loops.delete(nodeId)
      this.#silentSince.delete(nodeId)
      // Someone may have come, or moved, while it ended.
      if (!this.#closing.signal.aborted) for (const entry of this.#entries) this.#ensureLoop(this.#leader(entry))
    })
    this.#loops.set(nodeId, loop)
  }

  /** Runs as long as partitions without a known leader exist. */
  async #findLeaders(): Promise<void> {
    this.#silentSince.set(undefined, performance.now())
    for (let failures = 1; !this.#closing.signal.aborted && this.#ledBy(undefined).length > 0; failures += 1) {
      try {
        await this.#cluster.refresh()
        for (const entry of this.#entries) this.#ensureLoop(this.#leader(entry))
        if (this.#ledBy(undefined).length === 0) return
      } catch (error) {
        this.#warn(failures, error, 'no metadata; asking again')
      }
      await pause(backoffMs(failures, 100, LATEST_BACKOFF_MS), this.#closing.signal)
    }
  }

  #ledBy(nodeId: number | undefined): Entry[] {
    return [...this.#entries].filter((entry) => this.#leader(entry) === nodeId)
  }

  async #read(nodeId: number): Promise<void> {
    let failures = 0
    while (!this.#closing.signal.aborted) {
      const led = this.#ledBy(nodeId)
      if (led.length === 0) return
      const now = performance.now()
      const wanting = led.filter(({ target, retryAt }) => retryAt <= now && target.wants())
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
        }
        await this.#fetch(nodeId, wanting)
        failures = 0
        this.#silentSince.delete(nodeId)
      } catch (error) {
        failures += 1
        this.#warn(failures, error, `fetching from broker ${nodeId} failed; trying again`)
        await pause(backoffMs(failures, 100, LATEST_BACKOFF_MS), this.#closing.signal)
        if (isStaleMetadata(error)) await this.#refreshQuietly()
      }
    }
  }

  async #fetch(nodeId: number, wanting: Entry[]): Promise<void> {
    // Answers are filled in the request's order up to their size, so the first place goes round.
    this.#rotation += 1
    const turned = wanting.map((_, index) => wanting[(index + this.#rotation) % wanting.length]!)
    const asked = new Map(turned.map((entry) => [keyOf(entry.target), { entry, fetchOffset: entry.target.nextOffset }]))
    const { maxWaitMs, maxBytes, maxBytesPerPartition } = this.#options
    const topics = [...Map.groupBy(turned, ({ target }) => target.topic)].map(([topic, entries]) => ({
      topic,
      partitions: entries.map(({ target }) => ({ partition: target.partition, fetchOffset: String(target.nextOffset), maxBytes: maxBytesPerPartition })),
    }))
    const args = { maxWaitTime: maxWaitMs, minBytes: 1, maxBytes, isolationLevel: READ_UNCOMMITTED, topics }
    const { errorCode, partitions } = await this.#cluster.raw(nodeId, 'Fetch', args, { decode: decodeFetchResponse })
    if (errorCode !== 0) throw createErrorFromCode(errorCode)
    let stale = false
    for (const fetched of partitions) {
      const question = asked.get(keyOf(fetched))
      if (question === undefined || !this.#entries.has(question.entry)) continue
      stale = (await this.#deliver(question.entry, question.fetchOffset, fetched)) || stale
    }
    if (stale) await this.#refreshQuietly()
  }

  /** True when the metadata is to be asked for again. */
  async #deliver(entry: Entry, fetchOffset: bigint, fetched: FetchedPartition): Promise<boolean> {
    const { target } = entry
    try {
      if (fetched.errorCode !== 0) throw createErrorFromCode(fetched.errorCode)
      const { records, nextOffset } = await decodeBatches(fetched, fetchOffset)
      if (!this.#entries.has(entry)) return false
      entry.failures = 0
      entry.failing = null
      target.nextOffset = nextOffset
      target.accept({ records, highWatermark: fetched.highWatermark })
      return false
    } catch (error) {
      if ((error as { type?: string }).type === 'OFFSET_OUT_OF_RANGE') {
        this.#entries.delete(entry)
        target.failed(new KafkaError('KAFKA_OFFSET_OUT_OF_RANGE', `${keyOf(target)} no longer holds offset ${fetchOffset}: records were lost unread, or the topic was made anew`, { cause: error }))
        return false
      }
      entry.failures += 1
      entry.failing = { since: entry.failing?.since ?? performance.now(), error }
      entry.retryAt = performance.now() + backoffMs(entry.failures, 50, LATEST_BACKOFF_MS)
      this.#warn(entry.failures, error, `fetching ${keyOf(target)} failed; trying again`)
      return isStaleMetadata(error)
    }
  }

  async #refreshQuietly(): Promise<void> {
    try {
      await this.#cluster.refresh()
      for (const entry of this.#entries) this.#ensureLoop(this.#leader(entry))
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
}

const READ_UNCOMMITTED = 0
const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
