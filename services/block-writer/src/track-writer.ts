import { exponentialDelayMs } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { pause } from './clock.ts'
import { commitDueAt, type Track } from './core/index.ts'
import { OneByOne } from './one-by-one.ts'
import { OpenRecords } from './open-records.ts'
import { Settling } from './settling.ts'
import { readBack } from './read-back.ts'
import { FileRefused } from './refusals.ts'
import { instruments } from './telemetry.ts'
import { isChunk, reasonToPark, type Entry, type TrackContent } from './track-entry.ts'
import { TrackCommits } from './track-commits.ts'
import { Superseded } from './track-storage.ts'
import { orUnwritable, Unwritable } from './unwritable.ts'
import type { WriterDeps } from './writer-deps.ts'

/**
 * Owns one track while its partition is ours: takes its records one after another, commits when that is due, and says that
 * they are done when storage has them and the event is published. After any failure it loads the track again and takes again
 * what no commit covers: those records are kept until then.
 */
export class TrackWriter {
  readonly session: string
  readonly name: string
  readonly #deps: WriterDeps
  readonly #commits: TrackCommits
  readonly #records: OpenRecords
  readonly #settling = new Settling()
  readonly #oneByOne = new OneByOne()
  /** Offsets of records that were parked while a damaged checkpoint was restored, since the track fails over them. */
  readonly #unwritable = new Set<bigint>()
  #track: Track | null = null
  /** When the track was loaded in the middle of longer work, until that is committed. */
  #unfinishedSince: number | null = null
  #asked = false
  #running: Promise<void> | null = null
  #cancelTimer: (() => void) | null = null
  #failures = 0
  #failure: unknown = null
  #failingSince: number | null = null
  #erased = false
  #stopped = false
  #idleSince: number
  /** When the oldest record that no commit covers was received, ms; null when there is none. */
  #uncommittedSince: number | null = null

  constructor(session: string, name: string, deps: WriterDeps) {
    this.session = session
    this.name = name
    this.#deps = deps
    this.#commits = new TrackCommits(session, name, deps)
    this.#records = new OpenRecords(deps.budget.open(() => this.ask()), (record) => deps.done(record))
    this.#idleSince = deps.clock.now()
  }

  /** Memory of what was received and no commit covers. */
  get bytes(): number {
    return this.#records.bytes
  }

  /** When its oldest record that no commit covers was received, ms; null when there is none. */
  get uncommittedSince(): number | null {
    return this.#records.since
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
    return this.#running === null && this.#records.isEmpty ? this.#idleSince : null
  }

  /** Whether a recorder of this client is known to write here. */
  hasClient(client: string): boolean {
    return this.#track === null || this.#track.hasClient(client) || this.#records.next !== undefined
  }

  take(record: KafkaRecord, content: TrackContent): void {
    const receivedAt = this.#deps.clock.now()
    this.#uncommittedSince ??= receivedAt
    this.#records.add({ record, content, receivedAt })
    this.#run()
  }

