import { LongtakeError } from '@longtake/contracts'
import type { CongestionWindow } from './congestion-window.ts'

/**
 * What a request is to the queue: `control` for small ones that others wait for (a commit, properties, lists, a
 * checkpoint), `read` for contents, `upload` for bodies.
 */
export type Lane = 'control' | 'read' | 'upload'

/** So many requests may wait; more are refused at once, for then waiting is no use. */
export const MAX_QUEUED = 4_096
/** While others wait, so many control requests go first in a row. */
const CONTROL_IN_A_ROW = 3

export interface Slot {
  readonly sentAt: number
  /** Frees the slot and reports how the request ended: `abandoned` by its caller is no sign of anything. */
  release(ending: 'answered' | 'congested' | 'abandoned'): void
}

interface Waiting {
  readonly lane: Lane
  readonly bytes: number
  readonly operation: string
  start(slot: Slot): void
}

/** Lets requests to the storage out as its congestion window allows: first in, first out in each lane, no lane starving. */
export class RequestQueue {
  readonly #window: CongestionWindow
  readonly #now: () => number
  readonly #lanes: Record<Lane, Waiting[]> = { control: [], read: [], upload: [] }
  #inFlight = 0
  #controlInFlight = 0
  #bytesInFlight = 0
  #controlInARow = 0
  #uploadIsNext = true
  #rejected = 0

  /** @param now monotonic time, ms */
  constructor(window: CongestionWindow, now: () => number) {
    this.#window = window
    this.#now = now
  }

  get limit(): number {
    return this.#window.requests
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight
  }

  get queued(): number {
    const { control, read, upload } = this.#lanes
    return control.length + read.length + upload.length
  }

  /** Requests refused because the queue was full. */
  get rejected(): number {
    return this.#rejected
  }

  /**
   * Resolves when a request may be sent. Rejects with the signal's reason, or with `BLOB_UNAVAILABLE` when the queue is full.
   * @param bytes of its body
   * @param operation whose latency it is compared with
   */
  slot(lane: Lane, bytes: number, signal?: AbortSignal, operation: string = lane): Promise<Slot> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      if (this.queued >= MAX_QUEUED) {
        this.#rejected++
        return reject(new LongtakeError('BLOB_UNAVAILABLE', `${this.queued} requests wait for the storage already`))
      }
      const abort = (): void => {
        const waiting = this.#lanes[lane]
        const index = waiting.indexOf(entry)
        if (index >= 0) waiting.splice(index, 1)
        reject(signal?.reason as Error)
        this.#sendNext()
      }
      const entry: Waiting = {
        lane,
        bytes,
        operation,
        start: (slot) => {
          signal?.removeEventListener('abort', abort)
          resolve(slot)
        },
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#lanes[lane].push(entry)
      this.#sendNext()
    })
  }

  #sendNext(): void {
    for (;;) {
      const lane = this.#nextLane()
      if (lane === null) break
      this.#controlInARow = lane === 'control' ? this.#controlInARow + 1 : 0
      if (lane !== 'control') this.#uploadIsNext = lane === 'read'
      const entry = this.#lanes[lane].shift()!
      entry.start(this.#open(entry))
    }
    if (this.queued > 0) this.#window.limited(this.#now())
  }

  #nextLane(): Lane | null {
    const { control, read, upload } = this.#lanes
    const { requests, bytes } = this.#window
    if (this.#inFlight >= requests) {
      // A commit must not wait for the uploads of others: where these fill the window, some room beyond it is for control.
      return control.length > 0 && this.#controlInFlight < Math.ceil(requests / 4) ? 'control' : null
    }
    const fits = (waiting: Waiting | undefined): boolean => waiting !== undefined && (this.#bytesInFlight === 0 || this.#bytesInFlight + waiting.bytes <= bytes)
    const canUpload = fits(upload[0])
    const othersWait = canUpload || read.length > 0
    if (control.length > 0 && !(othersWait && this.#controlInARow >= CONTROL_IN_A_ROW)) return 'control'
    if (canUpload && (this.#uploadIsNext || read.length === 0)) return 'upload'
    if (read.length > 0) return 'read'
    return null
  }

  #open({ lane, bytes, operation }: Waiting): Slot {
    const control = lane === 'control' ? 1 : 0
    this.#inFlight++
    this.#controlInFlight += control
    this.#bytesInFlight += bytes
    const sentAt = this.#now()
    let isOpen = true
    return {
      sentAt,
      release: (ending) => {
        if (!isOpen) return
        isOpen = false
        this.#inFlight--
        this.#controlInFlight -= control
        this.#bytesInFlight -= bytes
        if (ending === 'answered') this.#window.answered(operation, bytes, sentAt, this.#now())
        else if (ending === 'congested') this.#window.congested(sentAt, this.#now())
        this.#sendNext()
      },
    }
  }
}
