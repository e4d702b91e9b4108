import type { ReportEvent } from '@longtake/contracts/protocol'
import type { StorageLeft } from '../api.ts'
import { bothClocks } from '../clocks.ts'
import { BitratePolicy } from './bitrate-policy.ts'
import { ClockWatch } from './clock-watch.ts'
import { inTimeOr } from '../in-time.ts'
import { StorageForecast } from './storage-forecast.ts'
import { WakeLock } from './wake-lock.ts'
import type { WorkerTimers } from '../worker-timers.ts'

const CLOCK_EVERY_MS = 1000
/** In the background browsers fire a page's own timers once a minute. */
const THROTTLED_CLOCK_EVERY_MS = 90_000
const BITRATE_EVERY_MS = 5000
const STORAGE_EVERY_MS = 15_000

export interface VideoShare {
  share: number
  event: 'bitrate-lowered' | 'bitrate-raised'
}

export interface WatchesHost {
  readonly timers: WorkerTimers
  readonly warnBeforeLeaving: boolean
  isConnected(): boolean
  bytes(): { recordedBytes: number; waitingBytes: number; acknowledgedBytes: number }
  report(event: ReportEvent, detail?: string): void
  /** The device slept, the page was frozen, or the clock was set forward: what was recorded before ended then. */
  stoodStill(): void
  /** The page is closed or reloaded: nothing that takes time is done any more. @param mayReturn the browser keeps it, and may show it again */
  pageEnds(mayReturn: boolean): void
  /** The browser had kept the page, and shows it again. */
  pageReturns(): void
  /** Pictures shall have this share of their intended bits. */
  shareVideo(share: VideoShare): void
  storage(left: StorageLeft): void
}

/** All that is watched beside the tracks themselves while something is recorded or waits: clocks, page, storage, line. */
export class Watches {
  readonly #host: WatchesHost
  readonly #clock: ClockWatch
  readonly #wakeLock = new WakeLock()
  readonly #bitrate = new BitratePolicy()
  readonly #forecast = new StorageForecast()
  readonly #unlisten = new AbortController()
  readonly #cancels: (() => void)[]

  constructor(host: WatchesHost) {
    this.#host = host
    this.#clock = new ClockWatch(bothClocks())
    this.#cancels = [
      host.timers.every(CLOCK_EVERY_MS, () => this.#tick()),
      host.timers.every(BITRATE_EVERY_MS, () => this.#judgeLine()),
      host.timers.every(STORAGE_EVERY_MS, () => void this.#judgeStorage()),
    ]
    void this.#judgeStorage()
    this.#listen()
    // Whether it is granted changes only what the browser may clear when the disk is full.
    navigator.storage?.persist?.().catch(() => false)
  }

  /** No more is recorded: only leaving the page matters until all is sent. */
  recordingEnded(): void {
    for (const cancel of this.#cancels) cancel()
    this.#wakeLock.release()
  }

  close(): void {
    this.recordingEnded()
    this.#unlisten.abort()
  }

  #listen(): void {
    const { signal } = this.#unlisten
    document.addEventListener(
      'visibilitychange',
      () => {
        this.#host.report(document.visibilityState === 'visible' ? 'visible' : 'hidden')
        void this.#wakeLock.acquire()
      },
      { signal },
    )
    document.addEventListener('freeze', () => this.#clock.freezes(), { signal })
    document.addEventListener('resume', () => this.#tick(), { signal })
    addEventListener('pagehide', ({ persisted }) => this.#host.pageEnds(persisted), { signal })
    addEventListener('pageshow', ({ persisted }) => persisted && this.#host.pageReturns(), { signal })
    if (this.#host.warnBeforeLeaving) addEventListener('beforeunload', (event) => event.preventDefault(), { signal })
  }

  #tick(): void {
    const standstill = this.#clock.tick(bothClocks(), this.#host.timers.isThrottled ? THROTTLED_CLOCK_EVERY_MS : CLOCK_EVERY_MS)
    if (standstill === null) return
    // First of all, since the server's time may have to be learned anew to report anything to it.
    this.#host.stoodStill()
    this.#host.report(standstill.event, `for ${Math.round(standstill.ms / 1000)} s`)
  }

  #judgeLine(): void {
    const before = this.#bitrate.share
    const { waitingBytes, acknowledgedBytes } = this.#host.bytes()
    this.#bitrate.see({ now: performance.now(), connected: this.#host.isConnected(), waitingBytes, acknowledgedBytes })
    const { share } = this.#bitrate
    if (share !== before) this.#host.shareVideo({ share, event: share < before ? 'bitrate-lowered' : 'bitrate-raised' })
  }

  async #judgeStorage(): Promise<void> {
    const estimate = await inTimeOr(Promise.resolve(navigator.storage?.estimate?.()), STORAGE_EVERY_MS, undefined)
    if (estimate?.quota === undefined || estimate.usage === undefined) return
    const { recordedBytes } = this.#host.bytes()
    const left = this.#forecast.see({ now: performance.now(), recordedBytes, availableBytes: estimate.quota - estimate.usage })
    if (left === null) return
    const { isNews, ...storage } = left
    if (isNews) this.#host.report('quota', `space for at most ${storage.minutes} minutes is left`)
    this.#host.storage(storage)
  }
}
