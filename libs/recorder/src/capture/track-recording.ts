import type { ReportEvent } from '@longtake/contracts/protocol'
import { RecorderError, type TrackOptions } from '../api.ts'
import { Capture, type Bitrates } from './capture.ts'
import { deferred } from '../deferred.ts'
import { chooseMimeType, kindsOf } from './media-type.ts'
import { PartRun, type PartRunHost } from './part-run.ts'
import { RestartPolicy } from './restart-policy.ts'
import { describeChange, needsNextPart, recordable, type SourceLook } from './source-rules.ts'
import { Sources } from './sources.ts'
import type { Cancel, WorkerTimers } from '../worker-timers.ts'

export const DEFAULT_BITRATES: Bitrates = { videoBitsPerSecond: 2_500_000, audioBitsPerSecond: 64_000 }
const LOOK_EVERY_MS = 1000
/** A first frame comes within a tenth of a second; where none does, as of a muted camera, others need not wait for it. */
const FIRST_FRAME_PATIENCE_MS = 3000

export interface TrackHost extends PartRunHost {
  readonly timers: WorkerTimers
  report(event: ReportEvent, track: string, detail?: string): void
  /** Nothing of the track is recorded any more, until it is given another stream. */
  ended(track: string): void
}

interface RunningPart {
  capture: Capture
  recorded: readonly SourceLook[]
  beganAt: number
  /** No more comes of its `MediaRecorder`; why, if it failed. */
  over: Promise<RecorderError | null>
}

/**
 * One track and its successive parts, one at a time. Whatever changes what shall be recorded ends with `#nextPart`, which ends the
 * current part and begins one of what can be recorded then, if any.
 */
export class TrackRecording {
  readonly name: string
  readonly #host: TrackHost
  readonly #released = deferred<void>()
  readonly #unspooled = new Set<Promise<void>>()
  #sources: Sources
  #bitrates: Bitrates
  #videoShare = 1
  /** At the last look. */
  #before: SourceLook[]
  #want: 'recording' | 'paused' | 'ended' = 'recording'
  #part: RunningPart | null = null
  #turns: Promise<void> = Promise.resolve()
  #turning = 0
  #hasBegun = false
  #restarts = new RestartPolicy()
  #cancelRestart: Cancel = () => undefined
  #cancelLooks: Cancel = () => undefined

  private constructor(name: string, options: TrackOptions, host: TrackHost) {
    this.name = name
    this.#host = host
    this.#sources = this.#watch(options.stream)
    this.#before = this.#sources.look()
    this.#bitrates = bitratesOf(options)
  }

  /**
   * Resolves when it records. Nothing is said of it before `release`.
   * @throws RecorderError `invalid-options`, `unsupported-media`, `capture-failed`
   */
  static async start(name: string, options: TrackOptions, host: TrackHost): Promise<TrackRecording> {
    assertRecordable(name, options.stream)
    const recording = new TrackRecording(name, options, host)
    try {
      await recording.#beginFirst()
      return recording
    } catch (error) {
      recording.abandon()
      throw error
    }
  }

  get hasEnded(): boolean {
    return this.#want === 'ended'
  }

  get isPaused(): boolean {
    return this.#want === 'paused'
  }

  release(): void {
    this.#released.resolve()
  }

  /** Ends it without a word. */
  abandon(): void {
    this.#want = 'ended'
    this.#forsake()
    this.#part?.capture.stop()
  }

