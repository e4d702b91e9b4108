import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer, type RawData } from 'ws'
import type { PageSocket } from './browser-engine.ts'

type Frame = 'framesent' | 'framereceived'
type FrameListener = Parameters<PageSocket['on']>[1]

/**
 * Forwards WebSockets to a port of this machine and reports their frames, for browsers whose drivers do not (WebDriver
 * BiDi has no events for them). The connections of all pages pass here; a listener receives those that are opened after
 * it was added.
 */
export class FrameTap implements AsyncDisposable {
  readonly #server: Server
  readonly #target: number
  readonly #accepting = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  readonly #listeners = new Set<(socket: PageSocket) => void>()

  private constructor(server: Server, target: number) {
    this.#server = server
    this.#target = target
  }

  static async to(target: number): Promise<FrameTap> {
    const server = createServer((_, response) => response.writeHead(404).end())
    const tap = new FrameTap(server, target)
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => tap.#join(request, socket, head))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return tap
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** @returns a function that removes the listener */
  onSocket(listener: (socket: PageSocket) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#accepting.clients) client.terminate()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** The client's connection opens only after the one to the target: a client sees a target that cannot be reached. */
  #join(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Tests break these connections on purpose; 'close' follows and is forwarded.
    socket.on('error', () => undefined)
    const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '')
    const { origin } = request.headers
    const server = new WebSocket(`ws://127.0.0.1:${this.#target}${request.url}`, protocols, { perMessageDeflate: false, ...(origin === undefined ? {} : { origin }) })
    const early: [RawData, boolean][] = []
    const keep = (data: RawData, isBinary: boolean): void => void early.push([data, isBinary])
    server.on('message', keep)
    server.on('error', () => socket.destroy())
    server.on('unexpected-response', (_, { statusCode }) => socket.end(`HTTP/1.1 ${statusCode} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`))
    server.once('open', () => {
      this.#accepting.handleUpgrade(request, socket, head, (client) => {
        const seen = this.#show()
        server.off('message', keep)
        carry(client, server, (payload) => seen('framesent', payload))
        carry(server, client, (payload) => seen('framereceived', payload))
        for (const [data, isBinary] of early) server.emit('message', data, isBinary)
      })
    })
  }

  #show(): (event: Frame, payload: string | Buffer) => void {
    const heard: { event: Frame; listener: FrameListener }[] = []
    const socket: PageSocket = { on: (event, listener) => heard.push({ event, listener }) }
    for (const listener of this.#listeners) listener(socket)
    return (event, payload) => {
      for (const one of heard) if (one.event === event) one.listener({ payload })
    }
  }
}

function carry(from: WebSocket, to: WebSocket, seen: (payload: string | Buffer) => void): void {
  from.on('error', () => undefined)
  from.on('message', (data: Buffer, isBinary: boolean) => {
    const payload = isBinary ? data : data.toString()
    seen(payload)
    if (to.readyState === WebSocket.OPEN) to.send(payload)
  })
  // 1005 and 1006 stand for an end without a close frame and may not be sent (RFC 6455, section 7.4.1).
  from.on('close', (code, reason) => (code === 1005 || code === 1006 ? to.terminate() : to.close(code, reason)))
}
