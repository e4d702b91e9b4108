import type { RecorderError } from '../api.ts'
import { deferred } from '../deferred.ts'
import type { WorkerTimers } from '../worker-timers.ts'
import { Capture, type Encoding } from './capture.ts'
import { PartRun, type PartRunHost } from './part-run.ts'
import type { SourceLook } from './source-rules.ts'

export interface RunningPartOptions {
  track: string
  /** What is recorded, and the sources of it. */
  recorded: readonly SourceLook[]
  sources: readonly MediaStreamTrack[]
  encoding: Encoding
  /** Until it resolves nothing of the part is written or sent. */
  released: Promise<void>
}

export interface RunningPartHost extends PartRunHost {
  readonly timers: WorkerTimers
}

/** One part while it is recorded: a MediaRecorder, and what takes its data to the spool. */
export class RunningPart {
  readonly recorded: readonly SourceLook[]
  readonly beganAt = Date.now()
  /** Known with its first frame; null if it ended before. */
  readonly started: Capture['started']
  /** No more comes of its `MediaRecorder`; why, if it failed. */
  readonly over: Promise<RecorderError | null>
  /** All of it is in the spool. */
  readonly spooled: Promise<void>
  readonly #capture: Capture

  /**
   * Begins at once.
   * @param delivered called with all data that is not empty
   * @throws RecorderError `unsupported-media`, `capture-failed`
   */
  constructor({ track, recorded, sources, encoding, released }: RunningPartOptions, host: RunningPartHost, delivered: () => void) {
    const over = deferred<RecorderError | null>()
    const opened = deferred<{ mimeType: string; startedAt: number }>()
    const run = new PartRun(track, opened.promise, host)
    this.recorded = recorded
    this.over = over.promise
    this.#capture = new Capture(sources, encoding, host.timers, {
      data: (blob) => {
        run.add(blob, Date.now())
        if (blob.size > 0) delivered()
      },
      ended: (error) => over.resolve(error),
    })
    this.started = this.#capture.started
    void Promise.all([this.started, released]).then(([started]) => started !== null && opened.resolve(started))
    this.spooled = Promise.all([this.started, this.over]).then(([started, error]) => {
      // One that failed may have kept its last frames to itself.
      return started === null ? undefined : run.close(error === null)
    })
  }

  /** `over` resolves when the last data has come, or has not come in time. */
  stop(): void {
    this.#capture.stop()
  }
}
