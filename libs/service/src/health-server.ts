import { createServer, type ServerResponse } from 'node:http'
import type { Health } from './health.ts'

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Serves `/healthz` (200 while the process answers), `/readyz` (200 or 503, with every check and its reason) and
 * `/metrics` (Prometheus text). Port 0 takes a free one; `port` is the one it got.
 */
export async function startHealthServer(options: {
  host: string
  port: number
  health: Health
  metrics: () => Promise<string>
}): Promise<AsyncDisposable & { readonly port: number }> {
  const { host, health, metrics } = options
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405, { allow: 'GET, HEAD' }).end()
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return sendJson(response, 200, { status: 'ok' })
      case '/readyz': {
        const readiness = health.readiness()
        return sendJson(response, readiness.ready ? 200 : 503, readiness)
      }
      case '/metrics':
        return void metrics().then(
          (body) => response.writeHead(200, { 'content-type': METRICS_CONTENT_TYPE }).end(body),
          (error: unknown) => sendJson(response, 500, { error: String(error) }),
        )
      default:
        return sendJson(response, 404, { error: 'here are /healthz, /readyz and /metrics' })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, host, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a TCP address')
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}
