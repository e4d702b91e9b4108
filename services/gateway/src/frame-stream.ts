import { FRAME_PREFIX_BYTES, OPCODES, type Opcode } from '@longtake/contracts'

export interface StreamFrame {
  opcode: Opcode
  payload: Uint8Array
}

/** `too-long`: a frame above the limit, whose bytes are not waited for. After a fault nothing is read any more. */
export type StreamFault = { fault: 'hole' | 'unknown-opcode' } | { fault: 'too-long'; bytes: number }

const KNOWN: ReadonlySet<number> = new Set(Object.values(OPCODES))
const NOTHING = new Uint8Array(0)

/**
 * Reads frames from the byte stream that a client sends by HTTP polling, cut anywhere and partly repeated. It holds
 * one incomplete frame at most, in less than twice the bytes of it that have arrived.
 */
export class FrameStream {
  readonly #maxFrameBytes: number
  #received = 0
  /** The incomplete frame, prefix included, is in the first `#held` bytes. */
  #buffer = NOTHING
  #held = 0
  #isBroken = false

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Bytes of the stream that have arrived, from its beginning on. */
  get received(): number {
    return this.#received
  }

  /**
   * @param offset where in the stream `bytes` begin; what has arrived before is skipped
   * @param bytes may be reused by the caller afterwards, and so may what is in a frame
   */
  *read(offset: number, bytes: Uint8Array): Generator<StreamFrame | StreamFault> {
    if (this.#isBroken) return
    if (offset > this.#received) return yield { fault: 'hole' }
    let rest = bytes.subarray(this.#received - offset)
    this.#received += rest.length
    while (rest.length > 0) {
      if (this.#held < FRAME_PREFIX_BYTES && (this.#held > 0 || rest.length < FRAME_PREFIX_BYTES)) {
        rest = this.#take(rest, FRAME_PREFIX_BYTES)
        if (this.#held < FRAME_PREFIX_BYTES) return
      }
      const prefix = this.#held > 0 ? this.#buffer : rest
      const length = frameLength(prefix, this.#maxFrameBytes)
      if (typeof length !== 'number') {
        this.#isBroken = true
        this.#buffer = NOTHING
        return yield length
      }
      const whole = FRAME_PREFIX_BYTES + length
      let frame: Uint8Array
      if (this.#held === 0 && rest.length >= whole) {
        frame = rest.subarray(0, whole)
        rest = rest.subarray(whole)
      } else {
        rest = this.#take(rest, whole)
        if (this.#held < whole) return
        frame = this.#buffer.subarray(0, whole)
        this.#buffer = NOTHING
        this.#held = 0
      }
      yield { opcode: frame[0] as Opcode, payload: frame.subarray(FRAME_PREFIX_BYTES) }
    }
  }

  /** Moves bytes into the buffer until it has `most`; returns what is left. */
  #take(bytes: Uint8Array, most: number): Uint8Array {
    const taken = bytes.subarray(0, most - this.#held)
    const held = this.#held + taken.length
    if (held > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(2 * held, most))
      larger.set(this.#buffer.subarray(0, this.#held))
      this.#buffer = larger
    }
    this.#buffer.set(taken, this.#held)
    this.#held = held
    return bytes.subarray(taken.length)
  }
}

function frameLength(prefix: Uint8Array, maxFrameBytes: number): number | StreamFault {
  const view = new DataView(prefix.buffer, prefix.byteOffset, FRAME_PREFIX_BYTES)
  if (!KNOWN.has(view.getUint8(0))) return { fault: 'unknown-opcode' }
  const length = view.getUint32(1)
  return length > maxFrameBytes ? { fault: 'too-long', bytes: length } : length
}
