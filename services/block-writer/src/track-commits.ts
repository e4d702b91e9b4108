import { randomUUID } from 'node:crypto'
import type { ChunkRecord } from '@longtake/contracts'
import { CommitChanges } from '@longtake/domain'
import { KafkaError, type KafkaRecord } from '@longtake/kafka'
import { planCommit, type Track, type TrackFile, type WorkStep } from './core/index.ts'
import { instruments, withCommitSpan } from './telemetry.ts'
import type { Fallback } from './stored-checkpoints.ts'
import { FileRefused } from './refusals.ts'
import { Superseded, type Committed } from './track-storage.ts'
import { orUnwritable, Unwritable } from './unwritable.ts'
import type { WriterDeps } from './writer-deps.ts'

/** A lease that somebody forgot lasts no longer; a shorter one is waited for, as it would cost a file. */
const LEASE_MS = 60_000
/** So many files of one track are not refused for what each of them is: then it is an outage. */
const MAX_REFUSED = 16

/** Offsets of the records that a commit covers: all below `nextOffset`, and none from `endOffset` on. */
interface Covered {
  readonly nextOffset: bigint
  readonly endOffset: bigint
}

/** Brings a track from storage and to it, and says in recordings.events what storage has. */
export class TrackCommits {
  readonly #session: string
  readonly #name: string
  readonly #deps: WriterDeps
  #etags = new Map<number, string>()
  /** Files that storage takes no change of, until a checkpoint of a later file records it. */
  readonly #refused = new Set<number>()
  /** Since when a file's commits have been refused over a lease, ms. */
  readonly #leasedSince = new Map<number, number>()
  /** What recordings.events lacks of each file, and when it was committed: to load a track is no sign of life of its session. */
  #untold = new Map<number, { readonly state: Committed; readonly at: Date }>()
  /** By file: what is published of its commits. Nothing is known of what was published before the track was loaded. */
  readonly #changes = new Map<number, CommitChanges>()

  constructor(session: string, name: string, deps: WriterDeps) {
    this.#session = session
    this.#name = name
    this.#deps = deps
  }

  /** The track as its last commits left it. */
  async load(): Promise<{ track: Track; isErased: boolean; fallbacks: readonly Fallback[]; takenOver: readonly string[] }> {
    const { storage, settings, clock } = this.#deps
    const [isErased, { track, etags, fallbacks, takenOver, states }] = await Promise.all([this.#deps.isErased(), storage.load(settings.limits, clock.now(), this.#refused)])
    this.#etags = etags
    this.#changes.clear()
    // What an earlier checkpoint holds was published before.
    const unpublished = states.filter(({ state }) => fallbacks.every(({ file }) => file !== state.file))
    this.#untold = new Map(unpublished.map((committed) => [committed.state.file, committed]))
    if (!isUnderWork(track)) await this.#tell()
    return { track, isErased, fallbacks, takenOver }
  }

  /**
   * Works off what is to be done and commits each file that has changed by it.
   * @param records those that it covers, by offset
   * @param nextOffset below it nothing is open any more after this
   */
  async commit(track: Track, records: readonly KafkaRecord[], nextOffset: bigint): Promise<void> {
    const last = records.at(-1)?.offset ?? -1n
    const covered = { nextOffset, endOffset: last < nextOffset ? nextOffset : last + 1n }
    await withCommitSpan(this.#session, this.#name, records, async () => {
      try {
        await this.#workOff(track, covered)
      } catch (error) {
        // It gets no further: what is there is how it stays.
        if (error instanceof Unwritable) await this.#tell()
        throw error
      }
      await this.#tell()
    })
  }

  /** Processes the pending work of the track without a commit. */
  async tryWork(track: Track): Promise<void> {
    await this.#run(track, null)
  }

  async #workOff(track: Track, covered: Covered): Promise<void> {
    await this.#run(track, covered)
    await this.#commitFiles(track, covered)
  }

