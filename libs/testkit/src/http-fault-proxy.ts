import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface SeenRequest {
  method: string
  /** Path and query as sent. */
  path: string
  headers: IncomingHttpHeaders
}

/** What happens to one request instead of being passed on and answered. */
export type HttpFault =
  /** The connection is closed; the server never sees the request. */
  | { kind: 'cut before' }
  /** The server does what it was asked; the connection is closed in place of its answer. */
  | { kind: 'cut answer' }
  /** After so many bytes of the answer's body the connection is closed, or falls silent. */
  | { kind: 'cut body' | 'stall body'; afterBytes: number }
  /** The server does what it was asked; no answer comes, until the client gives up. */
  | { kind: 'hold answer' }
  /** This answer, without asking the server, or after it has done what it was asked. */
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string; forwarded?: boolean }

export interface HttpFaultProxy extends AsyncDisposable {
  /** Origin to use in place of the target's. */
  readonly origin: string
  /** All requests that arrived, in order. */
  readonly requests: readonly SeenRequest[]
  /** How many of them are neither answered to the end nor given up by their client. */
  readonly open: number
  /** The next `times` (1) requests that match suffer the fault. Faults are tried in the order they were added. */
  inject(matches: (request: SeenRequest) => boolean, fault: HttpFault, times?: number): void
  /** Breaks all connections and refuses new ones, as a server that is down, until `accept`. */
  refuse(): Promise<void>
  accept(): Promise<void>
}

/** A proxy before an HTTP server that fails requests exactly as told and passes on all others. `target`: its origin. */
export async function startHttpFaultProxy(target: string): Promise<HttpFaultProxy> {
  const { hostname, port } = new URL(target)
  const agent = new Agent({ keepAlive: true })
  const requests: SeenRequest[] = []
  let open = 0
  const faults: { matches: (request: SeenRequest) => boolean; fault: HttpFault; left: number }[] = []

  const take = (seen: SeenRequest): HttpFault | undefined => {
    const entry = faults.find(({ matches, left }) => left > 0 && matches(seen))
    if (entry) entry.left--
    return entry?.fault
  }

  const forward = async (request: IncomingMessage, body: Buffer): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url: path, headers } = request
      httpRequest({ hostname, port, method, path, headers, agent }, resolve).on('error', reject).end(body)
    })

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const seen: SeenRequest = { method: request.method ?? '', path: request.url ?? '', headers: request.headers }
    requests.push(seen)
    open++
    response.once('close', () => open--)
    const fault = take(seen)
    const body = await buffer(request)
    switch (fault?.kind) {
      case undefined:
        return pass(await forward(request, body), response)
      case 'cut before':
        return void response.destroy()
      case 'cut answer':
        await buffer(await forward(request, body))
        return void response.destroy()
      case 'cut body':
      case 'stall body':
        return passSome(await forward(request, body), response, fault)
      case 'hold answer':
        return void (await buffer(await forward(request, body)))
      case 'answer':
        if (fault.forwarded) await buffer(await forward(request, body))
        return void response.writeHead(fault.status, fault.headers).end(fault.body)
      default:
        fault satisfies never
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))))
  })
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  await listen(0)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a TCP address')
  const ownPort = address.port
  return {
    origin: `http://127.0.0.1:${ownPort}`,
    requests,
    get open() {
      return open
    },
    inject: (matches, fault, times = 1) => void faults.push({ matches, fault, left: times }),
    refuse: close,
    accept: () => listen(ownPort),
    async [Symbol.asyncDispose]() {
      await close()
      agent.destroy()
    },
  }
}

function pass(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
  answer.pipe(response)
  answer.on('error', () => response.destroy())
}

async function passSome(answer: IncomingMessage, response: ServerResponse, fault: { kind: 'cut body' | 'stall body'; afterBytes: number }): Promise<void> {
  const body = await buffer(answer)
  response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
  response.write(body.subarray(0, fault.afterBytes), () => {
    if (fault.kind === 'cut body') response.destroy()
  })
}
