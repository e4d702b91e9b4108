import type { ReportEvent } from '@longtake/contracts/protocol'
import { RecorderError, type ConnectionState, type EndOptions, type RecorderEvents, type RecorderOptions, type RecorderPhase, type RecorderProgress, type RecorderState, type Situation, type TrackOptions, type TrackState, type TransportKind } from './api.ts'
import { importSpoolKey } from './spool/chunk-cipher.ts'
import { Ending, ENDS, type Ends } from './ending.ts'
import { ingestUrlOf } from './upload/ingest-url.ts'
import { clientLock, holdNewLock, isStillHeld, type Release } from './spool/locks.ts'
import { forgetPageEnd, notePageEnd, noteTab } from './spool/page-end.ts'
import { untilAborted } from './until-aborted.ts'
import { sumOf } from './progress.ts'
import { SituationWatch } from './situation.ts'
import { Spool } from './spool/spool.ts'
import { StoreReports } from './store-reports.ts'
import { assertSupported } from './supported.ts'
import type { TrackHost } from './capture/track-recording.ts'
import { Tracks } from './capture/tracks.ts'
import { Uplink } from './upload/uplink.ts'
import { TypedEventTarget } from './typed-events.ts'
import { UploadSession } from './upload/upload-session.ts'
import { Watches, type VideoShare } from './capture/watches.ts'
import { WorkerTimers } from './worker-timers.ts'

const PROGRESS_EVERY_MS = 200
const SITUATION_EVERY_MS = 1000

/**
 * Starts recording all tracks at once and resolves when all of them do; a connection is not needed for that.
 * @throws RecorderError, and then nothing runs
 */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  return Recorder.start(options)
}

/** Records tracks and sends them until every chunk is durable on the server. Its events are those of `RecorderEvents`. */
export class Recorder extends TypedEventTarget<RecorderEvents> {
  /** The session's id. */
  readonly session: string
  readonly #upload = new UploadSession({ ownsClient: true })
  readonly #timers = new WorkerTimers()
  readonly #spool: Spool
  readonly #uplink: Uplink
  #client: string
  #releaseClient: Release
  readonly #tracks: Tracks
  readonly #situationWatch = new SituationWatch()
  #situation: Situation | null = null
  #watches: Watches | null = null
  readonly #storeReports = new StoreReports((event, detail) => this.#report(event, undefined, detail))
  #phase: RecorderPhase = 'recording'
  #connection: ConnectionState = 'offline'
  #transport: TransportKind | null = null
  #progressDue = false
  #stopped: Promise<void> | null = null
  readonly #ending = new Ending(this.#upload, { noteStopped: (scope) => this.#spool.noteStopped(scope), perform: (actions) => this.#uplink.perform(actions), error: (error) => this.#error(error) })

  private constructor(session: string, client: string, url: string, token: RecorderOptions['ingest']['token'], spool: Spool, releaseClient: Release) {
    super()
    this.session = session
    this.#client = client
    this.#spool = spool
    this.#tracks = new Tracks(session, this.#trackHost())
    this.#releaseClient = releaseClient
    this.#uplink = new Uplink(
      { url, token, session: this.#upload, spool, timers: this.#timers },
      {
        connection: (connection, transport) => this.#setState({ connection, transport }),
        progressed: () => this.#progressSoon(),
        error: (error) => this.#error(error),
        settled: () => this.#ending.settle(),
        ended: () => this.#fail(),
        failed: (failure) => this.emit('connection-failed', failure),
      },
    )
  }

  /** See `startRecorder`. */
  static async start(options: RecorderOptions): Promise<Recorder> {
    const starting = Recorder.#start(options)
    const stop = (): void => void starting.then((recorder) => recorder.stop()).catch(() => undefined)
    options.signal?.addEventListener('abort', stop, { once: true })
    return untilAborted(starting, options.signal)
  }

