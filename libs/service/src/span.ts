import { context, SpanStatusCode, trace, type Context, type Span } from '@opentelemetry/api'

/** Does the work as what the span tells of: spans begun within are its children, a rejection marks it, and it ends with the work. */
export function inSpan<T>(span: Span, work: () => Promise<T>, parent: Context = context.active()): Promise<T> {
  return context.with(trace.setSpan(parent, span), async () => {
    try {
      return await work()
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}
