import { FRAME_PREFIX_BYTES, OPCODES, type AnswerHead, type ReceiveHead, type SendHead } from '@longtake/contracts'
import type { PassedRequest } from './web-socket-blocker.ts'

/** Frames of one connection over HTTP polling, each of them once. */
export interface FrameListener {
  clientText(text: string): void
  clientBinary(bytes: Buffer): void
  serverText(text: string): void
}

/** One connection: what has been read of either direction. */
class Polled {
  readonly listener: FrameListener
  #stream = Buffer.alloc(0)
  #readTo = 0
  #received = 0

  constructor(listener: FrameListener) {
    this.listener = listener
  }

  sent(offset: number, bytes: Buffer): void {
    if (offset > this.#stream.length) throw new Error('the recorder left out bytes of its stream')
    this.#stream = Buffer.concat([this.#stream, bytes.subarray(this.#stream.length - offset)])
    while (this.#stream.length >= this.#readTo + FRAME_PREFIX_BYTES) {
      const begin = this.#readTo + FRAME_PREFIX_BYTES
      const end = begin + this.#stream.readUInt32BE(this.#readTo + 1)
      if (this.#stream.length < end) return
      const payload = this.#stream.subarray(begin, end)
      const opcode = this.#stream[this.#readTo]
      this.#readTo = end
      if (opcode === OPCODES.text) this.listener.clientText(payload.toString())
      else if (opcode === OPCODES.binary) this.listener.clientBinary(payload)
    }
  }

  answered(first: number, frames: string[]): void {
    for (const frame of frames.slice(this.#received - first)) {
      this.#received += 1
      this.listener.serverText(frame)
    }
  }
}

/** Reads the frames of connections over HTTP polling from their requests. */
export class PolledFrames {
  readonly #listen: () => FrameListener
  readonly #connections = new Map<string, Polled>()

  /** @param listen called for each connection */
  constructor(listen: () => FrameListener) {
    this.#listen = listen
  }

  requested({ path, body }: PassedRequest): void {
    if (!path.includes('/http/send?')) return
    const [{ connection, offset }, bytes] = splitHead<SendHead>(body)
    this.#connections.get(connection)?.sent(offset, bytes)
  }

  answered({ path, body }: PassedRequest, answer: Buffer): void {
    const [head, frames] = splitHead<AnswerHead>(answer)
    if (head.connection !== undefined) this.#connections.set(head.connection, new Polled(this.#listen()))
    const key = path.includes('/http/open?') ? head.connection : splitHead<ReceiveHead>(body)[0].connection
    if (frames.length > 0) this.#connections.get(key ?? '')?.answered(head.first ?? 0, frames.toString().split('\n'))
  }
}

function splitHead<H>(body: Buffer): [H, Buffer] {
  const end = body.indexOf('\n')
  const head = end === -1 ? body : body.subarray(0, end)
  return [JSON.parse(head.toString()) as H, end === -1 ? Buffer.alloc(0) : body.subarray(end + 1)]
}
