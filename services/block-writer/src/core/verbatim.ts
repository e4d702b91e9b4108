import type { Decoded } from './decoder.ts'
import type { Decoder } from './run.ts'

const NOTHING: Pick<Decoded, 'before' | 'wholeFrom' | 'faults'> = { before: [], wholeFrom: null, faults: [] }

/** MP4 is kept as it comes: its boxes end where recorders cut chunks, and nothing in it needs to move. */
export class VerbatimDecoder implements Decoder {
  readonly consumedOffset = 0
  readonly tailLength = 0
  readonly searching = false
  readonly shiftMs = 0

  push(bytes: Uint8Array): Decoded {
    return { ...NOTHING, after: [{ kind: 'fresh', bytes, length: bytes.length, startMs: 0, endMs: 0, cues: [] }] }
  }

  flush(): null {
    return null
  }

  state(): { state: null; tail: Uint8Array } {
    return { state: null, tail: new Uint8Array(0) }
  }
}
