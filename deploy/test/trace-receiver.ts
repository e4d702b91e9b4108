import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

export interface ReceivedSpan {
  service: string
  name: string
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  attributes: Record<string, unknown>
}

interface OtlpTraces {
  resourceSpans?: {
    resource: { attributes: OtlpAttribute[] }
    scopeSpans: { spans: { name: string; traceId: string; spanId: string; parentSpanId?: string; attributes?: OtlpAttribute[] }[] }[]
  }[]
}
interface OtlpAttribute {
  key: string
  value: Record<string, unknown>
}

/** An OTLP/HTTP collector (JSON) that keeps the spans it gets. */
export async function startTraceReceiver(): Promise<{ endpoint: string; spans: ReceivedSpan[] } & AsyncDisposable> {
  const spans: ReceivedSpan[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const body = await json(request)
      if (request.url === '/v1/traces') spans.push(...read(body as OtlpTraces))
      response.setHeader('content-type', 'application/json').end('{}')
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function read({ resourceSpans = [] }: OtlpTraces): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(attributes(resource.attributes)['service.name'])
    return scopeSpans.flatMap((scope) =>
      scope.spans.map(({ name, traceId, spanId, parentSpanId, attributes: own = [] }) => ({
        service,
        name,
        traceId,
        spanId,
        parentSpanId: parentSpanId === '' ? undefined : parentSpanId,
        attributes: attributes(own),
      })),
    )
  })
}

function attributes(list: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]))
}
