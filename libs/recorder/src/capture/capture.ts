import { messageOf } from '@longtake/contracts/error-message'
import { RecorderError, type VideoCodec } from '../api.ts'
import { deferred } from '../deferred.ts'
import { chooseMimeType, kindsOf, thisBrowser } from './media-type.ts'
import type { WorkerTimers } from '../worker-timers.ts'

/** A `stop` event follows within milliseconds, after a sleep with a giant blob before it. */
export const STOP_PATIENCE_MS = 10_000

export interface Bitrates {
  videoBitsPerSecond: number
  audioBitsPerSecond: number
}

export interface Encoding extends Bitrates {
  /** Preferred; undefined: the recorder's choice. */
  videoCodec: VideoCodec | undefined
  keyFrameIntervalMs: number
  chunkMs: number
}

export interface CaptureEvents {
  /** @param blob may be empty, or very large after a sleep */
  data(blob: Blob): void
  /** There will be no more data, whoever ended it; `error` if it failed, or did not end when it was stopped. Called once. */
  ended(error: RecorderError | null): void
}

/** One run of one `MediaRecorder`: that is one part. */
export class Capture {
  /** What is really recorded, known with its first frame; null if it ended before. */
  readonly started: Promise<{ mimeType: string; startedAt: number } | null>
  readonly #recorder: MediaRecorder
  readonly #timers: WorkerTimers
  readonly #events: CaptureEvents
  readonly #started = deferred<Awaited<Capture['started']>>()
  #failure: RecorderError | null = null
  #isStopping = false
  #hasEnded = false

  /**
   * Begins at once, and `events` follow.
   * @param sources are recorded as they are now: the stream that they come from may change without disturbing this
   * @throws RecorderError `unsupported-media`, `capture-failed`
   */
  constructor(sources: readonly MediaStreamTrack[], { videoCodec, keyFrameIntervalMs, chunkMs, ...bitrates }: Encoding, timers: WorkerTimers, events: CaptureEvents) {
    this.#timers = timers
    this.#events = events
    this.started = this.#started.promise
    const mimeType = chooseMimeType(kindsOf(sources), thisBrowser, videoCodec)
    if (mimeType === undefined) throw new RecorderError('unsupported-media', 'this browser records neither WebM nor MP4 from this stream')
    try {
      // The default is far apart, and seeking goes to keyframes. Its sibling, the count of frames, must not be given as well.
      const options = { mimeType, ...bitrates, videoKeyFrameIntervalDuration: keyFrameIntervalMs } as MediaRecorderOptions
      this.#recorder = new MediaRecorder(new MediaStream([...sources]), options)
      this.#listen()
      this.#recorder.start(chunkMs)
    } catch (cause) {
      throw captureFailed(cause)
    }
  }

  /** The last data and `ended` follow. One that does not end in time is abandoned: what it had not delivered is lost. */
  stop(): void {
    if (this.#isStopping || this.#hasEnded) return
    this.#isStopping = true
    this.#timers.after(STOP_PATIENCE_MS, () => {
      this.#failure ??= captureFailed('it did not end when it was stopped')
      this.#end()
    })
    try {
      if (this.#recorder.state !== 'inactive') this.#recorder.stop()
    } catch (cause) {
      this.#failure = captureFailed(cause)
      this.#end()
    }
  }

  #listen(): void {
    const recorder = this.#recorder
    recorder.addEventListener('start', () => this.#started.resolve({ mimeType: recorder.mimeType, startedAt: Date.now() }))
    recorder.addEventListener('dataavailable', ({ data }) => this.#hasEnded || this.#events.data(data))
    recorder.addEventListener('error', (event) => {
      this.#failure = captureFailed('error' in event ? event.error : 'unknown')
      this.stop()
    })
    recorder.addEventListener('stop', () => this.#end())
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#started.resolve(null)
    this.#events.ended(this.#failure)
  }
}

function captureFailed(cause: unknown): RecorderError {
  return new RecorderError('capture-failed', `MediaRecorder: ${messageOf(cause)}`, { cause })
}