  /** Commits as soon as possible. */
  ask(): void {
    if (this.#records.isEmpty) return
    this.#asked = true
    this.#run()
  }

  /**
   * Resolves when all that was taken is committed and its event published, or the partition is not ours any more.
   * @param behindHoles whether that includes what waits for a hole to be filled: nothing more is to be expected
   */
  async settle({ behindHoles }: { behindHoles: boolean }): Promise<void> {
    if (this.#records.isEmpty || this.#stopped) return
    const settled = this.#settling.until(this.#records.last, behindHoles)
    this.#asked = true
    this.#run()
    await settled
  }

  /** Drops everything in memory; nothing more is done. */
  stop(): void {
    this.#cancelTimer?.()
    this.#records.close()
    this.#stopped = true
    this.#settling.tell(() => false)
  }

  /** Leaves memory after a time without work. What is only there should the last commit prove unreadable is deleted. */
  async leave(): Promise<void> {
    const { storage, turns, clock, logger } = this.#deps
    const track = this.#track
    this.stop()
    if (track === null || track.files.every(({ retained }) => retained.length === 0)) return
    await turns.take(clock.now(), async () => storage.deleteRetained(track)).catch((error: unknown) => {
      logger.warn({ error }, 'pending chunks that are not needed any more could not be deleted: the next commit of the track does')
    })
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
      if (this.#records.next !== undefined) this.#run()
      else this.#arm()
    })
  }

  async #loop(): Promise<void> {
    // Whoever called has more to say in this very tick.
    await Promise.resolve()
    while (!this.#isOver()) {
      try {
        const isMore = this.#erased ? this.#dropAll() : this.#oneByOne.isOn ? await this.#inTurn(async () => this.#stepAlone()) : await this.#step()
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
    this.#track ??= await this.#inTurn(async () => this.#load())
    if (this.#erased) return true
    const track = this.#track
    await this.#takeIncoming(track)
    if (this.#isOver()) return true
    this.#releaseHeld(track, this.#settling.isAwaitedBehindHoles ? Infinity : this.#deps.clock.now())
    const dueAt = this.#dueAt(track)
    if (dueAt === null || dueAt > this.#deps.clock.now()) {
      this.#tellSettled()
      return false
    }
    await this.#inTurn(async () => {
      // What came while it waited goes into the same commit.
      await this.#takeIncoming(track)
      if (!this.#isOver()) await this.#commit(track)
    })
    return true
  }

  async #takeIncoming(track: Track): Promise<void> {
    for (let { next } = this.#records; next !== undefined && !this.#isOver(); { next } = this.#records) await this.#apply(track, next)
  }

  /** Storage work of all tracks is bounded together. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#deps.turns.take(this.#uncommittedSince ?? this.#deps.clock.now(), async () => {
      if (this.#isOver()) throw new Error('this track is no longer written by this process')
      return work()
    })
  }

  /** Takes one record and commits it, or parks it if that fails over what it is. True when there may be more to do at once. */
  async #stepAlone(): Promise<boolean> {
    let tried: Entry | undefined
    try {
      this.#track ??= await this.#load()
      if (this.#erased) return true
      const track = this.#track
      if (this.#unfinishedSince !== null) await this.#commit(track)
      tried = this.#records.next
      if (tried !== undefined) {
        await this.#apply(track, tried)
        this.#releaseHeld(track, Infinity)
        if (this.#records.readySince !== null) await this.#commit(track)
      }
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error
      this.#forget()
      // What fails without any new record fails with each.
      await this.#setAside(tried === undefined ? [...this.#records.incoming] : [tried], error)
    }
    const { next } = this.#records
    this.#oneByOne.goneOnTo(next?.record.offset ?? null)
    // Without a record a track that was given up is not loaded again: it would fail for ever.
    return next !== undefined || this.#track !== null
  }

  /** Parks what cannot be written, and says so, so that the others go on; a replay brings it back. */
  async #setAside(entries: readonly Entry[], error: Unwritable): Promise<void> {
    this.#oneByOne.parked()
    for (const { record, content } of entries) {
      await this.#park(record, content, error)
      this.#records.settleNext()
    }
    this.#deps.logger.error({ records: entries.length, from: String(entries[0]?.record.offset), error: error.message }, 'records that cannot be written are parked')
    this.#tellSettled()
  }

  async #park(record: KafkaRecord, content: TrackContent, { message }: Unwritable): Promise<void> {
    await this.#deps.park(record, { reason: 'unwritable', details: message })
    if (isChunk(content)) await this.#commits.tellParked(content)
  }

  async #load(): Promise<Track> {
    for (;;) {
      const track = await this.#tryLoad()
      if (track !== null) return track
    }
  }

  /** Null if a record was parked over which the track fails while a damaged checkpoint is restored; then load again. */
  async #tryLoad(): Promise<Track | null> {
    const { track, isErased, fallbacks, takenOver } = await this.#commits.load()
    if (isErased) this.#erased = true
    this.#unfinishedSince = track.unfinished || takenOver.length > 0 ? this.#deps.clock.now() : null
    for (const fallback of fallbacks) {
      const before = this.#records.next?.record.offset ?? this.#records.last + 1n
      const alone = this.#oneByOne.isOn ? { tryWork: async () => this.#commits.tryWork(track) } : {}
      const failed = await readBack(this.#deps, track, fallback, { before, unwritable: this.#unwritable, ...alone })
      if (failed !== null) {
        await this.#park(failed.record, failed.content, failed.error)
        this.#unwritable.add(failed.record.offset)
        return null
      }
      // At once, so that nothing depends on the damaged checkpoint any more.
      this.#unfinishedSince = this.#deps.clock.now()
    }
    return track
  }

  async #apply(track: Track, { record, content, receivedAt }: Entry): Promise<void> {
    if (!isChunk(content)) {
      orUnwritable(() => track.declare(content))
      if (content.type === 'part-closed') this.#asked = true
      this.#records.takeNext(false)
      return this.#records.release(track.takeReleased())
    }
    const taken = orUnwritable(() => track.takeChunk(content, receivedAt))
    // What repeats a record that a dead owner left half worked in keeps its offset until the work is committed: if this
    // owner dies of it, too, nothing else would bring the next one here.
    if (taken === 'taken' || taken === 'held' || (taken === 'duplicate' && this.#unfinishedSince !== null)) {
      this.#records.takeNext(taken === 'held')
      return this.#records.release(track.takeReleased())
    }
    const why = reasonToPark(taken)
    if (why !== null) await this.#deps.park(record, why)
    // A duplicate of what is not committed yet has the lower offset before it: the group's offset stays below both.
    this.#records.settleNext()
  }

  #releaseHeld(track: Track, now: number): void {
    track.releaseHeld(now)
    this.#records.release(track.takeReleased())
  }

  #dueAt(track: Track): number | null {
    if (this.#unfinishedSince !== null) return this.#unfinishedSince
    const since = this.#records.readySince
    const { unplayableSince, committedMs } = track
    const { settings, budget } = this.#deps
    return commitDueAt(settings.policy, { since, bytes: this.#records.readyBytes, unplayableSince, committedMs, roomy: budget.roomy, asked: this.#asked })
  }

  async #commit(track: Track): Promise<void> {
    const covered = this.#records.ready().map(({ record }) => record)
    await this.#commits.commit(track, covered, this.#records.nextOffset())
    this.#unfinishedSince = null
    this.#oneByOne.committed()
    this.#records.settleReady()
    this.#uncommittedSince = this.#records.isEmpty ? null : this.#deps.clock.now()
    this.#tellSettled()
    // Who waits may have asked while this was under way, for what came meanwhile.
    this.#asked = this.#settling.isAwaited
  }

  /** Whatever failed, storage is the truth: forget what is in memory and take again, on top of it, what it lacks. */
  async #recover(error: unknown): Promise<void> {
    const { clock, settings, logger, signal } = this.#deps
    const superseded = error instanceof Superseded
    instruments.commits.add(1, { outcome: superseded ? 'superseded' : error instanceof FileRefused ? 'refused' : 'failed' })
    this.#failures++
    this.#failingSince ??= clock.now()
    this.#failure = error
    this.#forget()
    if (error instanceof Unwritable) this.#oneByOne.failed(this.#records.last)
    const waitMs = exponentialDelayMs(this.#failures, { firstMs: settings.retryMs, maxMs: settings.maxRetryMs })
    logger.warn({ error, failures: this.#failures, waitMs }, superseded ? 'track written by another writer, reloading' : 'track write failed, retrying')
    await pause(clock, waitMs, signal)
  }

  #forget(): void {
    this.#track = null
    this.#records.takeBack()
  }

  #dropAll(): boolean {
    this.#track = null
    this.#records.settleAll()
    this.#tellSettled()
    return false
  }

  #tellSettled(): void {
    this.#settling.tell((upTo, behindHoles) => this.#records.isOpen(upTo, behindHoles))
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
}
