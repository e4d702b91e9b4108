import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface StickyBalancer extends AsyncDisposable {
  readonly port: number
}

/**
 * A load balancer as HTTP polling needs it: all requests of a client go to one target, by a hash of the query's
 * `client`, and to another one only while that does not answer.
 */
export async function startStickyBalancer(targets: readonly number[]): Promise<StickyBalancer> {
  const server = createServer((request, response) => {
    forward(request, response, targets).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function forward(request: IncomingMessage, response: ServerResponse, targets: readonly number[]): Promise<void> {
  const { method, url: path = '', headers } = request
  const client = new URL(path, 'http://balancer').searchParams.get('client') ?? ''
  const first = Number.parseInt(hash('sha256', client, 'hex').slice(0, 8), 16) % targets.length
  const body = await buffer(request)
  let failure: unknown
  for (const port of [...targets.slice(first), ...targets.slice(0, first)]) {
    const forwarded = httpRequest({ host: '127.0.0.1', port, method, path, headers })
    const abort = (): void => void forwarded.destroy()
    response.once('close', abort)
    try {
      forwarded.end(body)
      const [answered] = (await once(forwarded, 'response')) as [IncomingMessage]
      const answer = await buffer(answered)
      response.writeHead(answered.statusCode ?? 502, answered.headers).end(answer)
      return
    } catch (error) {
      if (response.closed) return
      failure = error
    } finally {
      response.off('close', abort)
    }
  }
  throw failure
}
