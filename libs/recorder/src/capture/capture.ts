import { RecorderError } from '../api.ts'
import { deferred } from '../deferred.ts'
import { chooseMimeType, kindsOf } from './media-type.ts'

const TIMESLICE_MS = 1000
const KEYFRAME_INTERVAL_MS = 2000

export interface Bitrates {
  videoBitsPerSecond: number
  audioBitsPerSecond: number
}

export interface CaptureEvents {
  /** @param blob may be empty, or very large after a sleep */
  data(blob: Blob): void
  /** There will be no more data, whoever ended it; `error` if it failed. Called once. */
  ended(error: RecorderError | null): void
}

/** One run of one `MediaRecorder`: that is one part. */
export class Capture {
  /** What is really recorded, known with its first frame; null if it ended before. */
  readonly started: Promise<{ mimeType: string; startedAt: number } | null>
  readonly #recorder: MediaRecorder

  /**
   * Begins at once, and `events` follow.
   * @param sources are recorded as they are now: the stream that they come from may change without disturbing this
   * @throws RecorderError `unsupported-media`, `capture-failed`
   */
  constructor(sources: readonly MediaStreamTrack[], bitrates: Bitrates, events: CaptureEvents) {
    const mimeType = chooseMimeType(kindsOf(sources), (type) => MediaRecorder.isTypeSupported(type))
    if (mimeType === undefined) throw new RecorderError('unsupported-media', 'this browser records neither WebM nor MP4 from this stream')
    try {
      // The default is far apart, and seeking goes to keyframes. Its sibling, the count of frames, must not be given as well.
      const options = { mimeType, ...bitrates, videoKeyFrameIntervalDuration: KEYFRAME_INTERVAL_MS } as MediaRecorderOptions
      this.#recorder = new MediaRecorder(new MediaStream([...sources]), options)
      this.started = this.#follow(this.#recorder, events)
      this.#recorder.start(TIMESLICE_MS)
    } catch (cause) {
      throw captureFailed(cause)
    }
  }

  /** The last data and `ended` follow. */
  stop(): void {
    if (this.#recorder.state !== 'inactive') this.#recorder.stop()
  }

  #follow(recorder: MediaRecorder, events: CaptureEvents): Capture['started'] {
    const started = deferred<Awaited<Capture['started']>>()
    let failure: RecorderError | null = null
    recorder.addEventListener('start', () => started.resolve({ mimeType: recorder.mimeType, startedAt: Date.now() }))
    recorder.addEventListener('dataavailable', ({ data }) => events.data(data))
    recorder.addEventListener('error', (event) => {
      failure = captureFailed('error' in event ? event.error : 'unknown')
      this.stop()
    })
    recorder.addEventListener(
      'stop',
      () => {
        started.resolve(null)
        events.ended(failure)
      },
      { once: true },
    )
    return started.promise
  }
}

function captureFailed(cause: unknown): RecorderError {
  return new RecorderError('capture-failed', `MediaRecorder: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}
