import { setTimeout as delay } from 'node:timers/promises'
import type { BlobStore } from '@longtake/blob'
import { BLOBS, decodeStatus, encodeEvent, isRecordFault, messageOf, retryDelayMs, type ParkedReason, type RecordingEvent, type RetryDelays, type SessionState } from '@longtake/contracts'
import { isCompleted } from '@longtake/domain'
import type { AssignedPartition, KafkaRecord, Parker, PartitionHandler, Producer } from '@longtake/kafka'
import { orAborted, retrying, type Logger } from '@longtake/service'
import { deleteManifests, findTombstone, handOver, hasBlobs } from './deletion.ts'
import { type Finalization, finalize } from './finalize.ts'
import type { ContentReader } from './read-content.ts'
import { inFinalizeSpan, instruments } from './telemetry.ts'

/** Sessions worked on at the same time. */
const AT_ONCE = 8
/** Sessions waiting; above it the consumer waits. */
const MAX_WAITING = 500
/** How often a contradiction is looked at again before it is called one. */
const LOOKS = 5

export interface PartitionOptions {
  assigned: Pick<AssignedPartition, 'signal' | 'done'>
  store: BlobStore
  /** Shared by all partitions of the process. */
  contents: ContentReader
  producer: Pick<Producer, 'send'>
  parker: Parker
  eventsTopic: string
  logger: Logger
  pauses: RetryDelays
  /** Aborts running finalizations at once: the next owner of their records repeats them. */
  stopping: AbortSignal
  now: () => number
}

interface Job {
  record: KafkaRecord
  state: SessionState
}

/**
 * One partition of statuses: of each session only the newest matters, and only one is worked on at a time. A record is
 * done when its version is finalized, when nothing is to be done for it, or when it has been parked.
 */
