import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

interface Head {
  connection?: string
  received?: number
  first?: number
  closed?: { code: number; reason: string }
}

const OPEN = 1
const CLOSED = 3
const MOST_BYTES = 300_000
/** A request that failed is repeated so often, so many milliseconds apart, before the connection counts as lost. */
const TRIES = 4
const PAUSE_MS = 250
/** A held request is answered after 20 s at the latest. */
const ANSWER_WITHIN_MS = 30_000

interface Events {
  message: [data: Buffer, isBinary: boolean]
  close: [code: number, reason: Buffer]
  error: [cause: Error]
  /** The gateway did not open a connection. */
  refused: [status: number]
}

/**
 * HTTP polling with the events and methods of a WebSocket of `ws`, as far as this kit needs them: written from the
 * protocol's text, like the rest of this client.
 */
export class PollingSocket extends EventEmitter<Events> {
  readonly protocol = 'longtake.v1'
  readyState = 0
  readonly #base: string
  readonly #client: string
  readonly #ending = new AbortController()
  #connection = ''
  /** Where in the stream `#unsent` begins. */
  #offset = 0
  #unsent = Buffer.alloc(0)
  #isSending = false
  #received = 0

  /** @param origin of the gateway, as `http://127.0.0.1:8081` */
  constructor(origin: string, { session, client, token }: { session: string; client: string; token: string }) {
    super()
    this.#base = `${origin}/v1/ingest/${session}/http`
    this.#client = client
    void this.#open(token)
  }

  send(data: string | Uint8Array): void {
    this.#push(typeof data === 'string' ? 1 : 2, Buffer.from(data as string))
  }

  close(code: number): void {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.#push(8, payload)
  }

  /** No request any more, and none of those that are under way. */
  terminate(): void {
    this.#end(1006, '')
  }

  async #open(token: string): Promise<void> {
    try {
      const { status, head, lines } = await this.#ask('open', { token })
      if (head.connection === undefined && head.closed === undefined) {
        this.emit('refused', status)
        return this.#end(1006, '')
      }
      this.#connection = head.connection ?? ''
      this.readyState = OPEN
      this.#deliver(head, lines)
      void this.#sendAll()
      await this.#receiveAll()
    } catch (error) {
      if (this.readyState === 0) this.emit('error', error as Error)
      this.#end(1006, '')
    }
  }

  async #receiveAll(): Promise<void> {
    while (this.readyState === OPEN) {
      const { status, head, lines } = await this.#again('receive', () => ({
        connection: this.#connection,
        after: this.#received,
      }))
      if (status !== 200) return this.#end(1006, `HTTP ${status}`)
      this.#deliver(head, lines)
    }
  }

  #deliver({ first = 0, closed }: Head, lines: string[]): void {
    for (const line of lines.slice(this.#received - first)) {
      this.#received += 1
      this.emit('message', Buffer.from(line), false)
    }
    if (closed !== undefined) this.#end(closed.code, closed.reason)
  }

  #push(opcode: number, payload: Buffer): void {
    const prefix = Buffer.alloc(5)
    prefix.writeUInt8(opcode, 0)
    prefix.writeUInt32BE(payload.length, 1)
    this.#unsent = Buffer.concat([this.#unsent, prefix, payload])
    void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    if (this.#isSending || this.readyState !== OPEN) return
    this.#isSending = true
    try {
      while (this.#unsent.length > 0 && this.readyState === OPEN) {
        const bytes = this.#unsent.subarray(0, MOST_BYTES)
        const { status, head } = await this.#again(
          'send',
          () => ({ connection: this.#connection, offset: this.#offset }),
          bytes,
        )
        if (status !== 200 || head.received === undefined) return this.#end(1006, `HTTP ${status}`)
        // What ended it comes by `receive`.
        if (head.closed !== undefined) return
        this.#unsent = this.#unsent.subarray(head.received - this.#offset)
        this.#offset = head.received
      }
    } catch {
      this.#end(1006, '')
    } finally {
      this.#isSending = false
    }
  }

  async #again(operation: string, headOf: () => object, bytes?: Buffer) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#ask(operation, headOf(), bytes)
      } catch (error) {
        if (tries === TRIES || this.#ending.signal.aborted) throw error
        await delay(PAUSE_MS, undefined, { signal: this.#ending.signal })
      }
    }
  }

  async #ask(
    operation: string,
    head: object,
    bytes: Buffer = Buffer.alloc(0),
  ): Promise<{ status: number; head: Head; lines: string[] }> {
    const body = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes])
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)])
    const response = await fetch(`${this.#base}/${operation}?client=${this.#client}`, { method: 'POST', body, signal })
    const [first = '', ...lines] = (await response.text()).split('\n')
    return { status: response.status, head: JSON.parse(first) as Head, lines }
  }

  #end(code: number, reason: string): void {
    if (this.readyState === CLOSED) return
    this.readyState = CLOSED
    this.#ending.abort()
    this.emit('close', code, Buffer.from(reason))
  }
}
