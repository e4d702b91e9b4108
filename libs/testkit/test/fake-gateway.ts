import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeChunkFrame, isWireFault, parseClientMessage } from '@longtake/contracts'
import { WebSocketServer, type WebSocket } from 'ws'

/** Just enough of a gateway to try the test client on; it can be told to misbehave. */
export interface FakeGateway extends AsyncDisposable {
  url: string
  /** Chunks received, as `part/seq`, in order, over all connections. */
  received: string[]
  declared: { type: string; part?: string }[]
  /** Acknowledge and declare durable; switch off to let things stay in flight. */
  answering: boolean
  /** Hears nothing and says nothing, with its sockets open. */
  deaf: boolean
  windowBytes: number
  /** Highest sum of unacknowledged bytes seen on a connection. */
  mostInFlight: number
  tokens: (string | undefined)[]
  say(message: object): void
  /** Acknowledges what was received on the present connection and not yet acknowledged. */
  ackAll(): void
  drop(code?: number): void
  badDigests: number
  /** Frames that the contracts' own decoders refuse. */
  malformed: string[]
}

export async function fakeGateway(): Promise<FakeGateway> {
  const server = new WebSocketServer({
    port: 0, host: '127.0.0.1',
    verifyClient: ({ req }: { req: IncomingMessage }) => req.headers.authorization !== 'Bearer wrong',
    handleProtocols: () => 'longtake.v1',
  })
  await new Promise((resolve) => server.once('listening', resolve))
  let live: WebSocket | null = null
  let unacknowledged: { handle: number; seq: number; bytes: number }[] = []
  const say = (message: object): void => live?.send(JSON.stringify(message))
  const gateway: FakeGateway = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [], declared: [], answering: true, deaf: false, windowBytes: 1000, mostInFlight: 0, tokens: [], badDigests: 0, malformed: [],
    say,
    ackAll() {
      for (const { handle, seq } of unacknowledged) say({ type: 'ack', handle, from: seq, to: seq })
      unacknowledged = []
    },
    drop(code) {
      if (code === undefined) live?.terminate()
      else live?.close(code)
    },
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.on('connection', (socket, request) => {
    live = socket
    unacknowledged = []
    const parts = new Map<number, string>()
    gateway.tokens.push(request.headers.authorization ?? request.headers['sec-websocket-protocol'])
    say({ type: 'welcome', session: 's1', serverTime: new Date().toISOString(), maxChunkBytes: 1 << 20, windowBytes: gateway.windowBytes, heartbeatMs: 10_000 })
    socket.on('message', (data: Buffer, isBinary) => {
      if (gateway.deaf) return
      const decoded = isBinary ? decodeChunkFrame(data) : parseClientMessage(data.toString())
      if (typeof decoded === 'string' || isWireFault(decoded)) gateway.malformed.push(JSON.stringify(decoded))
      if (isBinary) {
        const handle = data.readUInt8(1)
        const seq = data.readUInt32BE(4)
        gateway.received.push(`${parts.get(handle)}/${seq}`)
        if (!createHash('sha256').update(data.subarray(48)).digest().equals(data.subarray(16, 48))) gateway.badDigests += 1
        unacknowledged.push({ handle, seq, bytes: data.length - 48 })
        gateway.mostInFlight = Math.max(gateway.mostInFlight, unacknowledged.reduce((sum, chunk) => sum + chunk.bytes, 0))
        if (gateway.answering) setImmediate(() => gateway.ackAll())
        return
      }
      const message = JSON.parse(data.toString()) as { type: string; handle: number; track?: string; part?: string; t?: number }
      gateway.declared.push(message)
      if (message.type === 'open' && message.part !== undefined) parts.set(message.handle, message.part)
      if (message.type === 'ping') say({ type: 'pong', t: message.t })
      else if (gateway.answering && message.type !== 'report') say({ type: 'durable', of: message.type, track: message.track, part: message.part })
    })
  })
  return gateway
}
