import { randomBytes } from 'node:crypto'
import { FRAME_HEADER_BYTES, OPCODES, type AnswerHead, type WireErrorCode } from '@longtake/contracts'
import { FrameStream } from './frame-stream.ts'
import type { Limits } from './limits.ts'
import type { LiveConnection, Socket } from './live-connection.ts'
import { MessageQueue } from './message-queue.ts'
import type { Identity } from './upgrade.ts'

/** One HTTP request that waits for its answer. */
export interface Exchange {
  /** Does nothing when the client has broken it off. */
  answer(status: number, body: string): void
}

/** The answer to a request that the connection cannot serve. */
export interface Refusal {
  status: 400 | 404 | 409 | 413
  code: WireErrorCode
  message: string
}

/** As long as the answer that says why may have to be given again. */
const LINGER_MS = 15_000
/** Of a close frame without a code (RFC 6455 §7.1.5). */
const NO_CODE = 1005
const ABNORMAL = 1006

/**
 * A connection over HTTP requests, in the place of a WebSocket: it reads frames from the bodies of `send` and puts text
 * frames into the answers of `receive`. It knows nothing of their meaning. Times are milliseconds of `performance.now`, which
 * no one sets.
 */
export class PollingConnection implements Socket {
  readonly transport = 'polling'
  /** A secret of the client's. */
  readonly key = randomBytes(32).toString('base64url')
  readonly identity: Identity
  readonly #limits: Limits
  readonly #stream: FrameStream
  readonly #messages: MessageQueue
  #live: LiveConnection | undefined
  /** The request that is held until there is something to answer. */
  #poll: { exchange: Exchange; since: number; isOpening: boolean } | undefined
  #closed: { code: number; reason: string; at: number } | undefined
  #heardAt: number
  #flushing = false

  /** @param opening answered with the connection's key and its first frames */
  constructor(identity: Identity, limits: Limits, opening: Exchange, now: number) {
    this.identity = identity
    this.#limits = limits
    this.#stream = new FrameStream(limits.maxChunkBytes + FRAME_HEADER_BYTES)
    this.#messages = new MessageQueue(limits.maxUnreadBytes)
    this.#heardAt = now
    this.#poll = { exchange: opening, since: now, isOpening: true }
  }

  /** @param live takes what the client sends */
  attach(live: LiveConnection): void {
    this.#live = live
  }

  /** Answers a `send`: how much of the client's stream has arrived, and whether any more is of use. */
  get sendAnswer(): string {
    return answerBody({ received: this.#stream.received, ...this.#closedHead })
  }

  get #closedHead(): Pick<AnswerHead, 'closed'> {
    return this.#closed === undefined ? {} : { closed: { code: this.#closed.code, reason: this.#closed.reason } }
  }

  /** A `send` or `receive` begins. */
  heard(now: number): void {
    this.#heardAt = now
    this.#live?.receiveRequest()
  }

  /** Some bytes of a `send` have arrived. */
  receiveBytes(offset: number, bytes: Uint8Array, now: number): Refusal | undefined {
    this.#heardAt = now
    const live = this.#live
    if (live === undefined || this.#closed !== undefined) return undefined
    live.receiveRepeated(Math.max(0, Math.min(bytes.length, this.#stream.received - offset)))
    for (const frame of this.#stream.read(offset, bytes)) {
      if (!live.isOpen) break
      if ('fault' in frame) {
        if (frame.fault === 'too-long') live.receiveTooLarge(frame.bytes)
        else if (frame.fault === 'hole') return hole(this.#stream.received)
        else live.end('REC_MALFORMED')
      } else if (frame.opcode === OPCODES.text) live.receiveText(frame.payload)
      else if (frame.opcode === OPCODES.binary) live.receiveBinary(frame.payload)
      else this.#gone(closeCodeOf(frame.payload), '')
    }
    return undefined
  }

  /** A `receive` has come; `after` is how many frames the client has received. */
  receive(after: number, exchange: Exchange, now: number): Refusal | undefined {
    this.#answer()
    if (!this.#messages.confirm(after)) return malformed('after is more than was sent')
    this.#poll = { exchange, since: now, isOpening: false }
    if (!this.#messages.isEmpty || this.#closed !== undefined) this.#answer()
    return undefined
  }

  /** The client has broken off a request. */
  abandoned(exchange: Exchange): void {
    if (this.#poll?.exchange === exchange) this.#poll = undefined
  }

  /** To be called about once a second. Returns whether it is to be forgotten. */
  tick(now: number): boolean {
    if (this.#poll !== undefined) this.#heardAt = now
    if (this.#closed === undefined && now - this.#heardAt >= this.#limits.pollGapMs) this.#gone(ABNORMAL, 'inactivity')
    if (this.#closed !== undefined) return now - this.#closed.at >= LINGER_MS
    if (this.#poll !== undefined && now - this.#poll.since >= this.#limits.pollHoldMs) this.#answer()
    return false
  }

  send(text: string): boolean {
    this.#answerSoon()
    return this.#messages.push(text)
  }

  /** Polls come of themselves. */
  ping(): void {}

  end(code: number, reason: string): void {
    this.#gone(code, reason)
  }

  terminate(): void {
    this.#gone(ABNORMAL, '')
  }

  batch(work: () => void): void {
    work()
  }

  #gone(code: number, reason: string): void {
    if (this.#closed !== undefined) return
    this.#closed = { code, reason, at: performance.now() }
    this.#answerSoon()
    this.#live?.gone(code, reason)
  }

  /** At the end of what happens now, so that frames go out together. */
  #answerSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#answer()
    })
  }

  #answer(): void {
    const poll = this.#poll
    if (poll === undefined) return
    this.#poll = undefined
    const { first, texts } = this.#messages.waiting
    const status = poll.isOpening && this.#closed !== undefined ? 503 : 200
    poll.exchange.answer(
      status,
      answerBody({ ...(poll.isOpening ? { connection: this.key } : {}), first, ...this.#closedHead }, texts),
    )
  }
}

export const answerBody = (head: AnswerHead, texts: readonly string[] = []): string =>
  [JSON.stringify(head), ...texts].join('\n')

function closeCodeOf(payload: Uint8Array): number {
  if (payload.length < 2) return NO_CODE
  return new DataView(payload.buffer, payload.byteOffset, 2).getUint16(0)
}

const malformed = (message: string): Refusal => ({ status: 400, code: 'REC_MALFORMED', message })
const hole = (received: number): Refusal => ({
  status: 409,
  code: 'REC_MALFORMED',
  message: `offset is behind a hole: ${received} bytes have arrived`,
})
