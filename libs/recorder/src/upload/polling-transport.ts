import { POLL_HOLD_MS, type AnswerHead, type PollingOperation } from '@longtake/contracts/polling'
import { CLOSE_CODES } from '@longtake/contracts/protocol'
import { BodySize } from './body-size.ts'
import { pollingUrlOf } from './ingest-url.ts'
import { closeFrame, OutgoingStream } from './outgoing-stream.ts'
import type { Timers, Transport, TransportEvents } from './transport.ts'

/** Between the attempts at one request, in milliseconds; after the last the connection counts as lost. */
const RETRIES_MS = [500, 1000, 2000, 4000]
const ANSWER_WITHIN_MS = POLL_HOLD_MS + 15_000
/** Requests up to this size outlive their page; browsers allow 64 KiB of them in all. */
const KEEPALIVE_BYTES = 8 * 1024
const ABNORMAL = 1006
const CLOSE_CODES_BY_STATUS: Readonly<Record<number, number>> = {
  401: CLOSE_CODES.unauthorized,
  404: CLOSE_CODES.unknownConnection,
}

type Bytes = Uint8Array<ArrayBuffer>

interface Answer {
  status: number
  head: AnswerHead & { code?: string; message?: string }
  frames: string[]
}

/** One connection to the gateway over HTTP requests: one at a time that sends, and one that waits for frames. */
export class PollingTransport implements Transport {
  readonly #url: string
  readonly #events: TransportEvents
  readonly #timers: Timers
  readonly #stream = new OutgoingStream()
  readonly #bodySize = new BodySize()
  /** Aborts all requests. */
  readonly #ending = new AbortController()
  /** Its secret, once it is open. */
  #connection: string | undefined
  /** Frames that have arrived. */
  #received = 0
  #isSending = false
  #isOver = false

  /** @param url of the WebSocket, with session and client */
  constructor(url: string, token: string, events: TransportEvents, timers: Timers) {
    this.#url = url
    this.#events = events
    this.#timers = timers
    void this.#run(token)
  }

  get bufferedBytes(): number {
    return this.#stream.bufferedBytes
  }

  send(frame: string | Bytes): void {
    if (this.#isOver) return
    this.#stream.push(frame)
    void this.#sendAll()
  }

  close(): void {
    if (this.#isOver) return
    const isIdle = this.#connection !== undefined && this.bufferedBytes === 0
    this.#end()
    // A connection that is given up with frames under way ends by its silence, or when a newer one takes over.
    if (isIdle)
      void this.#fetch('send', this.#sendHead, closeFrame(), new AbortController().signal).catch(() => undefined)
  }

  async #run(token: string): Promise<void> {
    try {
      const opened = await this.#ask('open', { token })
      this.#connection = opened.head.connection
      this.#take(opened)
      if (this.#connection === undefined) return this.#lost(ABNORMAL)
      void this.#sendAll()
      while (!this.#isOver)
        this.#take(
          await this.#persist(() => this.#ask('receive', { connection: this.#connection, after: this.#received })),
        )
    } catch {
      this.#lost(ABNORMAL)
    }
  }

  #take({ head: { first = 0, closed }, frames }: Answer): void {
    // A frame may end all: then those behind it are nobody's.
    for (const frame of frames.slice(Math.max(0, this.#received - first))) {
      this.#received += 1
      if (!this.#isOver) this.#events.text(frame)
    }
    if (closed !== undefined) this.#lost(closed.code)
  }

  async #sendAll(): Promise<void> {
    if (this.#isSending || this.#connection === undefined) return
    this.#isSending = true
    try {
      while (this.bufferedBytes > 0 && !this.#isOver) {
        const { received, closed } = (await this.#persist(() => this.#sendSome())).head
        if (!this.#stream.confirm(received ?? -1)) return this.#lost(ABNORMAL)
        // Nothing is sent any more; the reason arrives by `receive`.
        if (closed !== undefined) return
      }
      this.#isSending = false
    } catch {
      this.#lost(ABNORMAL)
    }
  }

  async #sendSome(): Promise<Answer> {
    const bytes = this.#stream.next(this.#bodySize.bytes)
    const begunAt = performance.now()
    try {
      const answer = await this.#ask('send', this.#sendHead, bytes)
      this.#bodySize.answered(bytes.length, performance.now() - begunAt)
      return answer
    } catch (error) {
      this.#bodySize.failed()
      throw error
    }
  }

  get #sendHead(): object {
    return { connection: this.#connection, offset: this.#stream.offset }
  }

  /** Again and again for a while: a request that is repeated does no harm. */
  async #persist(request: () => Promise<Answer>): Promise<Answer> {
    for (const delayMs of RETRIES_MS) {
      try {
        return await request()
      } catch (error) {
        if (this.#isOver) throw error
        await new Promise<void>((resolve) => {
          this.#timers.after(delayMs, resolve)
        })
      }
    }
    return request()
  }

  /** @throws when there is no answer of the gateway; a refusal of it ends the connection */
  async #ask(operation: PollingOperation, head: object, bytes?: Bytes): Promise<Answer> {
    const tooLate = new AbortController()
    const abort = (): void => tooLate.abort()
    const cancel = this.#timers.after(ANSWER_WITHIN_MS, abort)
    this.#ending.signal.addEventListener('abort', abort)
    try {
      const response = await this.#fetch(operation, head, bytes, tooLate.signal)
      const [first = '', ...frames] = (await response.text()).split('\n')
      const answer: Answer = { status: response.status, head: JSON.parse(first) as Answer['head'], frames }
      if (!response.ok && answer.head.closed === undefined) this.#refused(answer)
      return answer
    } finally {
      cancel()
      this.#ending.signal.removeEventListener('abort', abort)
    }
  }

  /** Simple requests of CORS: no header of ours, so no preflight. */
  #fetch(operation: PollingOperation, head: object, bytes: Bytes | undefined, signal: AbortSignal): Promise<Response> {
    const line = new TextEncoder().encode(`${JSON.stringify(head)}\n`)
    const body = new Uint8Array(line.length + (bytes?.length ?? 0))
    body.set(line)
    if (bytes !== undefined) body.set(bytes, line.length)
    const keepalive = operation === 'send' && body.length <= KEEPALIVE_BYTES
    return fetch(pollingUrlOf(this.#url, operation), { method: 'POST', body, signal, cache: 'no-store', keepalive })
  }

  #refused({ status, head: { code, message } }: Answer): void {
    const closeCode = CLOSE_CODES_BY_STATUS[status]
    if (code === undefined || (closeCode === undefined && status >= 500))
      throw new Error(`the answer has status ${status}`)
    if (!this.#isOver) this.#events.text(JSON.stringify({ type: 'error', code, message }))
    this.#lost(closeCode ?? ABNORMAL)
  }

  #lost(code: number): void {
    if (this.#isOver) return
    this.#end()
    this.#events.closed(code)
  }

  #end(): void {
    this.#isOver = true
    this.#ending.abort()
  }
}
