import { RecorderError, type ConnectionState, type RecorderEvents, type RecorderOptions, type RecorderPhase, type RecorderProgress, type RecorderState, type TrackOptions } from './api.ts'
import { Capture } from './capture.ts'
import { deferred } from './deferred.ts'
import { Emitter } from './emitter.ts'
import { ingestUrlOf } from './ingest-url.ts'
import { PartRun } from './part-run.ts'
import { Spool } from './spool.ts'
import { Uplink } from './uplink.ts'
import { UploadSession } from './upload-session.ts'
import { WorkerTimers } from './worker-timers.ts'

const PROGRESS_EVERY_MS = 200
const TRACK_NAME = /^[a-z0-9-]{1,32}$/

interface RunningTrack {
  run: PartRun
  capture: Capture
  /** All of its part is in the spool. */
  ended: Promise<void>
}

/**
 * Starts recording all tracks at once and resolves when all of them do; a connection is not needed for that.
 * @throws RecorderError, and then nothing runs
 */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  return Recorder.start(options)
}

/** Records tracks and sends them until every chunk is durable on the server. */
export class Recorder {
  /** The session's id. */
  readonly session: string
  /** This recorder's id among those of the session. */
  readonly client: string
  readonly #emitter = new Emitter<RecorderEvents>()
  readonly #upload = new UploadSession()
  readonly #timers = new WorkerTimers()
  readonly #spool: Spool
  readonly #uplink: Uplink
  readonly #settled = deferred<void>()
  #tracks: RunningTrack[] = []
  #phase: RecorderPhase = 'recording'
  #connection: ConnectionState = 'offline'
  #progressDue = false
  #stopped: Promise<void> | null = null

  private constructor(session: string, client: string, url: string, token: RecorderOptions['ingest']['token'], spool: Spool) {
    this.session = session
    this.client = client
    this.#spool = spool
    this.#uplink = new Uplink(
      { url, token, session: this.#upload, spool, timers: this.#timers },
      {
        connection: (connection) => this.#setState({ connection }),
        progressed: () => this.#progressSoon(),
        error: (error) => this.#error(error),
        settled: () => this.#settled.resolve(),
        ended: (cause) => this.#fail(cause),
      },
    )
    // Whoever never calls `stop` has the `error` event.
    this.#settled.promise.catch(() => undefined)
  }

  /** See `startRecorder`. */
  static async start({ ingest, tracks }: RecorderOptions): Promise<Recorder> {
    assertSupported()
    const client = crypto.randomUUID()
    const { session, url } = ingestUrlOf(ingest.url, client)
    for (const name of Object.keys(tracks)) assertTrackName(name)
    const spool = await Spool.open({ session, client, ingestUrl: ingest.url, startedAt: Date.now() }).catch((cause: unknown) => {
      throw new RecorderError('spool-failed', 'the browser does not open its store', { cause })
    })
    const recorder = new Recorder(session, client, url, ingest.token, spool)
    try {
      await recorder.#startTracks(tracks)
    } catch (error) {
      recorder.#close()
      await spool.clear()
      await spool.close()
      throw error
    }
    recorder.#uplink.start()
    return recorder
  }