  static async #start({ ingest, tracks, warnBeforeLeaving = true, signal }: RecorderOptions): Promise<Recorder> {
    signal?.throwIfAborted()
    assertSupported()
    const client = crypto.randomUUID()
    const { session, url } = ingestUrlOf(ingest.url, client)
    const key = await importSpoolKey(ingest.spoolKey)
    const release = await holdNewLock(clientLock(session, client))
    const spool = await Spool.create({ session, client, ingestUrl: ingest.url, startedAt: Date.now() }, key).catch((cause: unknown) => {
      release()
      throw cause instanceof RecorderError ? cause : new RecorderError('spool-failed', 'the browser does not open its store', { cause })
    })
    const recorder = new Recorder(session, client, url, ingest.token, spool, release)
    try {
      await recorder.#tracks.start(tracks)
      signal?.throwIfAborted()
    } catch (error) {
      await recorder.#tracks.end()
      recorder.#close()
      await recorder.#clearSpool()
      throw error
    }
    noteTab(client)
    recorder.#uplink.start()
    recorder.#watch(warnBeforeLeaving)
    return recorder
  }

  /** This recorder's id among those of the session, by which `recoverPending` knows it. Another one after a page came back whose recording was recovered. */
  get client(): string {
    return this.#client
  }

  get state(): RecorderState {
    return { phase: this.#phase, connection: this.#connection, transport: this.#transport }
  }

  get situation(): Situation {
    return this.#situationWatch.see({
      now: Date.now(),
      phase: this.#phase,
      connection: this.#connection,
      anyTrack: this.#tracks.anyGoesOn,
      anyDelivers: this.#tracks.anyDelivers,
      stalled: this.#tracks.stalled,
      paused: this.#tracks.isPaused,
      waitingBytes: sumOf(this.progress, 'waiting').bytes,
      acknowledgedBytes: sumOf(this.progress, 'acknowledged').bytes,
      lostChunks: sumOf(this.progress, 'lost').chunks,
      oldestWaitingAt: this.#upload.oldestWaitingAt,
      inMemory: this.#spool.overflows,
      storeFails: this.#spool.fault !== null,
    })
  }

  get progress(): RecorderProgress {
    return this.#upload.progress()
  }

  /** By name. */
  get tracks(): Record<string, TrackState> {
    return this.#tracks.states
  }

  /**
   * Starts recording one more track, or, where a track of that name has ended, its next part.
   * @throws RecorderError
   */
  async addTrack(name: string, options: TrackOptions): Promise<void> {
    this.#assertRecording()
    await this.#tracks.add(name, options)
  }

  /**
   * Goes on with another stream, in the track's next part: a device is back, or another one is to be used. What `options` does not say stays as it was.
   * @throws RecorderError
   */
  async replaceStream(name: string, options: TrackOptions): Promise<void> {
    this.#assertRecording()
    await this.#tracks.replace(name, options)
  }

  /**
   * Pauses one track, or all; the time until `resume` is in no file.
   * @throws RecorderError `invalid-options` where there is no such track
   */
  pause(track?: string): void {
    for (const name of this.#tracks.pause(track)) this.#report('paused', name)
  }

  /** @throws RecorderError `invalid-options` where there is no such track */
  resume(track?: string): void {
    for (const name of this.#tracks.resume(track)) this.#report('resumed', name)
  }

  /**
   * Records no more of one track, while the others go on; `addTrack` may give it another stream later. Resolves when all of it is kept on this
   * computer, and on its way to the server.
   * @throws RecorderError `invalid-options` where there is no such track
   */
  async stopTrack(name: string): Promise<void> {
    await this.#tracks.stop(name)
  }

  /**
   * Ends what this recorder records, and resolves when all of it is durable on the server. The session is complete once every recorder
   * of it has stopped or gone: one that records on another device keeps it open.
   * @throws RecorderError `deleted`, `discarded`; the reason of `options.signal`
   */
  stop(options?: EndOptions): Promise<void> {
    return this.#end(ENDS.share, options)
  }

  /**
   * Does what `stop` does, and ends the session for all its recorders: it is complete once all that the server knows of is there, also while another
   * one is connected. It stops no other device; what that records further reopens the session. May follow `stop` as long as that has not resolved.
   * @throws RecorderError as `stop`; `invalid-options` where all was sent before, so that only a backend can end the session
   */
  finish(options?: EndOptions): Promise<void> {
    return this.#end(ENDS.session, options)
  }

  /**
   * Ends what this recorder records, and resolves when all of it is durable, but the session stays open: another page or device goes on with
   * it. Where none does it is `interrupted`, and `abandoned` in the end, unless someone finishes it.
   * @throws RecorderError as `stop`
   */
  leave(options?: EndOptions): Promise<void> {
    return this.#end(ENDS.nothing, options)
  }

  /**
   * Ends recording at once and deletes what this computer still has of it; `stop`, if it was called, rejects with `discarded`. What the server
   * has stays there, in a session that is still open: a recorder's token may not delete it. Your backend may, by `DELETE /v1/sessions/{id}`.
   * @returns of each track what the server has (`acknowledged`), and what is gone (`waiting`, `lost`)
   */
  async discard(): Promise<RecorderProgress> {
    const { progress } = this
    if (this.#ending.isOver) return progress
    await this.#endHere('discarded', new RecorderError('discarded', 'the recording was discarded'))
    return progress
  }

  async #end(ends: Ends, { signal }: EndOptions = {}): Promise<void> {
    this.#ending.ask(ends)
    this.#stopped ??= this.#stop()
    return untilAborted(this.#stopped, signal)
  }

  async #stop(): Promise<void> {
    if (this.#phase !== 'recording') return this.#ending.settled
    this.#setState({ phase: 'stopping' })
    await this.#tracks.end()
    this.#watches?.recordingEnded()
    await this.#ending.captured()
    await this.#ending.settled
    this.#close()
    await this.#clearSpool()
    this.emit('progress', this.progress)
    this.#setState({ phase: 'stopped', connection: 'offline', transport: null })
  }

  #trackHost(): TrackHost {
    return {
      session: this.#upload,
      spool: this.#spool,
      timers: this.#timers,
      perform: (actions) => {
        this.#uplink.perform(actions)
        this.#progressSoon()
        this.#storeReports.see(this.#spool.fault)
      },
      error: (error) => this.#trackError(error),
      report: (event, track, detail) => this.#report(event, track, detail),
      ended: (track) => this.emit('track-ended', { track }),
    }
  }

  #watch(warnBeforeLeaving: boolean): void {
    this.#timers.every(SITUATION_EVERY_MS, () => this.#tellSituation())
    this.#watches = new Watches({
      timers: this.#timers,
      warnBeforeLeaving,
      isConnected: () => this.#connection === 'connected',
      bytes: () => ({ recordedBytes: sumOf(this.progress, 'recorded').bytes, waitingBytes: sumOf(this.progress, 'waiting').bytes, acknowledgedBytes: sumOf(this.progress, 'acknowledged').bytes }),
      report: (event, detail) => this.#report(event, undefined, detail),
      // By the part's own time nothing happened meanwhile, and its MediaRecorder may never deliver again.
      stoodStill: () => {
        this.#uplink.checkClock()
        this.#tracks.nextParts()
      },
      pageEnds: (mayReturn) => this.#pageEnds(mayReturn),
      pageReturns: () => void this.#pageReturns(),
      shareVideo: (share) => this.#shareVideo(share),
      storage: (left) => this.emit('storage', left),
    })
  }

  #shareVideo({ share, event }: VideoShare): void {
    for (const track of this.#tracks.setVideoShare(share)) this.#report(event, track, `pictures get ${Math.round(share * 100)} % of their intended bits`)
  }

  /** Said at once if there is a connection; noted, too, since the line may be slower than the page's end. */
  #pageEnds(mayReturn: boolean): void {
    if (this.#phase !== 'recording') return
    notePageEnd(this.session, this.client, Date.now())
    if (!mayReturn) this.#report('page-closed')
  }

  /**
   * Out of the back/forward cache. Browsers may free a page's locks there (WebKit does, whatwg/html#11445), and then another page may have
   * recovered what this one had: what it closed must not go on, so this goes on as another client.
   */
  async #pageReturns(): Promise<void> {
    const before = this.#client
    const client = crypto.randomUUID()
    try {
      const release = await holdNewLock(clientLock(this.session, client))
      if (await isStillHeld(clientLock(this.session, before), clientLock(this.session, client))) {
        release()
        forgetPageEnd(this.session, before)
      } else {
        this.#client = client
        this.#releaseClient = release
        this.#uplink.rename(client)
        this.#uplink.perform(this.#upload.dropParts())
        await this.#spool.rename(client)
        await this.#tracks.holdAgain()
      }
      this.#tracks.nextParts()
    } catch (error) {
      await this.#tracks.end()
      this.#error(error as RecorderError)
    }
  }

  #trackError(error: RecorderError): void {
    if (error.code === 'spool-failed' && this.#spool.overflows) this.#storeReports.lose(error)
    this.#error(error)
  }

  #tellSituation(): void {
    const { situation } = this
    if (situation.words === this.#situation?.words && situation.kind === this.#situation.kind) return
    this.#situation = situation
    this.emit('situation', situation)
  }

  #assertRecording(): void {
    if (this.#phase !== 'recording') throw new RecorderError('invalid-options', `no track can be added: the recorder is ${this.#phase}`)
  }

  #report(event: ReportEvent, track?: string, detail?: string): void {
    const report = { event, at: Date.now(), ...(track === undefined ? {} : { track }), ...(detail === undefined ? {} : { detail }) }
    // A page's end is noted otherwise, too: however it is told, it is one report.
    this.#uplink.perform(this.#upload.report({ ...report, id: event === 'page-closed' ? this.client : crypto.randomUUID() }))
    this.emit('report', report)
  }

  /** Who records owns its client's name: only a deletion ends it. */
  #fail(): void {
    const error = new RecorderError('deleted', 'the session was deleted')
    void this.#endHere('failed', error)
    this.#error(error)
  }

  /** Nothing more is sent. */
  async #endHere(phase: 'failed' | 'discarded', reason: RecorderError): Promise<void> {
    this.#ending.fail(reason)
    this.#close()
    this.#setState({ phase, connection: 'offline', transport: null })
    await this.#tracks.end()
    await this.#clearSpool()
  }

  #close(): void {
    this.#watches?.close()
    this.#uplink.stop()
    this.#timers.close()
  }

  async #clearSpool(): Promise<void> {
    try {
      await this.#spool.clear()
    } catch (cause) {
      this.#error(new RecorderError('spool-failed', 'the spool could not be cleared', { cause }))
    }
    await this.#spool.close()
    this.#releaseClient()
  }

  #setState(change: Partial<RecorderState>): void {
    const before = this.state
    this.#phase = change.phase ?? this.#phase
    this.#connection = change.connection ?? this.#connection
    this.#transport = change.transport === undefined ? this.#transport : change.transport
    if (before.phase === this.#phase && before.connection === this.#connection && before.transport === this.#transport) return
    this.emit('state', this.state)
    this.#tellSituation()
  }

  #progressSoon(): void {
    if (this.#progressDue) return
    this.#progressDue = true
    this.#timers.after(PROGRESS_EVERY_MS, () => {
      this.#progressDue = false
      this.emit('progress', this.progress)
    })
  }

  #error(error: RecorderError): void {
    if (!this.emit('error', error)) reportError(error)
  }
}
