import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'

/** An HTTP request that is passed on. */
export interface PassedRequest {
  path: string
  body: Buffer
}

/** What becomes of WebSockets: they are refused, opened and cut at the first byte of a frame, or passed on. */
export type WebSocketPolicy = 'refuse' | 'cut' | 'pass'

/**
 * A proxy in front of a gateway as companies and antivirus programs have them: it blocks WebSockets, and passes a
 * request or an answer on once it has all of it.
 */
export class WebSocketBlocker implements AsyncDisposable {
  readonly #server: Server
  readonly #target: number
  readonly #sockets = new Set<Duplex>()
  #isCut = false
  policy: WebSocketPolicy = 'refuse'
  /** WebSockets that were asked for. */
  upgrades = 0
  onRequest: (request: PassedRequest) => void = () => undefined
  onAnswer: (request: PassedRequest, answer: Buffer) => void = () => undefined

  private constructor(server: Server, target: number) {
    this.#server = server
    this.#target = target
  }

  /** @param target port of this machine */
  static async to(target: number): Promise<WebSocketBlocker> {
    const server = createServer()
    const blocker = new WebSocketBlocker(server, target)
    server.on('connection', (socket: Socket) => blocker.#join(socket))
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      blocker.#pass(request, response).catch(() => response.destroy())
    })
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      blocker.#upgrade(request, socket, head),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return blocker
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** All connections break, and none can be made. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#isCut = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(socket: Duplex): void {
    if (this.#isCut) return void socket.destroy()
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url: path = '', headers } = request
    const body = await buffer(request)
    this.onRequest({ path, body })
    const forwarded = httpRequest({ host: '127.0.0.1', port: this.#target, method, path, headers })
    response.on('close', () => forwarded.destroy())
    forwarded.end(body)
    const [answered] = (await once(forwarded, 'response')) as [IncomingMessage]
    const answer = await buffer(answered)
    this.onAnswer({ path, body }, answer)
    response.writeHead(answered.statusCode ?? 502, answered.headers).end(answer)
  }

  #upgrade({ url, rawHeaders }: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.upgrades += 1
    if (this.policy === 'refuse')
      return void socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    const target = connect(this.#target, '127.0.0.1')
    this.#join(target)
    const lines = Array.from(
      { length: rawHeaders.length / 2 },
      (_, i) => `${rawHeaders[2 * i]}: ${rawHeaders[2 * i + 1]}`,
    )
    target.write(`GET ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    target.write(head)
    target.pipe(socket)
    if (this.policy === 'pass') socket.pipe(target)
    // The first frame from the client is its last.
    else socket.once('data', () => socket.destroy())
    socket.on('close', () => target.destroy())
    target.on('close', () => socket.destroy())
  }
}
