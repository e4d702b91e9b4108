import { WebSocket, type RawData } from 'ws'
import { PollingSocket } from './polling-socket.ts'
import { chunkMessage, type FromServer, type Welcome } from './wire-client.ts'

export interface ConnectOptions {
  /** The gateway's address, e.g. `ws://127.0.0.1:8081`. */
  url: string
  session: string
  /** UUID of this recorder. */
  client: string
  token: string
  /** How the token travels: browsers can only use the subprotocol. */
  tokenAs: 'header' | 'subprotocol'
  transport: 'websocket' | 'polling'
  timeoutMs: number
  livenessMs: number
}

export interface ConnectionEvents {
  message(message: FromServer): void
  closed(code: number, reason: string): void
  /** Something the server may not do. */
  violation(text: string): void
}

/** The server did not upgrade the connection. */
export class ConnectionRefused extends Error {
  readonly status: number
  constructor(status: number) {
    super(`the gateway refused the connection with HTTP ${status}`)
    this.name = 'ConnectionRefused'
    this.status = status
  }
}

/** One WebSocket, or what polls in its place, and what was sent on it: an `ack` may only name chunks received on this very connection. */
export class Connection {
  readonly #socket: WebSocket | PollingSocket
  readonly welcome: Welcome
  windowBytes: number
  readonly partOfHandle = new Map<number, string>()
  readonly handleOfPart = new Map<string, number>()
  /** Bytes of the chunks that are sent and not acknowledged, by part and seq. */
  readonly #inFlight = new Map<string, Map<number, number>>()
  readonly #everSent = new Map<string, Set<number>>()
  inFlightBytes = 0
  #open = true
  #heardAt = performance.now()
  #watch: NodeJS.Timeout | undefined

  private constructor(socket: WebSocket | PollingSocket, welcome: Welcome) {
    this.#socket = socket
    this.welcome = welcome
    this.windowBytes = welcome.windowBytes
  }

  /** Resolves at `welcome`; rejects with `ConnectionRefused`, or when the server closes or stays silent. */
  static open(options: ConnectOptions, events: ConnectionEvents): Promise<Connection> {
    const socket = connect(options)
    return new Promise((resolve, reject) => {
      let connection: Connection | null = null
      const welcomeWithinMs = Math.min(options.timeoutMs, options.livenessMs)
      const timer = setTimeout(() => fail(new Error(`no welcome within ${welcomeWithinMs} ms`)), welcomeWithinMs)
      const fail = (cause: Error): void => {
        clearTimeout(timer)
        reject(cause)
        if (connection === null) socket.terminate()
      }
      if (socket instanceof PollingSocket) socket.on('refused', (status) => fail(new ConnectionRefused(status)))
      else {
        socket.on('unexpected-response', (_request, response) => {
          response.resume()
          fail(new ConnectionRefused(response.statusCode ?? 0))
        })
      }
      socket.on('error', fail)
      socket.on('close', (code, reason) => {
        if (connection === null) return fail(new Error(`closed with ${code} ${reason.toString()} before the welcome`))
        connection.#open = false
        clearInterval(connection.#watch)
        events.closed(code, reason.toString())
      })
      socket.on('message', (data: RawData, isBinary) => {
        if (connection !== null) connection.#heardAt = performance.now()
        const message = isBinary ? null : parse(data)
        if (message === null) return events.violation('a frame that is no JSON message')
        // It is about this connection, which its client may not know yet.
        if (connection !== null && message.type === 'window') connection.windowBytes = message.windowBytes
        if (connection !== null || message.type !== 'welcome') return events.message(message)
        clearTimeout(timer)
        if (socket.protocol !== 'longtake.v1') events.violation(`the server chose subprotocol "${socket.protocol}"`)
        if (message.session !== options.session) events.violation(`welcome names session ${message.session}`)
        connection = new Connection(socket, message)
        connection.#watchLife(options.livenessMs)
        resolve(connection)
      })
    })
  }

  #watchLife(livenessMs: number): void {
    if (!Number.isFinite(livenessMs)) return
    this.#watch = setInterval(() => {
      if (performance.now() - this.#heardAt > livenessMs) this.terminate()
      else if (this.#socket.readyState === WebSocket.OPEN) this.sendJson({ type: 'ping', t: 0 })
    }, livenessMs / 4)
  }

  get isOpen(): boolean {
    return this.#open
  }

  bindHandle(handle: number, part: string): void {
    this.partOfHandle.set(handle, part)
    this.handleOfPart.set(part, handle)
  }

  sendJson(message: object): void {
    this.#socket.send(JSON.stringify(message))
  }

  sendRaw(data: Uint8Array | string): void {
    this.#socket.send(data)
  }

  sendChunk(part: string, seq: number, capturedAt: number, bytes: Uint8Array, sha256?: Uint8Array): void {
    const handle = this.handleOfPart.get(part)
    if (handle === undefined) throw new Error(`part ${part} is not open on this connection`)
    const flying = entry(this.#inFlight, part, () => new Map<number, number>())
    if (!flying.has(seq)) this.inFlightBytes += bytes.length
    flying.set(seq, bytes.length)
    entry(this.#everSent, part, () => new Set<number>()).add(seq)
    this.#socket.send(chunkMessage(handle, seq, capturedAt, bytes, sha256))
  }

  hasSent(part: string, seq: number): boolean {
    return this.#everSent.get(part)?.has(seq) ?? false
  }

  /** The chunk is no longer in flight. */
  settled(part: string, seq: number): void {
    const flying = this.#inFlight.get(part)
    const bytes = flying?.get(seq)
    if (flying === undefined || bytes === undefined) return
    flying.delete(seq)
    this.inFlightBytes -= bytes
  }

  close(code: number): void {
    this.#socket.close(code)
  }

  /** Ends the TCP connection without a word, as a crash does. */
  terminate(): void {
    this.#socket.terminate()
  }
}

function connect({ url, session, client, token, tokenAs, transport }: ConnectOptions): WebSocket | PollingSocket {
  if (transport === 'polling') return new PollingSocket(url.replace('ws', 'http'), { session, client, token })
  const address = `${url}/v1/ingest/${session}?client=${client}`
  if (tokenAs === 'header') return new WebSocket(address, ['longtake.v1'], { headers: { authorization: `Bearer ${token}` } })
  return new WebSocket(address, ['longtake.v1', `bearer.${token}`])
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make()
  map.set(key, found)
  return found
}

function parse(data: RawData): FromServer | null {
  try {
    const value: unknown = JSON.parse((data as Buffer).toString('utf8'))
    return typeof value === 'object' && value !== null && 'type' in value ? (value as FromServer) : null
  } catch {
    return null
  }
}
