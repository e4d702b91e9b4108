import type { FastifyCorsOptions } from '@fastify/cors'
import type { FastifyHelmetOptions } from '@fastify/helmet'

export interface BrowserPolicy {
  /** Origins whose pages may call the API, as `https://exams.example.org`; none by default. */
  readonly corsOrigins: readonly string[]
  /** Origins that may show the pages in a frame; none by default. */
  readonly frameAncestors: readonly string[]
  /** Where the recording page connects to beside this service: the gateway. */
  readonly connectOrigins: readonly string[]
}

/** What a page of another origin may see of an answer beside the headers that CORS always exposes. */
const EXPOSED_HEADERS = ['accept-ranges', 'content-length', 'content-range', 'etag', 'last-modified', 'location', 'retry-after']

/**
 * Headers that limit what browsers do with the answers: a Content Security Policy without inline code, and framing by configuration.
 * Media may be embedded from any origin (`cross-origin-resource-policy`), as integrators play them in their own pages; the token in
 * the address is what protects them.
 */
export function helmetOptions({ frameAncestors, connectOrigins }: BrowserPolicy): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'data:', 'blob:'],
        mediaSrc: ["'self'", 'blob:'],
        connectSrc: ["'self'", ...connectOrigins],
        // The recorder keeps time in a worker made from a blob, since page timers are throttled in the background.
        workerSrc: ["'self'", 'blob:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: frameAncestors.length === 0 ? ["'none'"] : [...frameAncestors],
      },
    },
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    // The older header supports no list of origins, and browsers that support frame-ancestors ignore it.
    frameguard: frameAncestors.length === 0 ? { action: 'deny' } : false,
  }
}

export function corsOptions({ corsOrigins }: BrowserPolicy): FastifyCorsOptions {
  return {
    origin: corsOrigins.length === 0 ? false : [...corsOrigins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 3600,
  }
}
