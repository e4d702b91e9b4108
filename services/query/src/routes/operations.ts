import { METRICS_CONTENT_TYPE } from '@longtake/service'
import type { FastifyPluginAsync } from 'fastify'
import type { AppDeps } from '../deps.ts'

const hidden = { schema: { hide: true } }

/** For probes and scrapers. */
export const operationRoutes: FastifyPluginAsync<AppDeps> = async (app, { readiness, metrics }) => {
  app.get('/healthz', hidden, async () => ({ status: 'ok' }))
  app.get('/readyz', hidden, async (_, reply) => {
    const current = readiness()
    return reply.code(current.ready ? 200 : 503).send(current)
  })
  app.get('/metrics', hidden, async (_, reply) => reply.type(METRICS_CONTENT_TYPE).send(await metrics()))
}
