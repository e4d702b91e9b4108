import { EventEmitter } from 'node:events'
import type net from 'node:net'
import { currentProcess, type SimProcess, type VirtualTime } from './virtual-time.ts'

/** The server's end of a connection. */
export interface ServerSocket {
  readonly client: SimProcess
  send(bytes: Buffer): void
  /** Both ends learn of it; what is on its way is lost. */
  reset(): void
}

export interface ServerHandler {
  receive(bytes: Buffer): void
  closed(): void
}

/** Accepts a connection, or refuses it with null. */
export type Listener = (socket: ServerSocket) => ServerHandler | null

/** Decides how long the next message from one end to the other takes, in milliseconds. */
export type LinkDelay = (client: SimProcess, host: string) => number

/** TCP between simulated processes and servers: in order, whole messages, resets at any moment. */
export class Tcp {
  readonly #time: VirtualTime
  readonly #delay: LinkDelay
  readonly #listeners = new Map<string, Listener>()
  readonly #open = new Set<SimSocket>()

  constructor(time: VirtualTime, delay: LinkDelay) {
    this.#time = time
    this.#delay = delay
  }

  listen(host: string, listener: Listener): void {
    this.#listeners.set(host, listener)
  }

  connect({ host }: { host: string }, onConnect: () => void): net.Socket {
    const client = currentProcess()
    if (client === undefined) throw new Error(`the simulator itself connects to ${host}`)
    const socket = new SimSocket(this.#time, client, host, () => this.#delay(client, host))
    this.#open.add(socket)
    socket.onGone = () => this.#open.delete(socket)
    socket.establish(this.#listeners.get(host), onConnect)
    return socket as unknown as net.Socket
  }

  /** Resets every connection that `matches`. */
  resetWhere(matches: (client: SimProcess, host: string) => boolean): void {
    for (const socket of this.#open) if (matches(socket.client, socket.host)) socket.reset()
  }
}

/** As much of a `net.Socket` as a Kafka client uses. */
class SimSocket extends EventEmitter implements ServerSocket {
  readonly client: SimProcess
  readonly host: string
  onGone = (): void => undefined
  readonly #time: VirtualTime
  readonly #delay: () => number
  #server: ServerHandler | null = null
  #clientClosed = false
  #gone = false
  #lastToServer = 0
  #lastToClient = 0

  constructor(time: VirtualTime, client: SimProcess, host: string, delay: () => number) {
    super()
    this.client = client
    this.host = host
    this.#time = time
    this.#delay = delay
    client.onExit(() => this.#closeFromClient())
  }

  establish(listener: Listener | undefined, onConnect: () => void): void {
    this.#toServer(() => {
      this.#server = listener?.(this) ?? null
      if (this.#server === null) return this.#fail('ECONNREFUSED')
      this.#toClient(onConnect)
    })
  }

  write(bytes: Buffer): boolean {
    // The caller may use its buffer again.
    const sent = Buffer.from(bytes)
    if (!this.#clientClosed) this.#toServer(() => this.#server?.receive(sent))
    return true
  }

  send(bytes: Buffer): void {
    this.#toClient(() => this.emit('data', bytes))
  }

  reset(): void {
    this.#fail('ECONNRESET')
  }

  end(): this {
    this.#closeFromClient()
    return this
  }

  destroy(): this {
    return this.end()
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  unref(): this {
    return this
  }

  ref(): this {
    return this
  }

  #closeFromClient(): void {
    if (this.#clientClosed) return
    this.#clientClosed = true
    this.#toServer(() => this.#leave())
  }

  #fail(code: string): void {
    if (this.#gone) return
    this.#leave()
    this.#time.after(
      0,
      () => {
        if (!this.#clientClosed) this.emit('error', Object.assign(new Error(`${code} ${this.host}`), { code }))
      },
      this.client,
    )
  }

  #leave(): void {
    if (this.#gone) return
    this.#gone = true
    this.onGone()
    this.#server?.closed()
  }

  #toServer(arrive: () => void): void {
    this.#lastToServer = Math.max(this.#lastToServer, this.#time.now + this.#delay())
    this.#time.at(this.#lastToServer, () => {
      if (!this.#gone) arrive()
    })
  }

  #toClient(arrive: () => void): void {
    this.#lastToClient = Math.max(this.#lastToClient, this.#time.now + this.#delay())
    this.#time.at(
      this.#lastToClient,
      () => {
        if (!this.#gone && !this.#clientClosed) arrive()
      },
      this.client,
    )
  }
}
