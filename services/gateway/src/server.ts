import { ERROR_CODES, FRAME_HEADER_BYTES, type WireErrorCode } from '@longtake/contracts'
import type { Logger, Tokens } from '@longtake/service'
import type { HttpRequest, HttpResponse, us_listen_socket, us_socket_context_t, WebSocket } from 'uWebSockets.js'
import type { Gateway } from './gateway.ts'
import type { Limits } from './limits.ts'
import type { LiveConnection, Socket } from './live-connection.ts'
import { routePolling } from './polling-routes.ts'
import { Polling } from './polling.ts'
import { judgeUpgrade, type Identity, type Judgement } from './upgrade.ts'
import { uws } from './uws.ts'

interface UserData {
  identity: Identity
  live?: LiveConnection
}

export interface Server {
  readonly port: number
  /** Takes no new connections; those that exist go on. */
  stopListening(): void
  /** Drops whatever is still connected. */
  close(): void
}

export interface ServerOptions {
  host: string
  /** 0: a free one. */
  port: number
  gateway: Gateway
  tokens: Tokens
  limits: Limits
  logger: Logger
}

/** A frame up to this many times too large is still read, to be answered with 4413; beyond it the socket just breaks. */
const TOLERATED_EXCESS = 4

/** uWebSockets.js looks only so often, and may be that much early. */
const IDLE_GRANULARITY_S = 4

/** Listens for WebSockets and HTTP polling; rejects when the port is taken. */
export function startServer({ host, port, gateway, tokens, limits, logger }: ServerOptions): Promise<Server> {
  const maxFrameBytes = limits.maxChunkBytes + FRAME_HEADER_BYTES
  const app = uws.App()
  app.ws<UserData>('/v1/ingest/:session', {
    compression: uws.DISABLED,
    maxPayloadLength: TOLERATED_EXCESS * maxFrameBytes,
    maxBackpressure: limits.maxUnreadBytes,
    closeOnBackpressureLimit: true,
    // Any byte from the client counts, so that one large frame over a slow line is no silence.
    idleTimeout: Math.ceil(limits.silenceMs / 1000) + IDLE_GRANULARITY_S,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => {
      upgrade({ response, request, context, tokens }).catch((error: unknown) => logger.error({ error }, 'a request to connect could not be judged'))
    },
    open(ws) {
      const data = ws.getUserData()
      const refusal = gateway.refusal()
      if (refusal === undefined) data.live = gateway.connect(socketOf(ws), data.identity)
      else {
        gateway.refused(data.identity, refusal)
        refuse(ws, refusal)
      }
    },
    message(ws, message, isBinary) {
      const { live } = ws.getUserData()
      const frame = new Uint8Array(message)
      if (frame.length > maxFrameBytes) live?.receiveTooLarge(frame.length)
      else if (isBinary) live?.receiveBinary(frame)
      else live?.receiveText(frame)
    },
    close: (ws, code, closeText) => ws.getUserData().live?.gone(code, Buffer.from(closeText).toString()),
  })
  const polling = new Polling(gateway, limits)
  routePolling(app, { polling, tokens, logger })
  app.any('/*', (response) => {
    response.writeStatus('404 Not Found').end('recordings are sent to /v1/ingest/{session}?client={uuid} by WebSocket, or by HTTP polling\n')
  })
  return new Promise((resolve, reject) => {
    const listening = (socket: us_listen_socket | false): void => {
      if (socket === false) polling[Symbol.dispose]()
      if (socket === false) return reject(new Error(`cannot listen on ${host}:${port}: the port is taken, or the address is not of this machine`))
      resolve({
        port: uws.us_socket_local_port(socket),
        stopListening: () => uws.us_listen_socket_close(socket),
        close: () => {
          polling[Symbol.dispose]()
          app.close()
        },
      })
    }
    // The typings know no options beside a host, the library does. Without them two processes share a port in silence.
    const listen = app.listen.bind(app) as unknown as (host: string, port: number, options: number, done: typeof listening) => void
    listen(host, port, EXCLUSIVE_PORT, listening)
  })
}

const EXCLUSIVE_PORT = 1

async function upgrade(arrived: { response: HttpResponse; request: HttpRequest; context: us_socket_context_t; tokens: Tokens }): Promise<void> {
  const { response, request, context, tokens } = arrived
  let aborted = false
  response.onAborted(() => (aborted = true))
  // All of the request must be read now: it is gone after the first await.
  const key = request.getHeader('sec-websocket-key')
  const extensions = request.getHeader('sec-websocket-extensions')
  const wanted = {
    session: request.getParameter(0),
    client: request.getQuery('client'),
    authorization: request.getHeader('authorization'),
    subprotocols: request.getHeader('sec-websocket-protocol'),
  }
  const judgement: Judgement = await judgeUpgrade(wanted, tokens, Date.now())
  if (aborted) return
  response.cork(() => {
    if ('identity' in judgement) return response.upgrade<UserData>({ identity: judgement.identity }, key, judgement.subprotocol, extensions, context)
    const { status, code, message } = judgement
    response.writeStatus(status === 401 ? '401 Unauthorized' : '400 Bad Request')
    if (status === 401) response.writeHeader('www-authenticate', 'Bearer')
    response.writeHeader('content-type', 'application/json').end(JSON.stringify({ code, message }))
  })
}

/** Only after the upgrade, because browsers cannot see why one failed. */
function refuse(ws: WebSocket<UserData>, code: WireErrorCode): void {
  const { means, close } = ERROR_CODES[code]
  ws.send(JSON.stringify({ type: 'error', code, message: means }))
  ws.end(close, code)
}

function socketOf(ws: WebSocket<UserData>): Socket {
  return {
    transport: 'websocket',
    send: (text) => ws.send(text) !== DROPPED,
    ping: () => void ws.ping(),
    end: (code, reason) => ws.end(code, reason),
    terminate: () => ws.close(),
    batch: (work) => void ws.cork(work),
  }
}

/** What uWebSockets.js returns for a message that would exceed `maxBackpressure`. */
const DROPPED = 2
