import { randomUUID } from 'node:crypto'
import { CreateSessionRequest, CreateSessionResponse, DeletionReceipt, type Graces, LongtakeError, Manifest, PublicSession, SessionId, SessionList, withDefaultGraces } from '@longtake/contracts'
import { toPublicSession } from '@longtake/domain'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { AppDeps } from '../deps.ts'
import { toDeletion } from '../deletion.ts'
import { assertNotDeleted, knownSession, presentSession } from '../existing.ts'
import { problems } from '../problem.ts'
import { CURSOR_PATTERN, pageOf } from '../session-list.ts'

const Params = Type.Object({ id: SessionId })
const WatchQuery = Type.Object({ token: Type.Optional(Type.String()) })
const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
  after: Type.Optional(Type.String({ pattern: CURSOR_PATTERN, description: 'the `next` of the page before' })),
})
const admin = [{ apiKey: [] }]
const watch = [{ watchToken: [] }, { watchTokenInQuery: [] }, { apiKey: [] }]

/** Waits for Kafka and storage are shorter; this bounds what they add up to. */
const HANDLER_MS = 60_000

export const sessionRoutes: FastifyPluginAsyncTypebox<AppDeps> = async (app, { authority, sessions, announcer, tokens, spoolKey, recordings, addresses, deletionPolicy, now }) => {
  const access = async (session: string): Promise<CreateSessionResponse> => ({
    id: session,
    ingest: { url: addresses.ingest(session), token: await tokens.issue(session, 'ingest'), spoolKey: spoolKey(session) },
    watch: { url: addresses.watch(session), token: await tokens.issue(session, 'watch') },
  })

  app.addHook('onRoute', (route) => {
    route.handlerTimeout = HANDLER_MS
  })

  app.post(
    '/v1/sessions',
    {
      schema: {
        summary: 'Create a session, or get fresh tokens for one that exists',
        description: 'Of one that exists nothing is changed: neither its metadata nor how long it waits for a client that went away.',
        security: admin,
        body: CreateSessionRequest,
        response: { 200: CreateSessionResponse, 201: CreateSessionResponse, ...problems },
      },
    },
    async (request, reply) => {
      authority.requireAdmin(request)
      const graces = gracesOf(request.body)
      const session = request.body.id ?? randomUUID()
      const existing = request.body.id === undefined ? undefined : await sessions.find(session)
      if (existing !== undefined) {
        assertNotDeleted(existing)
        return access(session)
      }
      await announcer.event({ type: 'session-created', session, at: now().toISOString(), metadata: request.body.metadata ?? {}, ...graces })
      await sessions.until(session, () => true)
      return reply.code(201).header('location', `/v1/sessions/${session}`).send(await access(session))
    },
  )

  app.get(
    '/v1/sessions',
    {
      schema: {
        summary: 'List sessions, newest first',
        security: admin,
        querystring: ListQuery,
        response: { 200: SessionList, ...problems },
      },
    },
    async (request) => {
      authority.requireAdmin(request)
      const { limit = 50, after } = request.query
      return pageOf(sessions.all(), after === undefined ? { limit } : { limit, after })
    },
  )

  app.get(
    '/v1/sessions/:id',
    { schema: { summary: 'Status of a session', security: watch, params: Params, querystring: WatchQuery, response: { 200: PublicSession, ...problems } } },
    async (request, reply) => {
      const { id } = request.params
      await authority.requireWatch(request, id)
      void reply.header('cache-control', 'no-store')
      const state = await knownSession(sessions, id)
      const deletion = toDeletion(state, deletionPolicy)
      return { ...toPublicSession(state, addresses), ...(deletion === undefined ? {} : { deletion }) }
    },
  )

  app.post(
    '/v1/sessions/:id/finish',
    {
      schema: {
        summary: 'End a session whose person has vanished',
        description: 'Declares that the session is over with the parts known by now. It completes once no recorder is connected; what is missing is a gap, and late data is still merged.',
        security: admin,
        params: Params,
        response: { 202: Type.Object({ id: SessionId, status: PublicSession.properties.status }), ...problems },
      },
    },
    async (request, reply) => {
      authority.requireAdmin(request)
      const state = await presentSession(sessions, request.params.id)
      await announcer.declare({ type: 'session-finished', session: state.session, parts: null, at: now().toISOString() })
      return reply.code(202).send({ id: state.session, status: state.status })
    },
  )

  app.delete(
    '/v1/sessions/:id',
    {
      schema: {
        summary: 'Delete a session and all its recordings',
        description: 'What remains of it, where and until when is in `deletion` of its status; with `Prefer: return=representation` (RFC 7240) it is the answer.',
        security: admin,
        params: Params,
        response: { 200: DeletionReceipt, 204: Type.Null(), ...problems },
      },
    },
    async (request, reply) => {
      authority.requireAdmin(request)
      const known = await knownSession(sessions, request.params.id)
      const { session } = known
      if (known.status !== 'deleted') {
        const at = now().toISOString()
        // The stream first: once the event is out, a reader may rely on the bytes going away.
        await announcer.declare({ type: 'session-deleted', session, at })
        await announcer.event({ type: 'session-deleted', session, at })
        await sessions.until(session, (state) => state.status === 'deleted')
      }
      const deletion = toDeletion(sessions.get(session) ?? known, deletionPolicy)
      if (deletion === undefined || !prefersRepresentation(request.headers['prefer'])) return reply.code(204).send(null)
      return reply.header('preference-applied', 'return=representation').send({ id: session, ...deletion })
    },
  )

  app.get(
    '/v1/sessions/:id/manifest',
    {
      schema: {
        summary: 'Manifest of the newest finalized version',
        security: watch,
        params: Params,
        querystring: WatchQuery,
        response: { 200: Manifest, ...problems },
      },
    },
    async (request) => {
      const { id } = request.params
      await authority.requireWatch(request, id)
      const state = await presentSession(sessions, id)
      const manifest = state.manifest === null ? undefined : await recordings.manifest(state.manifest.blob)
      if (manifest === undefined) throw new LongtakeError('MANIFEST_NOT_FOUND', 'the session is not finalized yet')
      return manifest
    },
  )
}

/** Whether a Prefer header (RFC 7240 §4.2) asks for the representation of what was done. */
function prefersRepresentation(header: string | readonly string[] | undefined): boolean {
  return /(?:^|,)\s*return\s*=\s*"?representation"?\s*(?:[,;]|$)/i.test(String(header ?? ''))
}

/** What is named of them; throws `INVALID_REQUEST` where they contradict each other or a default. */
function gracesOf(body: Graces): { graces?: Graces } {
  const { interruptedAfterMs, abandonedAfterMs } = body
  const whole = withDefaultGraces(body)
  if (whole.abandonedAfterMs < whole.interruptedAfterMs) {
    throw new LongtakeError('INVALID_REQUEST', `a session cannot be abandoned after ${whole.abandonedAfterMs} ms and interrupted only after ${whole.interruptedAfterMs} ms`)
  }
  const graces = { ...(interruptedAfterMs === undefined ? {} : { interruptedAfterMs }), ...(abandonedAfterMs === undefined ? {} : { abandonedAfterMs }) }
  return Object.keys(graces).length === 0 ? {} : { graces }
}
