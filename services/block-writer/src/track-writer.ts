import { randomUUID } from 'node:crypto'
import type { ParkedReason, RecordingEvent } from '@longtake/contracts'
import { KafkaError, type KafkaRecord } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import type { ByteBudget } from './budget.ts'
import { pause, type Clock } from './clock.ts'
import { commitDueAt, planCommit, type CommitLimits, type CommitPolicy, type Track, type TrackFile, type TrackLimits } from './core/index.ts'
import { instruments, withCommitSpan } from './telemetry.ts'
import { isChunk, isHeld, reasonToPark, sizeOf, type Entry, type TrackContent } from './track-entry.ts'
import { Superseded, type Committed, type TrackStorage } from './track-storage.ts'
import { orUnwritable, Unwritable } from './unwritable.ts'

export interface WriterSettings {
  readonly policy: CommitPolicy
  readonly limits: TrackLimits
  readonly commitLimits: CommitLimits
  /** First and longest wait after a failure, ms. */
  readonly retryMs: number
  readonly maxRetryMs: number
}

export interface WriterDeps {
  readonly storage: TrackStorage
  readonly settings: WriterSettings
  readonly clock: Clock
  readonly budget: ByteBudget
  readonly logger: Logger
  /** Whether the session was deleted. */
  isErased(): Promise<boolean>
  /** Deletes all that the session has in storage. */
  erase(): Promise<void>
  /** Resolves when the broker has it. */
  publish(event: RecordingEvent): Promise<void>
  park(record: KafkaRecord, why: { reason: ParkedReason; details: string }): Promise<void>
  /** The record is durable in storage, or nothing is lost without it. */
  done(record: KafkaRecord): void
  /** Aborts when the partition is not ours any more. */
  readonly signal: AbortSignal
}

interface Waiting {
  /** Everything up to this offset shall be committed. */
  readonly upTo: bigint
  /** Also what waits for a hole to be filled. */
  readonly behindHoles: boolean
  readonly resolve: () => void
}

/** So much is read of pending blobs, or decoded, before it is committed. */
const WORK_BYTES = 16 * 1024 * 1024

/** So often in a row, which is half a minute, a track fails over what it is before its records are tried one by one. */
const FAULTS_UNTIL_SURE = 8

/**
 * Owns one track while its partition is ours: takes its records one after another, commits when that is due, and says that
 * they are done when storage has them and the event is published. After any failure it loads the track again and takes again
 * what no commit covers: those records are kept until then.
 */
export class TrackWriter {
  readonly session: string
  readonly name: string
  readonly #deps: WriterDeps
  #track: Track | null = null
  #etags = new Map<number, string>()
  #incoming: Entry[] = []
  #uncommitted: Entry[] = []
  #bytes = 0
  /** Of all that was taken here or is in a commit. */
  #lastOffset = -1n
  /** When the track was loaded in the middle of longer work, until that is committed. */
  #unfinishedSince: number | null = null
  #asked = false
  #releaseHeld = false
  #waiting: Waiting[] = []
  #running: Promise<void> | null = null
  #cancelTimer: (() => void) | null = null
  #failures = 0
  /** Failures since the last commit that storage and Kafka had no part in. */
  #faults = 0
  /** While set, records up to this offset are taken and committed one by one, to find those it fails over. */
  #oneByOneTo: bigint | null = null
  /** Something of it was parked. */
  #distrusted = false
  #failure: unknown = null
  #failingSince: number | null = null
  #erased = false
  #stopped = false
  #idleSince: number

  constructor(session: string, name: string, deps: WriterDeps) {
    this.session = session
    this.name = name
    this.#deps = deps
    this.#idleSince = deps.clock.now()
  }

  /** Bytes received that no commit covers. */
  get bytes(): number {
    return this.#bytes
  }

  /** Since when nothing could be committed or loaded, ms; null while all is well. */
  get failingSince(): number | null {
    return this.#failingSince
  }

  /** What failed last. */
  get failure(): unknown {
    return this.#failure
  }

  /** Since when it has had nothing to do, ms; null while it has. */
  get idleSince(): number | null {
    return this.#running === null && this.#incoming.length === 0 && this.#uncommitted.length === 0 ? this.#idleSince : null
  }

  /** Whether a recorder of this client is known to write here. */
  hasClient(client: string): boolean {
    return this.#track === null || this.#track.parts.some((part) => part.client === client) || this.#incoming.length > 0
  }

