import type { ReportEvent } from '@longtake/contracts/protocol'
import { RecorderError, type TrackOptions } from '../api.ts'
import type { Encoding } from './capture.ts'
import { deferred } from '../deferred.ts'
import { Delivery } from './delivery.ts'
import { kindsOf } from './media-type.ts'
import { RestartPolicy } from './restart-policy.ts'
import { RunningPart, type RunningPartHost } from './running-part.ts'
import { describeChange, needsNextPart, recordable, type SourceLook } from './source-rules.ts'
import { Silence } from './silence.ts'
import { Sources } from './sources.ts'
import { STALLED_AFTER_MS } from './stall-watch.ts'
import { assertRecordable, encodingOf } from './track-options.ts'
import type { Cancel } from '../worker-timers.ts'

const LOOK_EVERY_MS = 1000
/** A first frame comes within a tenth of a second; where none does the picture may hold the sound back, or the sound the picture. */
const FIRST_FRAME_PATIENCE_MS = 3000

export interface TrackHost extends RunningPartHost {
  report(event: ReportEvent, track: string, detail?: string): void
  /** Nothing of the track is recorded any more, until it is given another stream. */
  ended(track: string): void
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
  #encoding: Encoding
  #videoShare = 1
  /** At the last look. */
  #before: SourceLook[]
  #want: 'recording' | 'paused' | 'ended' = 'recording'
  #part: RunningPart | null = null
  #turns: Promise<void> = Promise.resolve()
  #turning = 0
  #hasBegun = false
  #restarts = new RestartPolicy()
  readonly #delivery: Delivery
  #silence: Silence | null = null
  #cancelRestart: Cancel = () => undefined
  #cancelLooks: Cancel = () => undefined

  private constructor(name: string, options: TrackOptions, host: TrackHost) {
    this.name = name
    this.#host = host
    this.#sources = this.#watch(options.stream)
    this.#before = this.#sources.look()
    this.#encoding = encodingOf(options)
    this.#delivery = new Delivery({
      // Before it is released nobody knows of it.
      report: (event, detail) => void this.#released.promise.then(() => host.report(event, name, detail)),
      pick: (looks) => this.#sources.pick(looks),
    })
  }

  /**
   * Resolves when it records; rejects when no data comes of any of its sources. Nothing is said of it before `release`.
   * @throws RecorderError `invalid-options`, `unsupported-media`, `capture-failed`
   */
  static async start(name: string, options: TrackOptions, host: TrackHost): Promise<TrackRecording> {
    assertRecordable(name, options)
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

  /** Of what is to be recorded: whether data of it comes. */
  get delivers(): Delivery['state'] {
    return this.#delivery.state
  }

  release(): void {
    this.#released.resolve()
  }

  /** Ends it without a word. */
  abandon(): void {
    this.#want = 'ended'
    this.#forsake()
    this.#part?.stop()
  }

  /**
   * Records another stream from now on, also where it has ended.
   * @throws RecorderError `invalid-options`, `unsupported-media`, and then nothing changes
   */
  async replace(options: TrackOptions): Promise<void> {
    assertRecordable(this.name, options)
    this.#forsake()
    this.#sources = this.#watch(options.stream)
    this.#encoding = encodingOf({ ...this.#encoding, ...options })
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
    if (this.#want !== 'recording') this.#delivery.reset()
    else if (this.#turning === 0) this.#beginPart()
  }

  async #beginFirst(): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += FIRST_FRAME_PATIENCE_MS) {
      if (waitedMs >= STALLED_AFTER_MS) throw new RecorderError('capture-failed', `nothing arrives from the sources of ${this.name}: another program may use the device, or it is switched off`)
      const part = this.#part ?? this.#begin()
      const patience = new Promise<'later'>((resolve) => {
        this.#host.timers.after(FIRST_FRAME_PATIENCE_MS, () => resolve('later'))
      })
      const first = await Promise.race([part.started, patience])
      if (first === null) throw (await part.over) ?? new RecorderError('capture-failed', 'MediaRecorder: ended before it began')
      if (first !== 'later') break
      // Of a single source another MediaRecorder would get no more than this one.
      if (part.recorded.length < 2 && this.#delivery.state === 'all') continue
      this.#delivery.stalled(part.recorded, this.#sources.look())
      await this.#endPart()
    }
    this.#hasBegun = true
    this.#keepLooking()
  }

  async #endPart(): Promise<void> {
    const part = this.#part
    this.#part = null
    part?.stop()
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
    const recorded = this.#delivery.choose(recordable(this.#before))
    const options = { track: this.name, recorded, sources: this.#sources.pick(recorded), encoding: this.#effectiveEncoding(), released: this.#released.promise }
    const part = new RunningPart(options, this.#host, () => this.#part === part && this.#delivery.delivered())
    this.#delivery.began()
    this.#unspooled.add(part.spooled)
    void part.spooled.then(() => this.#unspooled.delete(part.spooled))
    void this.#follow(part)
    this.#part = part
    return part
  }

  async #follow(part: RunningPart): Promise<void> {
    const error = await part.over
    if (this.#part === part) this.#endedByItself(part, error)
    else if (error !== null && this.#hasBegun) this.#host.report('recorder-failed', this.name, error.message)
  }

  /** Its sources ended, or it failed. */
  #endedByItself({ recorded, beganAt }: RunningPart, error: RecorderError | null): void {
    this.#part = null
    if (!this.#hasBegun || this.#want !== 'recording' || this.#turning > 0) return
    const isLive = this.#sources.look().some(({ id, live }) => live && recorded.some((source) => source.id === id))
    if (error === null && !isLive) void this.nextPart()
    else this.#failed(error ?? new RecorderError('capture-failed', 'MediaRecorder: ended by itself'), Date.now() - beganAt)
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
    this.#silence?.close()
    this.#silence = new Silence(this.#sources.all, (event, detail) => this.#host.report(event, this.name, detail))
  }

  #look(): void {
    const now = this.#sources.look()
    const before = this.#before
    this.#before = now
    if (this.#part === null || this.#turning > 0) return
    this.#silence?.look()
    const { recorded, beganAt } = this.#part
    const [wantedBefore, wanted] = [before, now].map((looks) => this.#delivery.choose(recordable(looks))) as [SourceLook[], SourceLook[]]
    if (this.#delivery.look(recorded, now)) return void this.nextPart()
    if (!needsNextPart({ recorded, wantedBefore, wanted, now, partAgeMs: Date.now() - beganAt })) return
    const change = describeChange(recorded, now)
    if (change !== undefined) this.#host.report('source-changed', this.name, change)
    void this.nextPart()
  }

  /** Listens to its sources no longer. */
  #forsake(): void {
    this.#delivery.reset()
    this.#silence?.close()
    this.#cancelRestart()
    this.#cancelLooks()
    this.#sources.close()
  }

  #effectiveEncoding(): Encoding {
    return { ...this.#encoding, videoBitsPerSecond: Math.round(this.#encoding.videoBitsPerSecond * this.#videoShare) }
  }
}