export class FinalizerPartition implements PartitionHandler {
  readonly #options: PartitionOptions
  readonly #signal: AbortSignal
  readonly #closing = new AbortController()
  /** The newest status of each session that has work to be done. */
  readonly #waiting = new Map<string, Job>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #faults = new Map<string, string>()
  #room = Promise.withResolvers<void>()

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.assigned.signal, options.stopping, this.#closing.signal])
    this.#signal.addEventListener('abort', () => this.#room.resolve(), { once: true })
  }

  /** Why something does not go on now; undefined while all is well. */
  get fault(): string | undefined {
    return this.#faults.values().next().value
  }

  async handle(record: KafkaRecord): Promise<void> {
    if (record.tombstone) return this.#options.assigned.done(record)
    const state = decodeStatus({ key: record.key, value: record.value, headers: { ...record.headers } })
    if (isRecordFault(state)) {
      await this.#park(record, state.fault, state.details)
      return this.#options.assigned.done(record)
    }
    const older = this.#waiting.get(state.session)
    if (older !== undefined) {
      this.#waiting.delete(state.session)
      this.#options.assigned.done(older.record)
    }
    if (!needsWork(state)) return this.#options.assigned.done(record)
    this.#waiting.set(state.session, { record, state })
    this.#startMore()
    if (this.#waiting.size >= MAX_WAITING && !this.#signal.aborted) await this.#room.promise
  }

  /**
   * Aborts running finalizations: a read of a large file, or a request to a storage that is away, may take minutes.
   * Every step of a finalization can be repeated, and its record is not done, so the next owner of the partition
   * repeats it.
   */
  async close(): Promise<void> {
    this.#waiting.clear()
    this.#closing.abort(new Error('the partition is closed'))
    await Promise.all(this.#running.values())
  }

  #startMore(): void {
    for (const [session, job] of this.#waiting) {
      if (this.#running.size >= AT_ONCE) return
      if (this.#running.has(session)) continue
      this.#waiting.delete(session)
      const running = this.#run(job).finally(() => {
        this.#running.delete(session)
        this.#faults.delete(session)
        this.#room.resolve()
        this.#room = Promise.withResolvers()
        this.#startMore()
      })
      this.#running.set(session, running)
    }
  }

  async #run(job: Job): Promise<void> {
    const { logger } = this.#options
    const { session } = job.state
    let looks = 0
    for (let attempt = 1; !this.#signal.aborted; attempt++) {
      try {
        const outcome = await inFinalizeSpan(session, () => this.#attempt(job))
        this.#faults.delete(session)
        if (outcome.outcome !== 'mismatch' && outcome.outcome !== 'differs') break
        looks += 1
        if (looks >= LOOKS && outcome.outcome === 'differs') {
          await this.#publishFound(job, outcome)
          break
        }
        if (looks >= LOOKS) {
          instruments.finalizations.add(1, { outcome: 'mismatch' })
          logger.error({ session, version: job.state.version, reason: outcome.reason }, 'a completed session is not what storage holds: no manifest is written, its status is parked')
          await this.#park(job.record, 'mismatch', outcome.reason)
          break
        }
        logger.warn({ session, version: job.state.version, reason: outcome.reason }, 'a completed session differs from storage; looking again')
      } catch (error) {
        this.#faults.set(session, `finalizing fails: ${messageOf(error)}`)
        if (!this.#signal.aborted && attempt % 10 === 1) logger.error({ session, attempt, error }, 'session finalization failed, retrying')
      }
      // What is newer may be the explanation, and is to be done instead.
      if (this.#waiting.has(session)) break
      await this.#pause(attempt)
    }
    if (!this.#signal.aborted) this.#options.assigned.done(job.record)
  }

  async #attempt({ state, record }: Job): Promise<Finalization | { outcome: 'forgotten' }> {
    const { store, contents, logger, now } = this.#options
    const { session, version } = state
    if (state.status === 'deleted') {
      await this.#followDeletion(state, record.partition)
      return { outcome: 'forgotten' }
    }
    const outcome = await finalize(store, contents, state, now(), this.#signal)
    if (outcome.outcome === 'superseded') logger.debug({ session, version }, 'a newer commit exists')
    if (outcome.outcome === 'finalized') {
      const { manifest, sound } = outcome
      const at = new Date(now()).toISOString()
      await this.#publish(record.partition, { type: 'session-finalized', session, at, version, manifest, ...(sound.length === 0 ? {} : { sound: [...sound] }) })
      logger.info({ session, version, status: state.status, manifest: outcome.manifest, reused: outcome.reused }, 'session finalized')
    }
    if (outcome.outcome !== 'mismatch' && outcome.outcome !== 'differs') instruments.finalizations.add(1, { outcome: outcome.outcome })
    return outcome
  }

  /** What differs becomes gaps of the session and with them its next version, which is finalized with what is known of its files. */
  async #publishFound({ state, record }: Job, { found, reason }: Extract<Finalization, { outcome: 'differs' }>): Promise<void> {
    const { now, logger } = this.#options
    const { session, version } = state
    const at = new Date(now()).toISOString()
    for (const one of found) await this.#publish(record.partition, { type: 'file-verified', session, at, ...one })
    const differs = found.some(({ faults }) => faults.length > 0)
    instruments.finalizations.add(1, { outcome: differs ? 'differs' : 'agrees-again' })
    if (differs) logger.error({ session, version, reason }, 'files in storage differ from the status: reported as gaps, the next version states them')
    else logger.info({ session, version, reason }, 'files in storage agree with the status again')
  }

  /**
   * Deletes the manifests, and the record of the deletion once it has expired. Kafka may deliver a status again after its id
   * was used anew, so storage decides whether this deletion is the one that stands.
   */
  async #followDeletion(state: SessionState, partition: number): Promise<void> {
    const { store, now, logger } = this.#options
    const { session, deletedAt } = state
    const tombstone = await findTombstone(store, state, this.#signal)
    if (tombstone === 'later') return logger.debug({ session, deletedAt }, 'an earlier deletion of a session is passed over')
    // Block-writer erases what it wrote; a manifest may have been written while it did.
    const deleted = tombstone === 'standing' ? await deleteManifests(store, session, this.#signal) : 0
    if (deleted > 0) logger.info({ session, deleted }, 'manifests of a deleted session are deleted')
    if (state.deletion?.expiredAt === undefined || deletedAt === null) return
    if (await hasBlobs(store, session, this.#signal)) {
      if (tombstone === 'standing') await handOver(store, session, partition, this.#signal)
      return logger.warn({ session, deletedAt, tombstone }, 'blobs are left under the id of a deleted session: its record stays')
    }
    // Before it is published: until the status is gone nobody can create the session anew.
    if (tombstone === 'standing') await store.delete(BLOBS.tombstone(session), { signal: this.#signal })
    await this.#publish(partition, { type: 'session-forgotten', session, at: new Date(now()).toISOString(), deletedAt })
    logger.info({ session }, 'record of a deleted session removed')
  }

  /** Resolves once the broker has it; rejects when the partition is closed meanwhile. */
  async #publish(partition: number, event: RecordingEvent): Promise<void> {
    const { producer, eventsTopic } = this.#options
    // While Kafka is away the producer would wait until its own deadline.
    await orAborted(producer.send({ topic: eventsTopic, partition, ...encodeEvent(event) }), this.#signal)
  }

  /** Rejects only when the partition is closed. */
  async #park(record: KafkaRecord, reason: ParkedReason, details: string): Promise<void> {
    const { parker, logger } = this.#options
    await retrying(() => orAborted(parker.park(record, { reason, details }), this.#signal), {
      delays: this.#options.pauses,
      signal: this.#signal,
      failed: (error, failures) => {
        if (failures % 10 === 1) logger.error({ session: record.key, error }, 'record parking failed, retrying')
      },
    })
  }

  /** Ends early, without rejecting, when the partition is closed. */
  async #pause(attempt: number): Promise<void> {
    await delay(retryDelayMs(attempt, this.#options.pauses, Math.random()), undefined, { signal: this.#signal }).catch(() => {})
  }
}

const needsWork = ({ status, version, finalizedVersion }: SessionState): boolean => status === 'deleted' || (isCompleted(status) && version > finalizedVersion)