  async #run(track: Track, covered: Covered | null): Promise<void> {
    const work = track.work()
    let given: Uint8Array | undefined
    for (;;) {
      const step = orUnwritable(() => work.next(given))
      if (step.done === true) break
      given = await this.#serve(track, step.value, covered)
    }
  }

  async #serve(track: Track, step: WorkStep, covered: Covered | null): Promise<Uint8Array | undefined> {
    const { storage, settings } = this.#deps
    switch (step.kind) {
      case 'load':
        return (await storage.readPending(step.blob, step.length)) ?? this.#lost(step.blob)
      case 'read':
        return storage.readMedia(track, step.media, this.#etags)
      case 'pause':
        if (covered !== null && track.freshBytes >= settings.workBytes) await this.#commitFiles(track, covered)
        return undefined
      default:
        return step satisfies never
    }
  }

  /** Its chunks become a gap: what they were part of is reported as damaged. */
  #lost(blob: string): undefined {
    instruments.damaged.add(1, { kind: 'pending' })
    this.#deps.logger.error({ blob }, 'pending chunks damaged or missing in storage: their media are lost and reported as a gap')
  }

  async #commitFiles(track: Track, covered: Covered): Promise<void> {
    for (const file of track.dirtyFiles) await this.#commitFile(track, file, covered)
  }

  /** Says of a chunk that is parked where it is, so that nobody calls it lost. */
  async tellParked({ session, track, part, seq }: ChunkRecord): Promise<void> {
    await this.#deps.publish({ type: 'chunks-parked', session, at: new Date(this.#deps.clock.now()).toISOString(), track, part, from: seq, to: seq })
  }

  async #commitFile(track: Track, file: TrackFile, { nextOffset, endOffset }: Covered): Promise<void> {
    const { storage, settings, logger } = this.#deps
    const startedAt = performance.now()
    const plan = orUnwritable(() => planCommit(track, file, randomUUID(), nextOffset, settings.commitLimits))
    const before = this.#etags.get(file.number) ?? null
    const { etag, state, readBack, obsolete, bytes } = await storage.commit(plan, before, endOffset).catch(async (error: unknown) => {
      if (error instanceof Superseded || error instanceof FileRefused) await this.#eraseAgain()
      if (error instanceof FileRefused) this.#refuse(track, file.number, error)
      throw error
    })
    // A new blob needs no etag to match: only so could a session that was deleted meanwhile, by another owner, come back.
    if (before === null && (await this.#eraseAgain())) throw new Superseded('the session was deleted')
    this.#leasedSince.delete(file.number)
    this.#etags.set(file.number, etag)
    this.#untold.set(file.number, { state, at: new Date(this.#deps.clock.now()) })
    if (!isUnderWork(track)) await this.#tell()
    instruments.commits.add(1, { outcome: readBack ? 'read-back' : 'committed' })
    instruments.commitDuration.record((performance.now() - startedAt) / 1000)
    logger.debug({ file: file.number, commit: state.commit.number, bytes, durationMs: state.durationMs, generation: state.generation }, 'committed')
    if (obsolete.length > 0) await storage.deleteAll(obsolete)
  }

  /** From the next load on, what comes of this file's parts goes into later files. */
  #refuse(track: Track, file: number, { why, message }: FileRefused): void {
    const { clock, logger } = this.#deps
    if (why === 'leased') {
      const since = this.#leasedSince.get(file) ?? clock.now()
      this.#leasedSince.set(file, since)
      if (clock.now() - since < LEASE_MS) return
    }
    if (track.closedFiles.length >= MAX_REFUSED) return
    this.#refused.add(file)
    logger.warn({ file, why, reason: message }, 'file closed: storage refuses to change it, its parts continue in the next file')
  }

  /** True when another owner deleted the session meanwhile: then what was written here since is deleted, too. */
  async #eraseAgain(): Promise<boolean> {
    const isErased = await this.#deps.isErased()
    if (isErased) await this.#deps.erase()
    return isErased
  }

  /** File 0 last, as in commits: it may not have a part any more that another file has not been told to have. */
  async #tell(): Promise<void> {
    for (const [file, { state, at }] of [...this.#untold].toSorted(([a], [b]) => b - a)) {
      await this.#publish(state, at)
      this.#untold.delete(file)
    }
  }

  async #publish(state: Committed, at: Date): Promise<void> {
    const changes = this.#changes.get(state.file) ?? new CommitChanges()
    // Until it is known to stand in the log nothing may refer to it.
    this.#changes.delete(state.file)
    const event = changes.eventOf(state)
    try {
      await this.#deps.publish({ ...event, at: at.toISOString() })
      changes.published(state, event)
      this.#changes.set(state.file, changes)
    } catch (error) {
      if (!(error instanceof KafkaError && error.code === 'KAFKA_RECORD_TOO_LARGE')) throw error
      // It will be so at every try; the other tracks of the partition must go on.
      instruments.tooLarge.add(1, { kind: event.type })
      this.#deps.logger.error({ file: state.file, commit: state.commit.number, error }, 'what is known of a track is too large to be published: its status stands still')
    }
  }
}

/** Whether a commit of it is one of several: what is still to be decoded looks broken, so only the last one is told. */
const isUnderWork = ({ parts }: Track): boolean => parts.some(({ unfinished }) => unfinished)
