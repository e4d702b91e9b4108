import type { Decoded } from './decoder.ts'
import { FragmentReader, type FragmentState } from './mp4/fragment-reader.ts'
import type { Decoder } from './run.ts'

/**
 * MP4 is kept as it comes: its boxes end where recorders cut chunks, and nothing in it needs to move. Its boxes are read for
 * their times, and for where it breaks off. Without a reader (a checkpoint of a version that read none) nothing is known of them.
 */
export class VerbatimDecoder implements Decoder {
  readonly isVerbatim = true
  readonly searching = false
  readonly shiftMs = 0
  readonly #reader: FragmentReader | null
  readonly #offsetMs: number
  #fed: number

  private constructor(reader: FragmentReader | null, fed: number, offsetMs: number) {
    this.#reader = reader
    this.#fed = fed
    this.#offsetMs = offsetMs
  }

  static atStart(offsetMs: number): VerbatimDecoder {
    return new VerbatimDecoder(new FragmentReader(), 0, offsetMs)
  }

  static resume(fragments: SavedFragments | undefined, tail: Uint8Array, offsetMs: number): VerbatimDecoder {
    return fragments === undefined ? new VerbatimDecoder(null, 0, offsetMs) : new VerbatimDecoder(new FragmentReader(fragments.state, tail), fragments.fed, offsetMs)
  }

  get consumedOffset(): number {
    return this.#reader?.wholeTo ?? 0
  }

  get tailLength(): number {
    return this.#reader === null ? 0 : this.#fed - this.#reader.wholeTo
  }

  push(bytes: Uint8Array): Decoded {
    this.#fed += bytes.length
    const before = this.#reader?.times?.endMs ?? null
    const faults = this.#reader?.push(bytes) ?? []
    const known = this.#reader?.times ?? null
    const times = known ?? { startMs: 0, endMs: 0 }
    const piece = { kind: 'fresh', bytes, length: bytes.length, startMs: this.#offsetMs + (before ?? times.startMs), endMs: this.#offsetMs + times.endMs, frames: null, cues: [] } as const
    // Which of its tracks are sound is not read.
    const reached = known !== null && known.endMs !== before ? { firstMs: before ?? known.startMs, endMs: known.endMs, hasSound: false } : null
    return { before: [], after: [piece], wholeFrom: null, faults, reached, silences: [] }
  }

  flush(): null {
    return null
  }

  state(): { state: null; tail: Uint8Array; fragments?: SavedFragments } {
    if (this.#reader === null) return { state: null, tail: new Uint8Array(0) }
    return { state: null, tail: this.#reader.tail, fragments: { state: this.#reader.state, fed: this.#fed } }
  }
}

/** What a checkpoint keeps of an MP4's boxes. */
export interface SavedFragments {
  readonly state: FragmentState
  /** Bytes of the part that were read. */
  readonly fed: number
}
