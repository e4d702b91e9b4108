import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

export interface HeaderProxy extends AsyncDisposable {
  /** Use it in place of the target's. */
  readonly origin: string
}

/**
 * A loopback server that answers as `target` does, with these headers in place of the target's. Unlike an answer that is
 * intercepted in the browser, its pages may reach other loopback servers (Private Network Access, Chromium from 142 on).
 */
export async function startHeaderProxy(target: string, headers: Readonly<Record<string, string>>): Promise<HeaderProxy> {
  const { hostname, port } = new URL(target)
  const server = createServer((request, response) => {
    const { method, url: path } = request
    const forwarded = httpRequest({ hostname, port, method, path, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...headers })
      pipeline(answer, response).catch(() => response.destroy())
    })
    pipeline(request, forwarded).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
