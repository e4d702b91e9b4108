/** What is measured of a track, about every second. Times are milliseconds of a clock that is never set. */
export interface LoadSample {
  now: number
  /** Of the track so far. */
  recordedBytes: number
  /** Frames that its source made, and those of them that were dropped before they were encoded; null where the browser does not count them. */
  frames: { total: number; dropped: number } | null
  /** Whether the browser reports that the processor is at its limit. */
  isCpuCritical: boolean
}

export type LoadVerdict = 'cpu' | 'bitrate' | 'calm' | null

/** What is seen must have lasted so long, and after a change is seen anew. */
const OVER_MS = 20_000
const CALM_MS = 5 * 60_000
const DROPPED_SHARE = 0.2
/** Encoders overshoot for a moment at each keyframe; some double what they were asked for, and iPhones record 10 Mbit/s and more. */
const IGNORED_TIMES = 2

/**
 * Whether a computer keeps up with what it is to record: not, when frames are dropped or the processor is at its limit for 20 s on end
 * (`cpu`), or when more than twice the bits come that were asked for (`bitrate`). `calm` after five minutes without either.
 */
export class LoadPolicy {
  readonly #askedBitsPerSecond: number
  #samples: LoadSample[] = []
  #calmSince: number | null = null

  constructor(askedBitsPerSecond: number) {
    this.#askedBitsPerSecond = askedBitsPerSecond
  }

  /** Bits per second of the last 20 s; null while that is not known. */
  get measuredBitsPerSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (first === undefined || last === undefined || last.now - first.now < OVER_MS) return null
    return Math.round(((last.recordedBytes - first.recordedBytes) * 8000) / (last.now - first.now))
  }

  see(sample: LoadSample): LoadVerdict {
    const from = this.#samples.findLastIndex(({ now }) => sample.now - now >= OVER_MS)
    this.#samples = [...this.#samples.slice(Math.max(0, from)), sample]
    this.#calmSince ??= sample.now
    const verdict = this.#verdict()
    if (verdict !== null) this.#calmSince = sample.now
    if (verdict === null && sample.now - this.#calmSince >= CALM_MS) {
      this.#calmSince = sample.now
      return 'calm'
    }
    return verdict
  }

  /** Something was changed because of a verdict: what was seen before says nothing about that. */
  changed(): void {
    this.#samples = []
    this.#calmSince = null
  }

  #verdict(): 'cpu' | 'bitrate' | null {
    const measured = this.measuredBitsPerSecond
    if (measured === null) return null
    const [first, last] = [this.#samples[0]!, this.#samples.at(-1)!]
    if (this.#samples.every(({ isCpuCritical }) => isCpuCritical)) return 'cpu'
    if (first.frames !== null && last.frames !== null) {
      const total = last.frames.total - first.frames.total
      if (total > 0 && (last.frames.dropped - first.frames.dropped) / total >= DROPPED_SHARE) return 'cpu'
    }
    return measured > IGNORED_TIMES * this.#askedBitsPerSecond ? 'bitrate' : null
  }
}

/** Of what the source gave at first: fewer frames cost a picture less than fewer pixels do. */
export const LOAD_STEPS = [
  { frames: 1, size: 1 },
  { frames: 0.5, size: 1 },
  { frames: 0.5, size: 2 / 3 },
  { frames: 1 / 3, size: 0.5 },
] as const
