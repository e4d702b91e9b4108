import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { LongtakeError } from '@longtake/contracts'
import type { FastifyPluginAsync } from 'fastify'

/** Built by `services/query/pages/build.ts`; the recorder in it is the library's own bundle. */
const BUILT_PAGES = fileURLToPath(new URL('../../dist/pages', import.meta.url))

const hidden = { schema: { hide: true } }

/** Two plain pages. They hold no secrets: the key or token comes in the address's fragment, which is never sent. */
export const pageRoutes: FastifyPluginAsync = async (app) => {
  if (!existsSync(BUILT_PAGES)) throw new LongtakeError('INVALID_CONFIG', `the pages are not built: run node services/query/pages/build.ts (${BUILT_PAGES})`)
  await app.register(fastifyStatic, { root: BUILT_PAGES, prefix: '/pages/', index: false, decorateReply: true })
  app.get('/', hidden, async (_, reply) => reply.redirect('/record'))
  // Browsers ask for it with every page that names no icon of its own, as /docs.
  app.get('/favicon.ico', hidden, async (_, reply) => reply.sendFile('favicon.svg'))
  app.get('/record', hidden, async (_, reply) => reply.sendFile('record.html'))
  app.get('/watch/:session', hidden, async (_, reply) => reply.sendFile('watch.html'))
}
