import type { Decoded } from './decoder.ts'
import type { Fault } from './faults.ts'
import { FragmentReader, type FragmentState, type TakenBox } from './mp4/fragment-reader.ts'
import { moveFragments } from './mp4/move-fragments.ts'
import type { FreshPiece } from './piece.ts'
import type { Decoder } from './run.ts'

/** What a checkpoint keeps of an MP4's boxes. */
export interface SavedFragments {
  readonly state: FragmentState
  /** Bytes of the part that the reader was given. */
  readonly fed: number
  /** Set in later files than the one in which the part began. */
  readonly moved?: MovedFragments
  /** The part has left its file; `moved` still describes the file that it left. */
  readonly left?: true
}

export interface MovedFragments {
  /** Offset in the file minus offset in the stream; null until the file has its first fragment. */
  readonly byBytes: number | null
  /** Until then: end of the media in the earlier file, ms of the part's own time. */
  readonly sinceMs?: number | null
}

/** Output of a push, and the stream offset that its first byte stands for. */
interface Made {
  readonly bytes: Uint8Array
  readonly boxesAt: number
  /** Its start, if that is not the end of the previous output, ms of the part's own time. */
  readonly startMs?: number
}

/**
 * MP4 is kept as it comes: its boxes end where recorders cut chunks, and nothing in it needs to move. Its boxes are
 * read for their times, and for where it breaks off. Without a reader (a checkpoint of a version that read none)
 * nothing is known of them.
 *
 * A later file than the one in which the part began has a copy of the init segment, then the part from the next
 * fragment on that can be decoded without earlier ones; decode times count from the beginning of that file.
 */
export class VerbatimDecoder implements Decoder {
  readonly searching = false
  readonly shiftMs = 0
  readonly #reader: FragmentReader | null
  readonly #offsetMs: number
  #fed: number
  #moved: MovedFragments | null
  readonly #left: boolean
  #isVerbatim = true

  private constructor(reader: FragmentReader | null, offsetMs: number, { fed, moved, left }: Omit<SavedFragments, 'state'>) {
    this.#reader = reader
    this.#offsetMs = offsetMs
    this.#fed = fed
    this.#moved = moved ?? null
    this.#left = left ?? false
  }

  /** @param offsetMs file time of the part's own time 0 */
  static atStart(offsetMs: number): VerbatimDecoder {
    return new VerbatimDecoder(new FragmentReader(), offsetMs, { fed: 0 })
  }

  static resume(fragments: SavedFragments | undefined, tail: Uint8Array, offsetMs: number): VerbatimDecoder {
    return fragments === undefined ? new VerbatimDecoder(null, offsetMs, { fed: 0 }) : new VerbatimDecoder(new FragmentReader(fragments.state, tail), offsetMs, fragments)
  }

  /** Whether all of the last bytes are in the output, or will be once their box is whole. */
  get isVerbatim(): boolean {
    return this.#isVerbatim
  }

  get consumedOffset(): number {
    return this.#reader?.wholeTo ?? 0
  }

  get tailLength(): number {
    return this.#reader === null ? 0 : this.#fed - this.#reader.wholeTo
  }

  push(bytes: Uint8Array): Decoded {
    const fedBefore = this.#fed
    const before = this.#reader?.times?.endMs ?? null
    const isWithinFragment = this.#reader !== null && this.#reader.state.open !== null
    this.#fed += bytes.length
    const faults = this.#reader?.push(bytes) ?? []
    const known = this.#reader?.times ?? null
    // Which of its tracks are sound is not read.
    const reached = known !== null && known.endMs !== before ? { firstMs: before ?? known.startMs, endMs: known.endMs, hasSound: false } : null
    const made: Made | null = this.#moved === null ? { bytes, boxesAt: fedBefore } : this.#move(isWithinFragment, faults)
    if (made === null || made.bytes.length === 0) return { before: [], after: [], wholeFrom: null, faults, reached, silences: [] }
    const startMs = Math.max(0, this.#offsetMs + (made.startMs ?? before ?? known?.startMs ?? 0))
    const endMs = Math.max(startMs, this.#offsetMs + (known?.endMs ?? 0))
    const cues = fragmentCues(this.#reader?.taken.boxes ?? [], made.boxesAt, this.#offsetMs)
    const piece: FreshPiece = { kind: 'fresh', bytes: made.bytes, length: made.bytes.length, startMs, endMs, frames: null, cues }
    return { before: [], after: [piece], wholeFrom: null, faults, reached, silences: [] }
  }

  flush(): null {
    return null
  }

  state(): { state: null; tail: Uint8Array; fragments?: SavedFragments } {
    if (this.#reader === null) return { state: null, tail: new Uint8Array(0) }
    const moved = this.#moved === null ? {} : { moved: this.#moved }
    return { state: null, tail: this.#reader.tail, fragments: { state: this.#reader.state, fed: this.#fed, ...moved, ...(this.#left ? { left: true } : {}) } }
  }

  /**
   * The reader's last output as the later file has it; null while that file has no fragment. Adds to `faults` what is
   * left out.
   */
  #move(isWithinFragment: boolean, faults: Fault[]): Made | null {
    const { state, taken } = this.#reader!
    const { byBytes, sinceMs } = this.#moved!
    const byMs = -this.#offsetMs
    if (byBytes !== null) {
      this.#isVerbatim = true
      return { bytes: moveFragments(taken, state.tracks!, { byMs, byBytes }), boxesAt: taken.from }
    }
    const first = taken.boxes.find(({ fragment }) => fragment?.isSync)
    const isLeftOut = isWithinFragment || taken.boxes.some(({ fragment, at }) => fragment !== undefined && (first === undefined || at < first.at))
    this.#isVerbatim = !isLeftOut && faults.length === 0
    if (first !== undefined && state.init === undefined) {
      this.#isVerbatim = false
      faults.push({ cause: 'no-init-segment', startMs: sinceMs ?? null, endMs: null })
      return null
    }
    if (isLeftOut) faults.push({ cause: 'no-keyframe', startMs: sinceMs ?? null, endMs: first?.fragment?.startMs ?? null })
    if (first === undefined) return null
    const init = Buffer.from(state.init!, 'base64')
    this.#moved = { byBytes: init.length - first.at }
    const boxes = taken.boxes.filter(({ at }) => at >= first.at)
    const rest = moveFragments({ from: first.at, bytes: taken.bytes.subarray(first.at - taken.from), boxes }, state.tracks!, { byMs, byBytes: init.length - first.at })
    return { bytes: Buffer.concat([init, rest]), boxesAt: first.at - init.length, startMs: first.fragment!.startMs }
  }
}

/** Track number of all cues of fragments: a fragment has all tracks. */
export const FRAGMENT_CUES = 0

/**
 * Where a player, or a later file, can begin: fragments that can be decoded without earlier ones. Offsets are those of
 * the piece.
 * @param pieceFrom stream offset of the piece's first byte; a fragment that began before it has no cue
 */
export function fragmentCues(boxes: readonly TakenBox[], pieceFrom: number, offsetMs: number): FreshPiece['cues'] {
  return boxes.flatMap(({ at, fragment }) => (fragment?.isSync && at >= pieceFrom ? [{ timeMs: offsetMs + fragment.startMs, track: FRAGMENT_CUES, clusterOffset: at - pieceFrom, relativePosition: 0 }] : []))
}
