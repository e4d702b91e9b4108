import { randomUUID } from 'node:crypto'
import type { ServerMessageOf, WireErrorCode } from '@longtake/contracts'
import { Connection, type Shipment, type Step } from './connection.ts'
import { instruments } from './telemetry.ts'

/** A WebSocket, or what stands in its place, as far as this service needs it. After `end` or `terminate` it may not be touched any more. */
export interface Socket {
  readonly transport: 'websocket' | 'polling'
  /** False: dropped, because too much waits for this client already. */
  send(text: string): boolean
  ping(): void
  end(code: number, reason: string): void
  terminate(): void
  /** Sends what `work` sends in one write. */
  batch(work: () => void): void
}

export interface ConnectionHost {
  /** Settles by `connection.settled`, never rejects. Copies the payload before it returns. */
  ship(connection: LiveConnection, shipment: Shipment): void
  /** The client has answered the welcome. Called once. */
  answered(connection: LiveConnection): void
  /** Called once, with the close code and what ended it, see {@link closeReason}. */
  ended(connection: LiveConnection, code: number, reason: string): void
}

/** One connected client: carries out what the protocol's rules say on its socket. */
export class LiveConnection {
  readonly id = randomUUID()
  readonly session: string
  readonly client: string
  readonly transport: Socket['transport']
  /** In milliseconds since the epoch. */
  readonly openedAt: number
  readonly #steadyMs: () => number
  /** Whether this gateway has read its own `client-moved` about this connection. */
  announced = false
  /** As the gateway's steady clock counts. */
  nextPingAt: number
  nextConnectedAt: number
  /** Why it was never taken in, if it was not. */
  readonly refusal: WireErrorCode | undefined
  /** Why this side has ended it. */
  #endedFor: string | undefined
  #answered = false
  readonly #core: Connection
  readonly #host: ConnectionHost
  #socket: Socket | undefined

  /** @param times `steadyMs`: a clock that is never set, milliseconds */
  constructor(
    socket: Socket,
    host: ConnectionHost,
    settings: ConstructorParameters<typeof Connection>[0],
    times: { openedAt: number; steadyMs: () => number; connectedEveryMs: number },
    refusal?: WireErrorCode,
  ) {
    this.refusal = refusal
    this.session = settings.session
    this.client = settings.client
    this.transport = socket.transport
    this.openedAt = times.openedAt
    this.#steadyMs = times.steadyMs
    this.nextPingAt = times.steadyMs() + settings.heartbeatMs
    this.nextConnectedAt = times.steadyMs() + times.connectedEveryMs
    this.#socket = socket
    this.#host = host
    this.#core = new Connection(settings)
  }

  get isOpen(): boolean {
    return !this.#core.closed
  }

  welcome(): void {
    this.#take(this.#core.welcome(Date.now()))
  }

  receiveText(frame: Uint8Array): void {
    this.#hear()
    const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString()
    this.#take(this.#core.receiveText(text, this.#steadyMs(), Date.now()))
  }

  receiveBinary(frame: Uint8Array): void {
    this.#hear()
    this.#take(this.#core.receiveBinary(frame, this.#steadyMs()))
  }

  /** A request of a client that has no WebSocket: it has read the welcome. */
  receiveRequest(): void {
    this.#hear()
    this.#take(this.#core.receiveRequest(this.#steadyMs()))
  }

  /** Bytes that had arrived before. */
  receiveRepeated(bytes: number): void {
    if (bytes > 0) this.#take(this.#core.receiveRepeated(bytes, this.#steadyMs()))
  }

  receiveTooLarge(bytes: number): void {
    this.#take(this.#core.receiveTooLarge(bytes))
  }

  settled(shipment: Shipment, durable: boolean): void {
    this.#take(this.#core.settled(shipment, durable, this.#steadyMs()))
  }

  get isPaced(): boolean {
    return this.#core.isPaced
  }

  /** Sends the acks of what has settled since the last call, and those whose time has come. */
  flush(): void {
    const steps = this.#core.takeAcks(this.#steadyMs())
    if (steps.length > 1) this.#socket?.batch(() => this.#take(steps))
    else this.#take(steps)
  }

  hasOpened(part: string): boolean {
    return this.#core.hasOpened(part)
  }

  askAgain(chunks: Omit<ServerMessageOf<'resend'>, 'type'>): void {
    this.#take(this.#core.askAgain(chunks))
  }

  resizeWindow(bytes: number): void {
    this.#take(this.#core.resizeWindow(bytes, this.#steadyMs()))
  }

  tick(at: number): void {
    this.#take(this.#core.tick(at))
  }

  ping(): void {
    this.#socket?.ping()
  }

  drain(): void {
    this.#take(this.#core.drain())
  }

  end(code: WireErrorCode): void {
    this.#take(this.#core.end(code))
  }

  /**
   * The socket is gone, whoever ended it.
   * @param closeText what came with the code: the client's reason, or that of uWebSockets.js where no close frame came
   */
  gone(code: number, closeText = ''): void {
    if (this.#socket === undefined) return
    this.#socket = undefined
    this.#core.lost()
    this.#host.ended(this, code, this.#endedFor ?? closeReason(code, closeText))
  }

  #hear(): void {
    if (this.#answered) return
    this.#answered = true
    this.#host.answered(this)
  }

  #take(steps: readonly Step[]): void {
    for (const step of steps) {
      if (this.#socket === undefined) return
      switch (step.do) {
        case 'send':
          // A client that misses an ack can never be right again.
          if (this.#socket.send(JSON.stringify(step.message))) break
          this.#endedFor = 'unread'
          this.#socket.terminate()
          break
        case 'publish':
          this.#host.ship(this, step.shipment)
          break
        case 'close':
          this.#endedFor = step.reason
          this.#socket.end(step.code, step.reason)
          break
        case 'count-unknown':
          instruments.unknownMessages.add(1)
          break
        default:
          step satisfies never
      }
    }
  }
}

/** The reasons that uWebSockets.js gives when it breaks a connection by itself (its `WebSocketProtocol.h`), and our name for it. */
const BROKEN: readonly (readonly [text: RegExp, reason: string])[] = [
  [/too big/i, 'too-long-frame'],
  [/timed out|inactivity/i, 'silent'],
  [/utf-?8/i, 'invalid-utf8'],
  [/close payload|invalid websocket frame|protocol/i, 'invalid-frame'],
  [/tcp fin/i, 'no-close-frame'],
]

/**
 * Why a connection has ended that this side has not closed, for metrics and logs: `client` closed it, or it broke (1006)
 * for one of the reasons that uWebSockets.js names; `broken` where it names none, as when the connection is lost or the client
 * leaves too much unread. Never the client's own text, which could be anything.
 */
export function closeReason(code: number, closeText: string): string {
  if (code !== 1006) return 'client'
  return BROKEN.find(([text]) => text.test(closeText))?.[1] ?? 'broken'
}