  /**
   * Records another stream from now on, also where it has ended.
   * @throws RecorderError `invalid-options`, `unsupported-media`, and then nothing changes
   */
  async replace(options: TrackOptions): Promise<void> {
    assertRecordable(this.name, options.stream)
    this.#forsake()
    this.#sources = this.#watch(options.stream)
    this.#bitrates = bitratesOf({ ...this.#bitrates, ...options })
    this.#restarts = new RestartPolicy()
    if (this.#want === 'ended') this.#want = 'recording'
    this.#keepLooking()
    await this.nextPart()
  }

  /**
   * Gives pictures another share of the bits that they were meant to have.
   * @returns whether there are any now: then that begins a next part
   */
  setVideoShare(share: number): boolean {
    this.#videoShare = share
    const { video } = kindsOf(this.#part?.recorded ?? [])
    if (video) void this.nextPart()
    return video
  }

  /** @returns whether that changed anything */
  pause(): boolean {
    return this.#turnFrom('recording', 'paused')
  }

  /** @returns whether that changed anything */
  resume(): boolean {
    return this.#turnFrom('paused', 'recording')
  }

  /** Resolves when all of it is in the spool. */
  async end(): Promise<void> {
    const ended = this.#want === 'ended'
    this.#want = 'ended'
    this.#forsake()
    await this.nextPart()
    if (!ended) this.#host.ended(this.name)
    await Promise.all(this.#unspooled)
  }

  /** Ends the current part and begins another, where one is wanted and can be. */
  nextPart(): Promise<void> {
    this.#cancelRestart()
    this.#turning += 1
    this.#turns = this.#turn(this.#turns)
    return this.#turns
  }

  async #turn(before: Promise<void>): Promise<void> {
    await before
    await this.#endPart()
    this.#turning -= 1
    if (this.#want === 'recording' && this.#turning === 0) this.#beginPart()
  }

  async #beginFirst(): Promise<void> {
    const { capture, over } = this.#begin()
    const patience = new Promise<'later'>((resolve) => {
      this.#host.timers.after(FIRST_FRAME_PATIENCE_MS, () => resolve('later'))
    })
    if ((await Promise.race([capture.started, patience])) === null) throw (await over) ?? new RecorderError('capture-failed', 'MediaRecorder: ended before it began')
    this.#hasBegun = true
    this.#keepLooking()
  }

  async #endPart(): Promise<void> {
    const part = this.#part
    this.#part = null
    part?.capture.stop()
    await part?.over
  }

  #beginPart(): void {
    if (recordable(this.#sources.look()).length === 0) return this.#finish()
    try {
      this.#begin()
    } catch (error) {
      this.#failed(error as RecorderError, 0)
    }
  }

  #begin(): RunningPart {
    this.#before = this.#sources.look()
    const recorded = recordable(this.#before)
    const over = deferred<RecorderError | null>()
    const opened = deferred<{ mimeType: string; startedAt: number }>()
    const run = new PartRun(this.name, opened.promise, this.#host)
    const capture = new Capture(this.#sources.pick(recorded), this.#effectiveBitrates(), {
      data: (blob) => run.add(blob, Date.now()),
      ended: (error) => {
        // One that failed may have kept its last frames to itself.
        this.#spool(run, capture, error === null)
        over.resolve(error)
        if (this.#part?.capture === capture) this.#endedByItself(error)
      },
    })
    void Promise.all([capture.started, this.#released.promise]).then(([started]) => started !== null && opened.resolve(started))
    this.#part = { capture, recorded, beganAt: Date.now(), over: over.promise }
    return this.#part
  }

  #spool(run: PartRun, capture: Capture, clean: boolean): void {
    const spooled = capture.started.then((started) => (started === null ? undefined : run.close(clean)))
    this.#unspooled.add(spooled)
    void spooled.then(() => this.#unspooled.delete(spooled))
  }

  /** Its sources ended, or it failed. */
  #endedByItself(error: RecorderError | null): void {
    const part = this.#part
    this.#part = null
    if (part === null || !this.#hasBegun || this.#want !== 'recording' || this.#turning > 0) return
    const isLive = this.#sources.look().some(({ id, live }) => live && part.recorded.some((source) => source.id === id))
    if (error === null && !isLive) void this.nextPart()
    else this.#failed(error ?? new RecorderError('capture-failed', 'MediaRecorder: ended by itself'), Date.now() - part.beganAt)
  }

  #failed(error: RecorderError, ranForMs: number): void {
    const waitMs = this.#restarts.failed(ranForMs)
    this.#host.report('recorder-failed', this.name, error.message)
    if (waitMs !== null) {
      this.#cancelRestart = this.#host.timers.after(waitMs, () => void this.nextPart())
      return
    }
    this.#host.error(error)
    this.#finish()
  }

  #finish(): void {
    this.#want = 'ended'
    this.#forsake()
    this.#host.ended(this.name)
  }

  #turnFrom(from: 'recording' | 'paused', to: 'recording' | 'paused'): boolean {
    if (this.#want !== from) return false
    this.#want = to
    void this.nextPart()
    return true
  }

  #watch(stream: MediaStream): Sources {
    return new Sources(stream, {
      changed: () => this.#look(),
      told: (event, source) => this.#host.report(event === 'ended' ? 'device-lost' : event, this.name, `${source.kind}: ${source.label}`),
    })
  }

  #keepLooking(): void {
    this.#cancelLooks()
    this.#cancelLooks = this.#host.timers.every(LOOK_EVERY_MS, () => this.#look())
  }

  #look(): void {
    const now = this.#sources.look()
    const before = this.#before
    this.#before = now
    if (this.#part === null || this.#turning > 0) return
    const { recorded, beganAt } = this.#part
    if (!needsNextPart({ recorded, before, now, partAgeMs: Date.now() - beganAt })) return
    const change = describeChange(recorded, now)
    if (change !== undefined) this.#host.report('source-changed', this.name, change)
    void this.nextPart()
  }

  /** Listens to its sources no longer. */
  #forsake(): void {
    this.#cancelRestart()
    this.#cancelLooks()
    this.#sources.close()
  }

  #effectiveBitrates(): Bitrates {
    return { ...this.#bitrates, videoBitsPerSecond: Math.round(this.#bitrates.videoBitsPerSecond * this.#videoShare) }
  }
}

function bitratesOf({ videoBitsPerSecond, audioBitsPerSecond }: Partial<Bitrates>): Bitrates {
  return { videoBitsPerSecond: videoBitsPerSecond ?? DEFAULT_BITRATES.videoBitsPerSecond, audioBitsPerSecond: audioBitsPerSecond ?? DEFAULT_BITRATES.audioBitsPerSecond }
}

function assertRecordable(name: string, stream: MediaStream): void {
  const live = stream.getTracks().filter(({ readyState }) => readyState === 'live')
  if (live.length === 0) throw new RecorderError('invalid-options', `the stream of ${name} has nothing that could be recorded: its tracks have ended, or it has none`)
  const mimeType = chooseMimeType(kindsOf(live), (type) => MediaRecorder.isTypeSupported(type))
  if (mimeType === undefined) throw new RecorderError('unsupported-media', 'this browser records neither WebM nor MP4 from this stream')
}
