import { Type, type Static } from 'typebox'
import { PartState, UnrecordedTime } from './events.ts'
import { Graces } from './graces.ts'
import { Instant, PartId, Seq, SessionId, TrackName } from './ids.ts'
import { GAP_KINDS, SessionStatus } from './status.ts'

const Count = Type.Integer({ minimum: 0 })
const Ms = Type.Number()
const NullableMs = Type.Union([Ms, Type.Null()])
const NullableInstant = Type.Union([Instant, Type.Null()])
const Access = Type.Object({ url: Type.String(), token: Type.String() })

/** `POST /v1/sessions` */
export const CreateSessionRequest = Type.Object({
  id: Type.Optional(SessionId),
  metadata: Type.Optional(Type.Record(Type.String({ maxLength: 200 }), Type.Unknown())),
  ...Graces.properties,
})
export const CreateSessionResponse = Type.Object({
  id: SessionId,
  ingest: Type.Object({
    ...Access.properties,
    spoolKey: Type.String({ description: 'encrypts what a browser keeps of this session until it is sent; 32 bytes, base64url, the same every time', pattern: '^[A-Za-z0-9_-]{43}$' }),
  }),
  watch: Access,
})
export type CreateSessionResponse = Static<typeof CreateSessionResponse>

export const PublicGap = Type.Object({
  from: Seq,
  to: Seq,
  startMs: NullableMs,
  endMs: NullableMs,
  kind: Type.Enum(GAP_KINDS),
  state: Type.Union([Type.Literal('open'), Type.Literal('confirmed')]),
  cause: Type.Union([Type.String(), Type.Null()], {
    description:
      'null while it is not known; as the client declared (quota, store-failed, spool-cleared, corrupt, crash, too-large, already-acknowledged) or reported (slept, device-lost, …); ended or abandoned: nobody is waited for any more; unwritable: parked, a replay brings it; of the content itself broken-content, no-keyframe, time-backwards, other-recording, truncated, no-init-segment, no-media, decoder-errors (a decoder does not show it; its chunks are estimated from its times); of its stored file file-missing, file-changed, file-unavailable, unreadable, wrong-span, wrong-frames, wrong-index; between-parts; media-missing or sound-missing where nothing was reported; or the error code of a part that is no recording',
  }),
  unrecorded: Type.Optional(UnrecordedTime),
})

/** What of a deleted session remains, where, and until when at the latest. */
export const Deletion = Type.Object({
  deletedAt: Instant,
  erasedAt: Type.Union([Instant, Type.Null()], { description: 'since when no blob of it is left; null while some are, as under a legal hold' }),
  remains: Type.Array(
    Type.Object({
      where: Type.String({ description: 'a topic, or storage' }),
      what: Type.String(),
      until: Type.Union([Instant, Type.Null()], { description: 'at the latest; null where it depends on what `what` names' }),
    }),
  ),
})
export type Deletion = Static<typeof Deletion>

/** `DELETE /v1/sessions/{id}` with `Prefer: return=representation` */
export const DeletionReceipt = Type.Object({ id: SessionId, ...Deletion.properties })

/** `GET /v1/sessions/{id}` */
export const PublicSession = Type.Object({
  id: SessionId,
  status: SessionStatus,
  version: Count,
  finalizedVersion: Count,
  startedAt: NullableInstant,
  endedAt: NullableInstant,
  metadata: Type.Record(Type.String(), Type.Unknown()),
  deletion: Type.Optional(Deletion),
  interruptedAfterMs: Type.Integer({ description: 'without a client for so long it is interrupted' }),
  abandonedAfterMs: Type.Integer({ description: 'without a client for so long it is abandoned: published as it is' }),
  tracks: Type.Record(
    TrackName,
    Type.Object({
      url: Type.Union([Type.String(), Type.Null()], { description: 'of the first file; null while nothing is playable' }),
      files: Type.Array(
        Type.Object({
          url: Type.String(),
          mimeType: Type.String(),
          bytes: Count,
          durationMs: Ms,
          startOffsetMs: Ms,
          repeated: Type.Optional(
            Type.Array(Type.Object({ startMs: Ms, endMs: Ms }), { description: 'media times of this file that an earlier file shows, too: players skip them; decoders need them for what follows' }),
          ),
        }),
      ),
      durationMs: Ms,
      bytes: Count,
      startOffsetMs: Ms,
      timeline: Type.Array(Type.Object({ mediaMs: Ms, offsetMs: Ms })),
      parts: Type.Array(
        Type.Object({
          part: PartId,
          startedAt: NullableInstant,
          /** Declared by `close`; null while it is open. */
          chunks: Type.Union([Count, Type.Null()]),
          /** How many chunks are stored. */
          stored: Count,
          closed: Type.Boolean(),
          clean: Type.Boolean(),
          rejected: PartState.properties.rejected,
          gaps: Type.Array(PublicGap),
        }),
      ),
      renditions: Type.Array(
        Type.Object({
          kind: Type.String(),
          file: Type.Optional(Type.Integer({ minimum: 0, description: 'which file of the track it is of, where that is not 0 and no `url` names it' })),
          version: Count,
          url: Type.Union([Type.String(), Type.Null()], { description: 'null while it is pending, or where it could not be made' }),
          reason: Type.Union([Type.String(), Type.Null()], { description: 'why it could not be made; null while it is pending' }),
        }),
      ),
    }),
  ),
})
export type PublicSession = Static<typeof PublicSession>

export const SessionList = Type.Object({
  sessions: Type.Array(
    Type.Object({ id: SessionId, status: SessionStatus, version: Count, startedAt: NullableInstant, endedAt: NullableInstant, tracks: Type.Array(TrackName) }),
  ),
  next: Type.Union([Type.String(), Type.Null()], { description: 'cursor of the next page' }),
})
export type SessionList = Static<typeof SessionList>

/** RFC 9457, with Longtake's closed `code`. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.Optional(Type.String()),
})
export type Problem = Static<typeof Problem>

export const TOKEN_SCOPES = ['ingest', 'watch'] as const
export type TokenScope = (typeof TOKEN_SCOPES)[number]
/** Claims of Longtake's tokens: `sub` is the session, `exp` seconds since the epoch (RFC 7519). */
export const TokenClaims = Type.Object({ sub: SessionId, scope: Type.Enum(TOKEN_SCOPES), exp: Type.Integer() })
export type TokenClaims = Static<typeof TokenClaims>
