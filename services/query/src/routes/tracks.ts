import { LongtakeError, SessionId, TrackName, type SessionState } from '@longtake/contracts'
import { filesOf } from '@longtake/domain'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { AppDeps } from '../deps.ts'
import { presentSession } from '../existing.ts'
import { problems } from '../problem.ts'
import { RenditionRequests } from '../rendition-requests.ts'
import { sendRecording, trackEtag } from '../send-recording.ts'

const Params = Type.Object({ id: SessionId, track: TrackName })
const FileQuery = Type.Object({
  token: Type.Optional(Type.String()),
  file: Type.Optional(Type.Integer({ minimum: 0, default: 0, description: 'which file of the track; nearly always there is one' })),
  v: Type.Optional(Type.String({ description: 'layout generation: a new address when media bytes moved; anything may follow it, for a new address when the recording has grown' })),
})
const binary = { schema: { type: 'string', format: 'binary' } }
const ranges = { 'multipart/byteranges': binary }
const media = { 'video/webm': binary, 'video/mp4': binary, 'video/x-matroska': binary, 'audio/webm': binary, 'audio/mp4': binary }

/** The answers of `sendRecording` with this content. */
const recorded = (content: Record<string, typeof binary>) => ({
  200: { description: 'All of it', content },
  206: { description: 'The requested range, or several as multipart/byteranges', content: { ...content, ...ranges } },
  304: { description: 'The client has it already' },
  ...problems,
})
const watch = [{ watchToken: [] }, { watchTokenInQuery: [] }, { apiKey: [] }]

export const trackRoutes: FastifyPluginAsyncTypebox<AppDeps> = async (app, { authority, sessions, recordings, announcer, now }) => {
  const requests = new RenditionRequests(announcer, now)

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/sessions/:id/tracks/:track',
    schema: {
      summary: 'The recording of a track, by Range; readable while it grows',
      description: 'A strong ETag names layout and commit of a recording that may be growing; all conditional headers of RFC 9110 apply.',
      security: watch,
      params: Params,
      querystring: FileQuery,
      response: recorded(media),
    },
    handler: async (request, reply) => {
      const { id, track } = request.params
      await authority.requireWatch(request, id)
      const { blob, mimeType } = playable(await presentSession(sessions, id), track, request.query.file ?? 0)
      const missing = () => new LongtakeError('TRACK_NOT_FOUND', 'nothing of this track is playable yet')
      return sendRecording(request, reply, recordings, { blob, mimeType, etag: trackEtag, missing })
    },
  })

  app.get(
    '/v1/sessions/:id/tracks/:track/poster',
    { schema: { summary: 'A picture of the track, made after it was finalized', security: watch, params: Params, querystring: FileQuery, response: recorded({ 'image/jpeg': binary }) } },
    async (request, reply) => {
      const { id, track } = request.params
      await authority.requireWatch(request, id)
      return sendRendition(request, reply, await presentSession(sessions, id), track, 'poster', 0)
    },
  )

  app.get(
    '/v1/sessions/:id/tracks/:track/mp4',
    {
      schema: {
        summary: 'The track as fast-start MP4, made on request',
        description:
          'Where there is none yet, the answer is 404 with `RENDITION_PENDING`: the first request has it made, once the session is ' +
          'finalized, and again of each later version. Until then the status lists it without `url` and `reason`.',
        security: watch,
        params: Params,
        querystring: FileQuery,
        response: recorded({ 'video/mp4': binary }),
      },
    },
    async (request, reply) => {
      const { id, track } = request.params
      const { file = 0 } = request.query
      await authority.requireWatch(request, id)
      const state = await presentSession(sessions, id)
      playable(state, track, file)
      if (newest(state, track, 'mp4', file) === undefined) {
        await requests.request(state, track, file)
        throw new LongtakeError('RENDITION_PENDING', `the MP4 of ${track} is made once the session is finalized`)
      }
      return sendRendition(request, reply, state, track, 'mp4', file)
    },
  )

  function sendRendition(request: FastifyRequest, reply: FastifyReply, state: SessionState, track: string, kind: 'poster' | 'mp4', file: number): Promise<FastifyReply> {
    const { blob, mimeType, version } = newestRendition(state, track, kind, file)
    return sendRecording(request, reply, recordings, {
      blob,
      mimeType,
      // A rendition's blob never changes; a later version has another blob at the same address.
      etag: () => `"v${version}"`,
      missing: () => new LongtakeError('RENDITION_NOT_FOUND', 'the rendition is gone'),
    })
  }
}

function playable(state: SessionState, track: string, number: number): { blob: string; mimeType: string } {
  const file = filesOf(state, track).find((candidate) => candidate.file === number)
  if (file === undefined) throw new LongtakeError('TRACK_NOT_FOUND', `the session has no file ${number} of a track ${track}`)
  return file
}

type Rendition = SessionState['renditions'][number]

function newest({ renditions }: SessionState, track: string, kind: 'poster' | 'mp4', file: number): Rendition | undefined {
  const all = renditions.filter((one) => one.track === track && one.kind === kind && (one.file ?? 0) === file)
  return all.toSorted((a, b) => a.version - b.version).at(-1)
}

function newestRendition(state: SessionState, track: string, kind: 'poster' | 'mp4', file: number): { blob: string; mimeType: string; version: number } {
  const found = newest(state, track, kind, file)
  if (found === undefined) throw new LongtakeError('RENDITION_NOT_FOUND', `no ${kind} of ${track} was made yet`)
  const { blob, mimeType, version, reason } = found
  if (blob === null || mimeType === null) {
    throw new LongtakeError('RENDITION_NOT_FOUND', `the ${kind} of ${track} could not be made: ${reason ?? 'unknown'}`)
  }
  return { blob, mimeType, version }
}
