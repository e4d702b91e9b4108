import { LongtakeError } from '@longtake/contracts'
import type { App } from './deps.ts'

/**
 * Answers 405 with `Allow` (RFC 9110 §15.5.6) where an address exists and the method does not. Returns the function that adds those
 * answers: call it once all routes of the interface are registered.
 */
export function watchMethods(app: App): () => void {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    if (!url.startsWith('/v1/')) return
    const known = methods.get(url) ?? new Set()
    for (const name of [method].flat()) known.add(name)
    methods.set(url, known)
  })
  return () => {
    for (const [url, known] of methods) {
      const allow = [...known].toSorted().join(', ')
      app.route({
        method: app.supportedMethods.filter((name) => !known.has(name)),
        url,
        schema: { hide: true },
        // Before the body is looked at: some methods demand one.
        onRequest: async (request, reply) => {
          void reply.header('allow', allow)
          throw new LongtakeError('METHOD_NOT_ALLOWED', `${request.method} is not defined here; use ${allow}`)
        },
        handler: async () => undefined,
      })
    }
  }
}
