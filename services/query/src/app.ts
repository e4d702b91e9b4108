import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { LongtakeError } from '@longtake/contracts'
import Fastify, { LogController, type FastifyError } from 'fastify'
import type { AppDeps } from './deps.ts'
import { watchMethods } from './method-not-allowed.ts'
import { refuseConnection, sendProblem } from './problem.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { trackRoutes } from './routes/tracks.ts'
import { corsOptions, helmetOptions } from './security.ts'
import { traceRequests } from './telemetry.ts'
import { compileValidator } from './validation.ts'

/** A request has this long to arrive whole, and its headers half of it. Answers may take hours: players read slowly. */
const REQUEST_MS = 30_000
/** Above the idle limits of usual load balancers (60 s), so that none reuses a connection that was just closed here. */
const KEEP_ALIVE_MS = 72_000
/** Longest path parameter that reaches validation, which names what is wrong with it. */
const MAX_PARAM_LENGTH = 256

/** The HTTP interface without a socket: tests use `inject`. */
export async function buildApp(deps: AppDeps) {
  const app = Fastify({
    loggerInstance: deps.logger,
    // URLs may carry a token: the one request log line below names path and status only.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    forceCloseConnections: true,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { headersTimeout: REQUEST_MS / 2, connectionsCheckingInterval: 5_000 },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Both happen before routing, where the error handler does not apply.
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    clientErrorHandler: refuseConnection,
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler<FastifyError | LongtakeError>((error, request, reply) => sendProblem(error, request, reply))
  app.setNotFoundHandler((request, reply) => sendProblem(new LongtakeError('NOT_FOUND', 'there is nothing at this address'), request, reply))
  traceRequests(app)
  await app.register(helmet, helmetOptions(deps.browserPolicy))
  await app.register(cors, corsOptions(deps.browserPolicy))
  const refuseOtherMethods = watchMethods(app)
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
    staticCSP: true,
    // The default layout has a top bar with an inline style, which the Content Security Policy rejects.
    uiConfig: { layout: 'BaseLayout' },
    theme: { title: 'Longtake · API' },
  })
  await app.register(sessionRoutes, deps)
  await app.register(trackRoutes, deps)
  app.get('/healthz', { schema: { hide: true } }, async () => ({ status: 'ok' }))
  refuseOtherMethods()
  return app
}
