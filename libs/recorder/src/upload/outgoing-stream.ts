import { encodeStreamFrame, OPCODES } from '@longtake/contracts/polling'

/** Ends a connection normally: code 1000. */
export const closeFrame = (): Uint8Array<ArrayBuffer> => encodeStreamFrame(OPCODES.close, Uint8Array.of(0x03, 0xe8))

/** Frames on their way over HTTP polling, as one stream of bytes: kept until the gateway has received them. */
export class OutgoingStream {
  /** Where in the stream what is kept begins. */
  #offset = 0
  #frames: Uint8Array<ArrayBuffer>[] = []
  #bytes = 0

  get offset(): number {
    return this.#offset
  }

  get bufferedBytes(): number {
    return this.#bytes
  }

  push(frame: string | Uint8Array<ArrayBuffer>): void {
    const isText = typeof frame === 'string'
    this.#add(
      encodeStreamFrame(isText ? OPCODES.text : OPCODES.binary, isText ? new TextEncoder().encode(frame) : frame),
    )
  }

  /** The first bytes that are kept. They stay until they are confirmed. */
  next(maxBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.min(maxBytes, this.#bytes))
    let at = 0
    for (const frame of this.#frames) {
      if (at === bytes.length) break
      const part = frame.subarray(0, bytes.length - at)
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }

  /** The gateway has received so many bytes of the stream. Returns false if it cannot have. */
  confirm(received: number): boolean {
    let gone = received - this.#offset
    if (!Number.isSafeInteger(gone) || gone < 0 || gone > this.#bytes) return false
    this.#offset = received
    this.#bytes -= gone
    let whole = 0
    for (const frame of this.#frames) {
      if (frame.length > gone) break
      gone -= frame.length
      whole += 1
    }
    this.#frames.splice(0, whole)
    if (gone > 0) this.#frames[0] = this.#frames[0]!.subarray(gone)
    return true
  }

  #add(bytes: Uint8Array<ArrayBuffer>): void {
    this.#frames.push(bytes)
    this.#bytes += bytes.length
  }
}
