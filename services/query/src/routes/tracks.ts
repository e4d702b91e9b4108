import { Readable } from 'node:stream'
import { LongtakeError, Problem, SessionId, TrackName, type SessionState } from '@longtake/contracts'
import { filesOf } from '@longtake/domain'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { AppDeps } from '../deps.ts'
import { presentSession } from '../existing.ts'
import type { RecordingProperties } from '../ports.ts'
import { etagOf, ifRangeHolds, planRange } from '../range.ts'
import { streamTrack } from '../track-stream.ts'

const Params = Type.Object({ id: SessionId, track: TrackName })
const FileQuery = Type.Object({
  token: Type.Optional(Type.String()),
  file: Type.Integer({ minimum: 0, default: 0, description: 'which file of the track; nearly always there is one' }),
  v: Type.Optional(Type.String({ description: 'layout generation: a new address when media bytes moved; anything may follow it, for a new address when the recording has grown' })),
})
const watch = [{ watchToken: [] }, { watchTokenInQuery: [] }, { apiKey: [] }]

export const trackRoutes: FastifyPluginAsyncTypebox<AppDeps> = async (app, { authority, sessions, recordings }) => {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/sessions/:id/tracks/:track',
    schema: {
      summary: 'The recording of a track, by Range; readable while it grows',
      description: 'Answers 200, 206 or 416. A strong ETag names layout and commit; If-Range goes on as long as the asked bytes are the same.',
      security: watch,
      params: Params,
      querystring: FileQuery,
      produces: ['video/webm', 'video/mp4', 'video/x-matroska'],
      response: { '4xx': Problem, '5xx': Problem },
    },
    handler: async (request, reply) => {
      const { id, track } = request.params
      await authority.requireWatch(request, id)
      const file = playable(await presentSession(sessions, id), track, request.query.file)
      const properties = await recordings.properties(file.blob)
      if (properties === undefined || properties.bytes === 0) throw new LongtakeError('TRACK_NOT_FOUND', 'nothing of this track is playable yet')
      return sendRange(request, reply, file, properties)
    },
  })

  app.get(
    '/v1/sessions/:id/tracks/:track/poster',
    { schema: { summary: 'A picture of the track, made after it was finalized', security: watch, params: Params, querystring: FileQuery, response: { '4xx': Problem, '5xx': Problem } } },
    async (request, reply) => {
      const { id, track } = request.params
      await authority.requireWatch(request, id)
      return sendRendition(reply, await presentSession(sessions, id), track, 'poster')
    },
  )

  app.get(
    '/v1/sessions/:id/tracks/:track/mp4',
    { schema: { summary: 'The track as fast-start MP4, where one was made', security: watch, params: Params, querystring: FileQuery, response: { '4xx': Problem, '5xx': Problem } } },
    async (request, reply) => {
      const { id, track } = request.params
      await authority.requireWatch(request, id)
      const rendition = newestRendition(await presentSession(sessions, id), track, 'mp4', request.query.file)
      const properties = await recordings.properties(rendition.blob)
      if (properties === undefined) throw new LongtakeError('RENDITION_NOT_FOUND', 'the rendition is gone')
      return sendRange(request, reply, { blob: rendition.blob, mimeType: rendition.mimeType }, properties)
    },
  )

  function sendRange(
    request: FastifyRequest,
    reply: FastifyReply,
    file: { blob: string; mimeType: string },
    properties: RecordingProperties,
  ): FastifyReply {
    const { bytes: total, generation, headerBytes, lastModified } = properties
    const etag = etagOf(properties)
    void reply
      .header('accept-ranges', 'bytes')
      .header('etag', etag)
      .header('last-modified', lastModified.toUTCString())
      // Revalidated each time, since a recording grows; private, since a token was needed.
      .header('cache-control', 'private, no-cache')
      .type(file.mimeType)
    if (request.headers['if-none-match']?.split(',').some((tag) => tag.trim() === etag)) return reply.code(304).send()
    let plan = planRange(request.headers.range, total)
    if (plan.kind === 'part' && !ifRangeHolds(request.headers['if-range']?.toString(), properties, plan.start, headerBytes)) plan = { kind: 'whole' }
    if (plan.kind === 'unsatisfiable') {
      void reply.header('content-range', `bytes */${total}`)
      throw new LongtakeError('RANGE_NOT_SATISFIABLE', `the recording has ${total} bytes now`)
    }
    const { start, end } = plan.kind === 'part' ? plan : { start: 0, end: total - 1 }
    if (plan.kind === 'part') void reply.code(206).header('content-range', `bytes ${start}-${end}/${total}`)
    void reply.header('content-length', end - start + 1)
    if (request.method === 'HEAD') return reply.send()
    const stream = streamTrack((offset, count, signal) => recordings.readPiece(file.blob, offset, count, signal), { start, end, generation })
    stream.on('error', (error) => request.log.info({ error }, 'a track response ended early'))
    return reply.send(stream)
  }

  async function sendRendition(reply: FastifyReply, state: SessionState, track: string, kind: 'poster' | 'mp4'): Promise<FastifyReply> {
    const rendition = newestRendition(state, track, kind, 0)
    const abort = new AbortController()
    const opened = await recordings.open(rendition.blob, abort.signal)
    if (opened === undefined) throw new LongtakeError('RENDITION_NOT_FOUND', 'the rendition is gone')
    const stream = Readable.from(opened.content, { objectMode: false })
    stream.once('close', () => abort.abort())
    return reply.type(rendition.mimeType).header('content-length', opened.bytes).header('cache-control', 'private, no-cache').send(stream)
  }
}

function playable(state: SessionState, track: string, number: number): { blob: string; mimeType: string } {
  const file = filesOf(state, track).find((candidate) => candidate.file === number)
  if (file === undefined) throw new LongtakeError('TRACK_NOT_FOUND', `the session has no file ${number} of a track ${track}`)
  return file
}

function newestRendition(state: SessionState, track: string, kind: 'poster' | 'mp4', file: number): { blob: string; mimeType: string } {
  const all = state.renditions.filter((rendition) => rendition.track === track && rendition.kind === kind && (rendition.file ?? 0) === file)
  const newest = all.reduce<(typeof all)[number] | undefined>((best, next) => (best === undefined || next.version > best.version ? next : best), undefined)
  if (newest === undefined) throw new LongtakeError('RENDITION_NOT_FOUND', `no ${kind} of ${track} was made yet`)
  if (newest.blob === null || newest.mimeType === null) throw new LongtakeError('RENDITION_NOT_FOUND', `the ${kind} of ${track} could not be made: ${newest.reason ?? 'unknown'}`)
  return { blob: newest.blob, mimeType: newest.mimeType }
}
