/**
 * How much may be under way to the storage at once: a window of requests and bytes that follows the storage's answers as
 * a TCP sender follows acknowledgements (RFC 5681): it opens by slow start, then by small steps, halves on a refusal or a
 * timeout, and shrinks gently once answers take much longer than they do without a queue (as TCP Vegas and Netflix's
 * concurrency-limits do). It does no I/O and has no clock.
 */
export interface WindowLimits {
  /** Requests at once: at first, at least, and at most. */
  readonly initial: number
  readonly min: number
  readonly max: number
  /** Bytes of request bodies at once while the window is fully open; a smaller window allows proportionally less. */
  readonly maxBytes: number
}

/**
 * 128 requests at 50 ms are 2,500 a second, an eighth of what one storage account takes: eight busy processes fit into one.
 * Four keep even a refusing storage probed, so that its return is noticed at once.
 */
export const WINDOW_LIMITS: WindowLimits = { initial: 16, min: 4, max: 128, maxBytes: 128 * 1024 * 1024 }

const HALVE = 0.5
/** Of the window, after a round whose answers were slow. */
const EASE = 0.9
/** Slower than the unqueued latency by these factors: stop growing, shrink. Azure's own spread is a factor of two. */
const HOLD_ABOVE = 2
const SHRINK_ABOVE = 3
/** Weight of one answer in the smoothed latency, and how far one outlier counts. */
const SMOOTHING = 0.1
const OUTLIER = 4
/** Answers of a size class before its latency is believed. */
const WARM_UP = 20
/** The lowest smoothed latency is forgotten after one to two of these, so that a storage that became slower is not held against it. */
const LOW_LASTS_MS = 60_000
/** A round ends after about one latency, when so many answers, or a window of them, have come. */
const ROUND_ANSWERS = 10

/** Latencies below this are none to save: what is faster at times, as an emulator on this machine, may take so long. */
const QUICK_MS = 50

/** Latency grows with size: only answers of like requests are compared. */
const SIZE_CLASSES = [64 * 1024, 512 * 1024, 2 * 1024 * 1024]

interface Latency {
  answers: number
  smoothedMs: number
  /** Lowest smoothed latency of the present period and of the one before. */
  lowMs: number
  earlierLowMs: number
  periodFrom: number
}

interface Round {
  from: number
  answers: number
  latencyMs: number
  /** Sum of how many times as long as unqueued the answers took. */
  slowness: number
  /** Whether the window has been in the way of a request. */
  full: boolean
}

export class CongestionWindow {
  readonly #limits: WindowLimits
  readonly #latencies = new Map<string, Latency>()
  #size: number
  /** Slow start ends here: half of what was too much the last time. */
  #slowStartTo = Infinity
  #decreasedAt = -Infinity
  #round: Round | null = null

  constructor(limits: WindowLimits = WINDOW_LIMITS) {
    this.#limits = limits
    this.#size = limits.initial
  }

  /** Requests that may be under way. */
  get requests(): number {
    return Math.floor(this.#size)
  }

  /** Bytes of request bodies that may be under way; a single larger request may always go. */
  get bytes(): number {
    return Math.floor((this.#limits.maxBytes * this.#size) / this.#limits.max)
  }

  /** A request had to wait for the window: it may grow. */
  limited(now: number): void {
    this.#roundAt(now).full = true
  }

  /**
   * The storage answered in its right mind, whatever it answered.
   * @param operation which kind of request it was: a commit takes longer than a look
   * @param bytes of the request's body
   * @param sentAt ms, as `now`
   */
  answered(operation: string, bytes: number, sentAt: number, now: number): void {
    const latencyMs = Math.max(now - sentAt, 0.1)
    const round = this.#roundAt(now)
    round.answers++
    round.latencyMs += latencyMs
    round.slowness += this.#slowness(operation, bytes, latencyMs, now)
    const isOver = round.answers >= Math.min(this.requests, ROUND_ANSWERS) && now - round.from >= round.latencyMs / round.answers
    if (!isOver) return
    this.#round = null
    const slowness = round.slowness / round.answers
    if (slowness > SHRINK_ABOVE) this.#ease(now)
    else if (round.full && slowness <= HOLD_ABOVE) this.#increase()
  }

  /** The storage refused for its load, fell silent, or could not be reached. Requests of one flight count once. */
  congested(sentAt: number, now: number): void {
    if (sentAt > this.#decreasedAt) this.#shrinkTo(Math.max(this.#limits.min, this.#size * HALVE), now)
  }

  #increase(): void {
    const isSlowStart = this.#size < this.#slowStartTo
    // From the minimum to the maximum in some twenty rounds: a storm that is over costs seconds.
    const step = isSlowStart ? this.#size : Math.max(1, Math.sqrt(this.#size))
    this.#size = Math.min(this.#limits.max, this.#size + step)
  }

  /**
   * Slow answers may have other causes than this process's requests, which fewer of them do not mend: the window stays as
   * large as it began. Only refusals and timeouts make it smaller.
   */
  #ease(now: number): void {
    this.#shrinkTo(Math.max(Math.min(this.#size, this.#limits.initial), this.#size * EASE), now)
  }

  #shrinkTo(size: number, now: number): void {
    this.#size = size
    this.#slowStartTo = this.#size
    this.#decreasedAt = now
    this.#round = null
  }

  #roundAt(now: number): Round {
    this.#round ??= { from: now, answers: 0, latencyMs: 0, slowness: 0, full: false }
    return this.#round
  }

  /** Notes a latency; how many times as long as the least that its size class took lately. */
  #slowness(operation: string, bytes: number, latencyMs: number, now: number): number {
    const sizeClass = `${operation} ${SIZE_CLASSES.filter((bound) => bytes > bound).length}`
    let latency = this.#latencies.get(sizeClass)
    if (latency === undefined) {
      latency = { answers: 0, smoothedMs: latencyMs, lowMs: Infinity, earlierLowMs: Infinity, periodFrom: now }
      this.#latencies.set(sizeClass, latency)
    }
    latency.answers++
    const weight = Math.max(SMOOTHING, 1 / latency.answers)
    latency.smoothedMs += weight * (Math.min(latencyMs, OUTLIER * latency.smoothedMs) - latency.smoothedMs)
    if (latency.answers < WARM_UP) return 1
    if (now - latency.periodFrom >= LOW_LASTS_MS) {
      latency.earlierLowMs = latency.lowMs
      latency.lowMs = Infinity
      latency.periodFrom = now
    }
    latency.lowMs = Math.min(latency.lowMs, latency.smoothedMs)
    return latency.smoothedMs / Math.max(QUICK_MS, Math.min(latency.lowMs, latency.earlierLowMs))
  }
}
