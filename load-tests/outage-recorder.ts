import { createHash, randomUUID } from 'node:crypto'
import { encodeChunkFrame } from '@longtake/contracts/frame'

export interface Source {
  readonly url: string
  readonly session: string
  readonly token: string
  /** The beginning of a recording; the gateway looks at no later chunk. */
  readonly head: Uint8Array
  readonly body: Uint8Array
}

/** As the recorder library waits: at random up to this. */
const LONGEST_PAUSE_MS = 30_000

/**
 * One recorder that makes a chunk a second for ever, keeps within the window, forgets nothing before its ack, and comes back when it
 * is sent away. Chunks are counted, not kept: all have the same bytes, so that this process needs no memory for them.
 */
export class OutageRecorder {
  made = 0
  acknowledged = 0
  /** Times the gateway has closed the connection, by close code. */
  readonly closes = new Map<number, number>()
  lastAckAt = 0
  readonly #source: Source
  readonly #part = randomUUID()
  readonly #client = randomUUID()
  readonly #frames: readonly [head: Frame, body: Frame]
  readonly #timer: NodeJS.Timeout
  #socket: WebSocket | null = null
  #open = false
  #window = 0
  /** Sent on this connection and not acknowledged: these and no others, for acks come in order of seq here. */
  #sent = 0
  #failures = 0
  #stopped = false

  constructor(source: Source) {
    this.#source = source
    this.#frames = [frameOf(source.head), frameOf(source.body)]
    this.#timer = setInterval(() => {
      this.made += 1
      this.#send()
    }, 1000)
    this.#connect()
  }

  get isConnected(): boolean {
    return this.#open
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#socket?.close()
  }

  #connect(): void {
    const { url, session, token } = this.#source
    const socket = new WebSocket(`${url}/v1/ingest/${session}?client=${this.#client}`, ['longtake.v1', `bearer.${token}`])
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(data as string) as Message))
    socket.addEventListener('error', () => {})
    socket.addEventListener('close', ({ code }) => {
      this.#open = false
      this.#sent = 0
      if (this.#stopped) return
      this.closes.set(code, (this.closes.get(code) ?? 0) + 1)
      this.#failures += 1
      setTimeout(() => this.#stopped || this.#connect(), Math.random() * Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#failures))
    })
  }

  #receive(message: Message): void {
    switch (message.type) {
      case 'welcome':
        this.#open = true
        this.#window = message.windowBytes
        this.#socket?.send(JSON.stringify({ type: 'open', handle: 0, track: 'webcam', part: this.#part, mimeType: 'video/webm', startedAt: new Date().toISOString() }))
        return this.#send()
      case 'window':
        this.#window = message.windowBytes
        return this.#send()
      case 'ack':
        this.#failures = 0
        this.#sent -= message.to - message.from + 1
        this.acknowledged += message.to - message.from + 1
        this.lastAckAt = performance.now()
        return this.#send()
      default:
    }
  }

  #send(): void {
    for (let seq = this.acknowledged + this.#sent; this.#open && seq < this.made; seq += 1) {
      const frame = this.#frames[seq === 0 ? 0 : 1]
      const inFlight = this.#sent * this.#frames[1].payload.length
      if (inFlight + frame.payload.length > this.#window && !(this.#sent === 0 && this.#window > 1)) return
      this.#socket?.send(encodeChunkFrame({ handle: 0, seq, capturedAt: Date.now(), ...frame }))
      this.#sent += 1
    }
  }
}

type Message = { type: 'welcome' | 'window'; windowBytes: number } | { type: 'ack'; from: number; to: number } | { type: 'other' }
interface Frame {
  readonly payload: Uint8Array
  readonly sha256: Uint8Array
}

const frameOf = (payload: Uint8Array): Frame => ({ payload, sha256: createHash('sha256').update(payload).digest() })