  take(record: KafkaRecord, content: TrackContent): void {
    this.#incoming.push({ record, content, receivedAt: this.#deps.clock.now() })
    this.#count(sizeOf(content))
    this.#run()
  }

  /** Commits as soon as possible. */
  ask(): void {
    if (this.#incoming.length === 0 && this.#uncommitted.length === 0) return
    this.#asked = true
    this.#run()
  }

  /**
   * Resolves when all that was taken is committed and its event published, or the partition is not ours any more.
   * @param behindHoles whether that includes what waits for a hole to be filled: nothing more is to be expected
   */
  async settle({ behindHoles }: { behindHoles: boolean }): Promise<void> {
    const last = this.#incoming.at(-1) ?? this.#uncommitted.at(-1)
    if (last === undefined || this.#stopped) return
    if (behindHoles) this.#releaseHeld = true
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push({ upTo: last.record.offset, behindHoles, resolve })
    this.#asked = true
    this.#run()
    await promise
  }

  /** Drops everything in memory; nothing more is done. */
  stop(): void {
    this.#cancelTimer?.()
    this.#count(-this.#bytes)
    this.#stopped = true
    for (const { resolve } of this.#waiting) resolve()
    this.#waiting = []
  }

  /** The session is deleted: what is here, and what comes, is dropped and done. Resolves when nothing is being written any more. */
  async erase(): Promise<void> {
    this.#erased = true
    this.#run()
    await this.#running
  }

  #run(): void {
    this.#running ??= this.#loop().finally(() => {
      this.#running = null
      this.#idleSince = this.#deps.clock.now()
      if (this.#stopped) return
      // Something may have come after the loop had looked for the last time.
      if (this.#incoming.length > 0) this.#run()
      else this.#arm()
    })
  }

  async #loop(): Promise<void> {
    // Whoever called has more to say in this very tick.
    await Promise.resolve()
    while (!this.#isOver()) {
      try {
        const isMore = this.#erased ? this.#dropAll() : this.#oneByOneTo === null ? await this.#step() : await this.#stepAlone(this.#oneByOneTo)
        this.#failures = 0
        this.#failingSince = null
        this.#failure = null
        if (!isMore) return
      } catch (error) {
        if (this.#isOver()) return
        await this.#recover(error)
      }
    }
  }

  #isOver(): boolean {
    if (this.#deps.signal.aborted && !this.#stopped) this.stop()
    return this.#stopped
  }

  /** Loads, takes what has come, commits what is due. True when there may be more to do at once. */
  async #step(): Promise<boolean> {
    this.#track ??= await this.#load()
    if (this.#erased) return true
    const track = this.#track
    while (this.#incoming.length > 0 && !this.#isOver()) {
      await this.#apply(track, this.#incoming[0]!)
      this.#incoming.shift()
    }
    if (this.#incoming.length > 0) return true
    track.releaseHeld(this.#releaseHeld ? Infinity : this.#deps.clock.now())
    const dueAt = this.#dueAt(track)
    if (dueAt === null || dueAt > this.#deps.clock.now()) {
      this.#resolveWaiting()
      return false
    }
    await this.#commit(track)
    return true
  }

  /** Takes one record and commits it, or parks it if that fails over what it is. True when there may be more to do at once. */
  async #stepAlone(to: bigint): Promise<boolean> {
    let tried: Entry | undefined
    try {
      this.#track ??= await this.#load()
      if (this.#erased) return true
      const track = this.#track
      if (this.#unfinishedSince !== null) await this.#commit(track)
      tried = this.#incoming[0]
      if (tried !== undefined) {
        await this.#apply(track, tried)
        this.#incoming.shift()
        track.releaseHeld()
        if (this.#uncommitted.length > 0) await this.#commit(track)
      }
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error
      this.#forget()
      // What fails without any new record fails with each.
      await this.#setAside(tried === undefined ? [...this.#incoming] : [tried], error)
    }
    const next = this.#incoming[0]
    if (next === undefined || next.record.offset > to) this.#oneByOneTo = null
    // Without a record a track that was given up is not loaded again: it would fail for ever.
    return next !== undefined || this.#track !== null
  }

  /** Parks what cannot be written, so that the others go on; a replay brings it back. */
  async #setAside(entries: readonly Entry[], { message }: Unwritable): Promise<void> {
    this.#distrusted = true
    for (const { record, content } of entries) {
      await this.#deps.park(record, { reason: 'unwritable', details: message })
      this.#incoming = this.#incoming.filter((entry) => entry.record !== record)
      this.#count(-sizeOf(content))
      this.#deps.done(record)
    }
    this.#deps.logger.error({ records: entries.length, from: String(entries[0]?.record.offset), error: message }, 'records that cannot be written are parked')
    this.#resolveWaiting()
  }

  async #load(): Promise<Track> {
    const { storage, settings, clock } = this.#deps
    if (await this.#deps.isErased()) this.#erased = true
    const { track, etags, states } = await storage.load(settings.limits, clock.now())
    for (const { state, at } of states) await this.#publish(state, at)
    this.#etags = etags
    this.#unfinishedSince = track.unfinished ? clock.now() : null
    for (const { state } of states) this.#passed(BigInt(state.nextOffset) - 1n)
    return track
  }

  async #apply(track: Track, entry: Entry): Promise<void> {
    const { record, content } = entry
    if (!isChunk(content)) {
      orUnwritable(() => track.declare(content))
      this.#uncommitted.push(entry)
      if (content.type === 'part-closed') this.#asked = true
      this.#passed(record.offset)
      return
    }
    const taken = orUnwritable(() => track.takeChunk(content, entry.receivedAt))
    const why = reasonToPark(taken)
    // What repeats a record that a dead owner left half worked in keeps its offset until the work is committed: if this
    // owner dies of it, too, nothing else would bring the next one here.
    if (taken === 'taken' || taken === 'held' || (taken === 'duplicate' && this.#unfinishedSince !== null)) {
      this.#uncommitted.push(entry)
    } else {
      if (why !== null) await this.#deps.park(record, why)
      // A duplicate of what is not committed yet has the lower offset before it: the group's offset stays below both.
      this.#count(-sizeOf(content))
      this.#deps.done(record)
    }
    this.#passed(record.offset)
  }

  #passed(offset: bigint): void {
    if (offset > this.#lastOffset) this.#lastOffset = offset
  }

  #dueAt(track: Track): number | null {
    if (this.#unfinishedSince !== null) return this.#unfinishedSince
    const entries = this.#uncommitted.filter((entry) => !isHeld(track, entry))
    const since = entries[0]?.receivedAt ?? null
    const { unplayableSince, committedMs } = track
    return commitDueAt(this.#deps.settings.policy, { since, bytes: this.#bytes, unplayableSince, committedMs, asked: this.#asked })
  }

  async #commit(track: Track): Promise<void> {
    const covered = this.#uncommitted.filter((entry) => !isHeld(track, entry))
    const held = this.#uncommitted.filter((entry) => isHeld(track, entry))
    const nextOffset = held[0]?.record.offset ?? this.#incoming[0]?.record.offset ?? this.#lastOffset + 1n
    const records = covered.map(({ record }) => record)
    await withCommitSpan(this.session, this.name, records, async () => {
      for (let before: string[] = []; ; ) {
        const wanted = orUnwritable(() => track.work(WORK_BYTES))
        if (wanted.length === 0 || track.freshBytes >= WORK_BYTES) {
          for (const file of track.dirtyFiles) await this.#commitFile(track, file, nextOffset)
        }
        if (wanted.length === 0) break
        if (wanted.join() === before.join()) throw new Unwritable(`work does not go on with ${wanted.join()}`)
        before = wanted
        for (const name of wanted) track.loaded.provide(name, await this.#deps.storage.readPending(name))
      }
    })
    this.#uncommitted = held
    this.#unfinishedSince = null
    this.#faults = 0
    this.#count(-covered.reduce((sum, { content }) => sum + sizeOf(content), 0))
    for (const record of records) this.#deps.done(record)
    this.#resolveWaiting()
    // Who waits may have asked while this was under way, for what came meanwhile.
    this.#asked = this.#waiting.length > 0
  }

  async #commitFile(track: Track, file: TrackFile, nextOffset: bigint): Promise<void> {
    const { storage, settings, logger } = this.#deps
    const startedAt = performance.now()
    const plan = orUnwritable(() => planCommit(track, file, randomUUID(), nextOffset, settings.commitLimits))
    const before = this.#etags.get(file.number) ?? null
    const { etag, state, readBack, obsolete, bytes } = await storage.commit(plan, before).catch(async (error: unknown) => {
      if (error instanceof Superseded) await this.#eraseAgain()
      throw error
    })
    // A new blob needs no etag to match: only so could a session that was deleted meanwhile, by another owner, come back.
    if (before === null && (await this.#eraseAgain())) throw new Superseded('the session was deleted')
    this.#etags.set(file.number, etag)
    await this.#publish(state, new Date(this.#deps.clock.now()))
    instruments.commits.add(1, { outcome: readBack ? 'read-back' : 'committed' })
    instruments.commitDuration.record((performance.now() - startedAt) / 1000)
    logger.debug({ file: file.number, commit: state.commit.number, bytes, durationMs: state.durationMs, generation: state.generation }, 'committed')
    if (obsolete.length > 0) await storage.deleteAll(obsolete)
  }

  /** True when another owner deleted the session meanwhile: then what was written here since is deleted, too. */
  async #eraseAgain(): Promise<boolean> {
    const isErased = await this.#deps.isErased()
    if (isErased) await this.#deps.erase()
    return isErased
  }

  /** @param at when it was committed: to load a track is no sign of life of its session */
  async #publish(state: Committed, at: Date): Promise<void> {
    try {
      await this.#deps.publish({ ...state, at: at.toISOString() })
    } catch (error) {
      if (!(error instanceof KafkaError && error.code === 'KAFKA_RECORD_TOO_LARGE')) throw error
      // It will be so at every try; the other tracks of the partition must go on.
      this.#deps.logger.error({ file: state.file, commit: state.commit.number, error }, 'what is known of a track is too large to be published: its status stands still')
    }
  }

  /** Whatever failed, storage is the truth: forget what is in memory and take again, on top of it, what it lacks. */
  async #recover(error: unknown): Promise<void> {
    const { clock, settings, logger, signal } = this.#deps
    const superseded = error instanceof Superseded
    instruments.commits.add(1, { outcome: superseded ? 'superseded' : 'failed' })
    this.#failures++
    this.#failingSince ??= clock.now()
    this.#failure = error
    this.#forget()
    if (error instanceof Unwritable && ++this.#faults >= (this.#distrusted ? 1 : FAULTS_UNTIL_SURE)) {
      this.#oneByOneTo = this.#incoming.at(-1)?.record.offset ?? this.#lastOffset
      this.#faults = 0
    }
    const waitMs = Math.min(settings.maxRetryMs, settings.retryMs * 2 ** Math.min(this.#failures - 1, 10))
    logger.warn({ error, failures: this.#failures, waitMs }, superseded ? 'another writer was here: loading again' : 'a track could not be written: trying again')
    await pause(clock, waitMs, signal)
  }

  #forget(): void {
    this.#track = null
    this.#incoming = [...this.#uncommitted, ...this.#incoming]
    this.#uncommitted = []
  }

  #dropAll(): boolean {
    const dropped = [...this.#uncommitted, ...this.#incoming]
    this.#track = null
    this.#uncommitted = []
    this.#incoming = []
    this.#count(-this.#bytes)
    for (const { record } of dropped) this.#deps.done(record)
    this.#resolveWaiting()
    return false
  }

  #resolveWaiting(): void {
    const open = [...this.#uncommitted, ...this.#incoming]
    const track = this.#track
    this.#waiting = this.#waiting.filter(({ upTo, behindHoles, resolve }) => {
      // What waits at a hole is in nobody's way otherwise: its offset is not done.
      const isOpen = open.some((entry) => entry.record.offset <= upTo && (behindHoles || track === null || this.#incoming.includes(entry) || !isHeld(track, entry)))
      if (!isOpen) resolve()
      return isOpen
    })
    // Not before: after a failure all that was released is held again.
    if (this.#waiting.length === 0) this.#releaseHeld = false
  }

  #arm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    const track = this.#track
    if (track === null) return
    const times = [this.#dueAt(track), track.holdEndsAt].filter((time) => time !== null)
    if (times.length === 0) return
    const waitMs = Math.max(0, Math.min(...times) - this.#deps.clock.now())
    this.#cancelTimer = this.#deps.clock.after(waitMs, () => this.#run())
  }

  #count(bytes: number): void {
    // All was given back when it stopped; a commit that was under way then gives nothing back again.
    if (this.#stopped) return
    this.#bytes += bytes
    instruments.bufferedBytes.add(bytes)
    if (bytes >= 0) this.#deps.budget.take(bytes)
    else this.#deps.budget.give(-bytes)
  }
}
