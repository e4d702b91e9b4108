import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { LongtakeError } from '@longtake/contracts'
import Fastify, { LogController, type FastifyError } from 'fastify'
import type { AppDeps } from './deps.ts'
import { operationRoutes } from './routes/operations.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { trackRoutes } from './routes/tracks.ts'
import { sendProblem } from './problem.ts'
import { traceRequests } from './telemetry.ts'

/** The HTTP interface without a socket: tests use `inject`. */
export async function buildApp(deps: AppDeps) {
  const app = Fastify({
    loggerInstance: deps.logger,
    // URLs may carry a token: the one request log line below names path and status only.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    forceCloseConnections: true,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, useDefaults: true } },
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.setErrorHandler<FastifyError | LongtakeError>((error, request, reply) => sendProblem(error, request, reply))
  app.setNotFoundHandler((request, reply) => sendProblem(new LongtakeError('NOT_FOUND', 'there is nothing at this address'), request, reply))
  traceRequests(app)
  app.addHook('onResponse', async (request, reply) => {
    request.log.debug({ method: request.method, route: request.routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'answered')
  })

  await app.register(swagger, {
    openapi: {
      info: { title: 'Longtake', version: '1', description: 'Sessions, their status, and their recordings by HTTP Range.' },
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'the API key of the backend' },
          watchToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'a watch token of the session' },
          watchTokenInQuery: { type: 'apiKey', in: 'query', name: 'token', description: 'the same, for players that cannot set headers' },
        },
      },
      tags: [{ name: 'Sessions' }, { name: 'Recordings' }],
    },
    transform: ({ schema, url }) => ({ schema: { ...schema, tags: [url.includes('/tracks/') ? 'Recordings' : 'Sessions'] }, url }),
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: { title: 'Longtake · API', css: [{ filename: 'longtake.css', content: '.swagger-ui .topbar { display: none }' }] },
  })
  await app.register(sessionRoutes, deps)
  await app.register(trackRoutes, deps)
  await app.register(operationRoutes, deps)
  return app
}
