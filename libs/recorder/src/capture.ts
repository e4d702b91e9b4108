import { RecorderError, type TrackOptions } from './api.ts'
import { chooseMimeType } from './media-type.ts'

const TIMESLICE_MS = 1000
const KEYFRAME_INTERVAL_MS = 2000
const DEFAULT_VIDEO_BITS_PER_SECOND = 2_500_000
const DEFAULT_AUDIO_BITS_PER_SECOND = 64_000

export interface CaptureEvents {
  /** @param blob may be empty, or very large after a sleep */
  data(blob: Blob): void
  /** There will be no more data, whoever ended it. Called once. */
  ended(): void
  failed(error: RecorderError): void
}

/** One run of one `MediaRecorder`: that is one part. */
export class Capture {
  readonly #recorder: MediaRecorder

  private constructor(recorder: MediaRecorder) {
    this.#recorder = recorder
  }

  /** What is really recorded; known once it has started. */
  get mimeType(): string {
    return this.#recorder.mimeType
  }

  /**
   * Resolves when recording has started. Data may come at once, so `events` must be ready for it.
   * @throws RecorderError `unsupported-media`, `capture-failed`
   */
  static async start({ stream, videoBitsPerSecond, audioBitsPerSecond }: TrackOptions, events: CaptureEvents): Promise<Capture> {
    const mimeType = chooseMimeType({ video: stream.getVideoTracks().length > 0, audio: stream.getAudioTracks().length > 0 }, (type) => MediaRecorder.isTypeSupported(type))
    if (mimeType === undefined) throw new RecorderError('unsupported-media', 'this browser records neither WebM nor MP4 from this stream')
    try {
      const recorder = new MediaRecorder(stream, {
        mimeType,
        videoBitsPerSecond: videoBitsPerSecond ?? DEFAULT_VIDEO_BITS_PER_SECOND,
        audioBitsPerSecond: audioBitsPerSecond ?? DEFAULT_AUDIO_BITS_PER_SECOND,
        // The default is far apart, and seeking goes to keyframes. Its sibling, the count of frames, must not be given as well.
        videoKeyFrameIntervalDuration: KEYFRAME_INTERVAL_MS,
      } as MediaRecorderOptions)
      recorder.addEventListener('dataavailable', ({ data }) => events.data(data))
      recorder.addEventListener('stop', () => events.ended())
      await new Promise<void>((resolve, reject) => {
        recorder.addEventListener('start', () => resolve(), { once: true })
        recorder.addEventListener('error', (event) => reject(errorOf(event)), { once: true })
        recorder.start(TIMESLICE_MS)
      })
      recorder.addEventListener('error', (event) => events.failed(captureFailed(errorOf(event))))
      return new Capture(recorder)
    } catch (error) {
      throw captureFailed(error)
    }
  }

  /** The last data and `ended` follow. */
  stop(): void {
    if (this.#recorder.state !== 'inactive') this.#recorder.stop()
  }

  /** @returns whether that changed anything */
  pause(): boolean {
    if (this.#recorder.state !== 'recording') return false
    this.#recorder.pause()
    return true
  }

  /** @returns whether that changed anything */
  resume(): boolean {
    if (this.#recorder.state !== 'paused') return false
    this.#recorder.resume()
    return true
  }
}

function errorOf(event: Event): Error {
  return 'error' in event && event.error instanceof Error ? event.error : new Error('unknown')
}

function captureFailed(cause: unknown): RecorderError {
  return new RecorderError('capture-failed', `MediaRecorder: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}