  get state(): RecorderState {
    return { phase: this.#phase, connection: this.#connection }
  }

  get progress(): RecorderProgress {
    return this.#upload.progress()
  }

  /** @returns ends it */
  on<K extends keyof RecorderEvents>(event: K, listener: (detail: RecorderEvents[K]) => void): () => void {
    return this.#emitter.on(event, listener)
  }

  /**
   * Starts recording one more track, or, where a track of that name has ended, its next part.
   * @throws RecorderError
   */
  async addTrack(name: string, options: TrackOptions): Promise<void> {
    assertTrackName(name)
    if (this.#phase !== 'recording') throw new RecorderError('invalid-options', `no track can be added: the recorder is ${this.#phase}`)
    await this.#startTracks({ [name]: options })
  }

  /** Pauses all tracks; the time until `resume` is in no file. */
  pause(): void {
    for (const { run, capture } of this.#tracks) if (capture.pause()) this.#report('paused', run.track)
  }

  resume(): void {
    for (const { run, capture } of this.#tracks) if (capture.resume()) this.#report('resumed', run.track)
  }

  /**
   * Ends the recording and resolves when all of it is durable on the server, however long the network takes.
   * @throws RecorderError `taken-over`, `deleted`
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    if (this.#phase === 'failed') return this.#settled.promise
    this.#setState({ phase: 'stopping' })
    await this.#endTracks()
    await this.#spool.finish(this.#upload.partsByTrack()).catch((cause: unknown) => {
      this.#error(new RecorderError('spool-failed', 'the spool does not take the end of the recording', { cause }))
    })
    this.#uplink.perform(this.#upload.finish())
    await this.#settled.promise
    this.#close()
    await this.#clearSpool()
    this.#emitter.emit('progress', this.progress)
    this.#setState({ phase: 'stopped', connection: 'offline' })
  }

  /** All or none. */
  async #startTracks(tracks: Record<string, TrackOptions>): Promise<void> {
    const started = await Promise.allSettled(Object.entries(tracks).map(([name, options]) => this.#startTrack(name, options)))
    const failed = started.find((result) => result.status === 'rejected')
    const running = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    if (failed !== undefined) {
      for (const { capture } of running) capture.stop()
      throw failed.reason
    }
    for (const { track, open } of running) {
      open()
      this.#tracks.push(track)
    }
  }

  /** The part is opened by `open` only: nobody shall hear of one whose neighbour could not start. */
  async #startTrack(name: string, options: TrackOptions): Promise<{ capture: Capture; track: RunningTrack; open: () => void }> {
    const opened = deferred<{ mimeType: string; startedAt: number }>()
    const ended = deferred<void>()
    const run = new PartRun(name, opened.promise, {
      session: this.#upload,
      spool: this.#spool,
      perform: (actions) => {
        this.#uplink.perform(actions)
        this.#progressSoon()
      },
      error: (error) => this.#error(error),
    })
    const capture = await Capture.start(options, {
      data: (blob) => run.add(blob, Date.now()),
      ended: () => {
        ended.resolve(run.close())
        this.#emitter.emit('track-ended', { track: name })
      },
      failed: (error) => this.#error(error),
    })
    const startedAt = Date.now()
    return { capture, track: { run, capture, ended: ended.promise }, open: () => opened.resolve({ mimeType: capture.mimeType, startedAt }) }
  }

  async #endTracks(): Promise<void> {
    for (const { capture } of this.#tracks) capture.stop()
    await Promise.all(this.#tracks.map(({ ended }) => ended))
  }

  #report(event: string, track: string): void {
    this.#uplink.perform(this.#upload.report({ event, track, at: Date.now() }))
  }

  /** What the tracks still hand over stays in the spool, unless the session is gone. */
  #fail(cause: 'taken-over' | 'deleted'): void {
    const error = new RecorderError(cause, cause === 'deleted' ? 'the session was deleted' : 'another recorder of this client took over')
    this.#settled.reject(error)
    this.#close()
    this.#setState({ phase: 'failed', connection: 'offline' })
    this.#error(error)
    void this.#endTracks().then(() => (cause === 'deleted' ? this.#clearSpool() : this.#spool.close()))
  }

  #close(): void {
    this.#uplink.stop()
    this.#timers.close()
  }

  async #clearSpool(): Promise<void> {
    try {
      await this.#spool.clear()
      await this.#spool.close()
    } catch (cause) {
      this.#error(new RecorderError('spool-failed', 'what is no longer needed could not be removed from this computer', { cause }))
    }
  }

  #setState(change: Partial<RecorderState>): void {
    const before = this.state
    this.#phase = change.phase ?? this.#phase
    this.#connection = change.connection ?? this.#connection
    if (before.phase !== this.#phase || before.connection !== this.#connection) this.#emitter.emit('state', this.state)
  }

  #progressSoon(): void {
    if (this.#progressDue) return
    this.#progressDue = true
    this.#timers.after(PROGRESS_EVERY_MS, () => {
      this.#progressDue = false
      this.#emitter.emit('progress', this.progress)
    })
  }

  #error(error: RecorderError): void {
    if (!this.#emitter.emit('error', error)) reportError(error)
  }
}

function assertSupported(): void {
  if (typeof MediaRecorder === 'undefined' || typeof indexedDB === 'undefined' || typeof WebSocket === 'undefined') {
    throw new RecorderError('unsupported-browser', 'this browser has no MediaRecorder, no IndexedDB or no WebSocket')
  }
  if (!isSecureContext) throw new RecorderError('unsupported-browser', 'recording needs a secure context: https, or an address of this very computer')
}

function assertTrackName(name: string): void {
  if (!TRACK_NAME.test(name)) throw new RecorderError('invalid-options', `"${name}" is no track name: [a-z0-9-], at most 32`)
}
