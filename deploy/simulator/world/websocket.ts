import { EVENTS, type Trace } from './trace.ts'
import { currentProcess, type SimProcess, type VirtualTime } from './virtual-time.ts'

/** The gateway's half of a connection, as its WebSocket library calls it. */
export interface IngestHandler {
  text(frame: Uint8Array): void
  binary(frame: Uint8Array): void
  closed(code: number): void
}

/** What the gateway may do with a connection. */
export interface IngestSocket {
  send(text: string): void
  ping(): void
  end(code: number): void
  terminate(): void
}

export interface IngestServer {
  readonly process: SimProcess
  /** Null: the server is not listening. */
  accept(address: { session: string; client: string }, socket: IngestSocket): IngestHandler | null
}

export interface WebSocketWorld {
  readonly time: VirtualTime
  readonly trace: Trace
  /** One of the gateways, as a load balancer chooses; undefined when none is up. */
  route(): IngestServer | undefined
  /** Of the next frame, in milliseconds; null: the page is offline. */
  delayMs(page: SimProcess): number | null
  /** Everything that a page sends, before the network. */
  onSent(page: SimProcess, frame: string | Uint8Array): void
  opened(connection: SimWebSocket): void
}

let world: WebSocketWorld | undefined
export const useWebSockets = (next: WebSocketWorld): void => void (world = next)

/** Without a byte from the client for so long the server drops a connection; uWebSockets.js's `idleTimeout`. */
const IDLE_MS = 94_000
const IDLE_CHECK_MS = 20_000
const ABNORMAL = 1006

type Listener = (event: { data?: unknown; code?: number }) => void

/** The browser's WebSocket with everything up to the gateway's library: frames in order, cut at any moment. */
export class SimWebSocket {
  static readonly OPEN = 1
  readonly page: SimProcess
  readyState = 0
  binaryType = 'arraybuffer'
  readonly bufferedAmount = 0
  readonly #world: WebSocketWorld
  readonly #listeners = new Map<string, Listener[]>()
  readonly #server: IngestServer | undefined
  #handler: IngestHandler | null = null
  #isCut = false
  #clientClosed = false
  #serverClosed = false
  #lastToServer = 0
  #lastToClient = 0
  #heardAt = 0

  constructor(url: string) {
    this.#world = world!
    this.page = currentProcess()!
    const { pathname, searchParams } = new URL(url)
    const address = { session: decodeURIComponent(pathname.split('/').at(-1)!), client: searchParams.get('client')! }
    this.#server = this.#world.route()
    this.#world.opened(this)
    this.page.onExit(() => this.#leave(ABNORMAL))
    if (this.#server === undefined) this.#closeClient(ABNORMAL)
    else {
      this.#server.process.onExit(() => this.#closeClient(ABNORMAL))
      this.#toServer(() => this.#open(address))
    }
  }

  addEventListener(type: string, listener: Listener): void {
    const listeners = this.#listeners.get(type) ?? []
    listeners.push(listener)
    this.#listeners.set(type, listeners)
  }

  send(frame: string | Uint8Array): void {
    const { trace } = this.#world
    this.#world.onSent(this.page, frame)
    const bytes = typeof frame === 'string' ? new TextEncoder().encode(frame) : frame.slice()
    trace.note(EVENTS.frame, bytes.length, bytes)
    if (trace.hasReader)
      trace.line(this.page.name, typeof frame === 'string' ? `→ ${frame}` : `→ chunk ${describeChunk(frame)}`)
    this.#toServer(() => (typeof frame === 'string' ? this.#handler?.text(bytes) : this.#handler?.binary(bytes)))
  }

  close(): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#leave(1000)
  }

  /** The network between them breaks: each side notices at its own time, or only by its silence. */
  cut(clientNoticesMs: number | null, serverNoticesMs: number | null): void {
    if (this.#isCut) return
    this.#isCut = true
    const { time } = this.#world
    if (clientNoticesMs !== null) time.after(clientNoticesMs, () => this.#closed(ABNORMAL), this.page)
    if (serverNoticesMs !== null) time.after(serverNoticesMs, () => this.#serverLost(), this.#server?.process)
  }

  #open(address: { session: string; client: string }): void {
    const server = this.#server!
    const { time } = this.#world
    this.#heardAt = time.now
    const socket: IngestSocket = {
      send: (text) => this.#toClient(() => this.#emit('message', { data: text }), text),
      ping: () => this.#toClient(() => this.#toServer(() => undefined)),
      end: (code) => this.#end(code),
      terminate: () => this.#end(ABNORMAL),
    }
    this.#toClient(() => {
      if (this.readyState === 0) this.readyState = SimWebSocket.OPEN
    })
    this.#handler = server.accept(address, socket)
    if (this.#handler === null) return this.#closeClient(ABNORMAL)
    this.#watchIdle()
  }

  #watchIdle(): void {
    const { time } = this.#world
    time.after(
      IDLE_CHECK_MS,
      () => {
        if (this.#serverClosed) return
        if (time.now - this.#heardAt > IDLE_MS) this.#end(ABNORMAL)
        else this.#watchIdle()
      },
      this.#server!.process,
    )
  }

  #end(code: number): void {
    if (this.#serverClosed) return
    this.#serverClosed = true
    this.#closeClient(code)
    // The gateway assigns its handler only after `accept` has returned.
    const handler = this.#handler
    if (handler !== null) handler.closed(code)
    else this.#world.time.after(0, () => this.#handler?.closed(code), this.#server!.process)
  }

  #closeClient(code: number): void {
    this.#toClient(() => this.#closed(code))
  }

  #closed(code: number): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#clientClosed = true
    this.#emit('close', { code })
  }

  #leave(code: number): void {
    if (this.#clientClosed) return
    this.#clientClosed = true
    this.#toServer(() => this.#serverLost(code))
  }

  #serverLost(code = ABNORMAL): void {
    if (this.#serverClosed) return
    this.#serverClosed = true
    this.#handler?.closed(code)
  }

  #emit(type: string, event: { data?: unknown; code?: number }): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event)
  }

  #toServer(arrive: () => void): void {
    if (this.#isCut || this.#server === undefined) return
    const { time } = this.#world
    const delay = this.#world.delayMs(this.page)
    if (delay === null) return
    this.#lastToServer = Math.max(this.#lastToServer, time.now + delay)
    time.at(
      this.#lastToServer,
      () => {
        if (this.#isCut || this.#serverClosed) return
        this.#heardAt = time.now
        arrive()
      },
      this.#server.process,
    )
  }

  #toClient(arrive: () => void, frame?: string): void {
    const { time, trace } = this.#world
    if (this.#isCut) return
    const delay = this.#world.delayMs(this.page) ?? 0
    this.#lastToClient = Math.max(this.#lastToClient, time.now + delay)
    time.at(
      this.#lastToClient,
      () => {
        if (this.#isCut || this.#clientClosed || this.readyState === 3) return
        if (frame !== undefined) {
          trace.note(EVENTS.frame, frame.length)
          trace.line(this.page.name, `← ${frame}`)
        }
        arrive()
      },
      this.page,
    )
  }
}

const describeChunk = (frame: Uint8Array): string => {
  const view = new DataView(frame.buffer, frame.byteOffset)
  return `handle ${view.getUint8(1)} seq ${view.getUint32(4)}, ${frame.length - 48} bytes`
}
