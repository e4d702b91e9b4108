import type { IncomingMessage, ServerResponse } from 'node:http'
import { context, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api'
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from 'fastify'

const tracer = trace.getTracer('longtake.query')
const spans = new WeakMap<object, Span>()

/** A span for each request, named by its route: addresses may carry a token. Reads of storage become its children. */
export function traceRequests<L extends FastifyBaseLogger, T extends FastifyTypeProvider>(app: FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, L, T>): void {
  app.addHook('onRequest', (request, _, done) => {
    const route = request.routeOptions.url ?? 'unknown address'
    const span = tracer.startSpan(`${request.method} ${route}`, {
      kind: SpanKind.SERVER,
      attributes: { 'http.request.method': request.method, 'http.route': route },
    })
    spans.set(request, span)
    context.with(trace.setSpan(context.active(), span), done)
  })
  app.addHook('onResponse', async (request, reply) => {
    const span = spans.get(request)
    span?.setAttribute('http.response.status_code', reply.statusCode)
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR })
    span?.end()
  })
  // A client that went away gets no response; its span ends all the same.
  app.addHook('onRequestAbort', async (request) => spans.get(request)?.end())
}
