import { Type, type Static } from 'typebox'
import { ClientId, Instant, PartId, Seq, SessionId, TrackName } from './ids.ts'
import { LOST_CAUSES } from './protocol.ts'
import { shape } from './schema.ts'
import { FinishScope, TrackParts } from './wire.ts'

/**
 * What clients and backends declare, as JSON records of `recordings.chunks` beside the chunks themselves, so that
 * whoever reads the data reads them too. They are valid in any order relative to chunks and to each other.
 */
export const Declarations = {
  'part-opened': Type.Object({
    type: Type.Literal('part-opened'),
    session: SessionId,
    track: TrackName,
    part: PartId,
    client: ClientId,
    mimeType: Type.String(),
    startedAt: Instant,
    at: Instant,
  }),
  /**
   * The part has exactly the chunks 0 … chunks-1. `clean: false`: that many are known, its tail is not proven. Of
   * several the one with most chunks counts.
   */
  'part-closed': Type.Object({
    type: Type.Literal('part-closed'),
    session: SessionId,
    track: TrackName,
    part: PartId,
    chunks: Type.Integer({ minimum: 0, maximum: 0xffff_ffff }),
    clean: Type.Boolean(),
    at: Instant,
  }),
  'chunks-lost': Type.Object({
    type: Type.Literal('chunks-lost'),
    session: SessionId,
    track: TrackName,
    part: PartId,
    from: Seq,
    to: Seq,
    cause: Type.Enum(LOST_CAUSES),
    at: Instant,
  }),
  /** `parts: null`: a backend ended the session without knowing its parts; all that are known count. */
  'session-finished': Type.Object({
    type: Type.Literal('session-finished'),
    session: SessionId,
    parts: Type.Union([TrackParts, Type.Null()]),
    scope: Type.Optional(FinishScope),
    at: Instant,
  }),
  /** A client's last connection ended: commit what it left, so that a silent stream pins no offset. */
  'client-left': Type.Object({ type: Type.Literal('client-left'), session: SessionId, client: ClientId, at: Instant }),
  'session-deleted': Type.Object({ type: Type.Literal('session-deleted'), session: SessionId, at: Instant }),
} as const

export type DeclarationType = keyof typeof Declarations
export type DeclarationOf<T extends DeclarationType> = Static<(typeof Declarations)[T]>
export type Declaration = { [T in DeclarationType]: DeclarationOf<T> }[DeclarationType]

export const DeclarationShapes = {
  'part-opened': shape('part-opened', Declarations['part-opened']),
  'part-closed': shape('part-closed', Declarations['part-closed']),
  'chunks-lost': shape('chunks-lost', Declarations['chunks-lost']),
  'session-finished': shape('session-finished', Declarations['session-finished']),
  'client-left': shape('client-left', Declarations['client-left']),
  'session-deleted': shape('session-deleted', Declarations['session-deleted']),
} as const
