import { Type, type Static } from 'typebox'
import { Events, FileFault, PartState, UnrecordedTime } from './events.ts'
import { Graces } from './graces.ts'
import { ClientId, Instant, Offset, PartId, ReportId, Seq, SessionId, TrackName } from './ids.ts'
import { decodeJson, encodeJson } from './json.ts'
import type { EncodedRecord, RecordFault } from './records.ts'
import { shape } from './schema.ts'
import { FinishScope, TrackParts } from './wire.ts'

export const SESSION_STATUSES = ['waiting', 'recording', 'interrupted', 'complete', 'complete-with-gaps', 'abandoned', 'deleted'] as const
export const SessionStatus = Type.Enum(SESSION_STATUSES)
export type SessionStatus = Static<typeof SessionStatus>

const { bytes, durationMs, file, blob, mimeType, startedAt, commit, generation, blocks, codecs, parts, at } =
  Events['blocks-committed'].properties
const NullableInstant = Type.Union([Instant, Type.Null()])
const Count = Type.Integer({ minimum: 0 })

/** One file of a track as of its newest commit. */
export const FileState = Type.Object({
  file, blob, mimeType, bytes, durationMs, startedAt, commit, generation, blocks, codecs, parts, at,
  /**
   * What finalizer found in it, in this commit or an earlier one; without faults where it was sound. Absent where it
   * was not read.
   */
  verification: Type.Optional(Type.Object({ commit, faults: Type.Array(FileFault) })),
})
export type FileState = Static<typeof FileState>

/** not-recorded: media time in which nothing was recorded although the session ran, e.g. between two parts. */
export const GAP_KINDS = ['lost', 'undecodable', 'not-recorded'] as const
export const GapState = Type.Object({
  track: TrackName,
  part: PartId,
  from: Seq,
  to: Seq,
  startMs: Type.Union([Type.Number(), Type.Null()]),
  endMs: Type.Union([Type.Number(), Type.Null()]),
  kind: Type.Enum(GAP_KINDS),
  state: Type.Union([Type.Literal('open'), Type.Literal('confirmed')]),
  cause: Type.Union([Type.String(), Type.Null()]),
  /** Of time within a part in which less was recorded than passed. */
  unrecorded: Type.Optional(UnrecordedTime),
  since: Instant,
})
export type GapState = Static<typeof GapState>

/**
 * The folded state of a session: what `recordings.status` holds, completeness's own state store and what the other
 * services read. Of two records of a session the one with the higher `eventsOffset` is true.
 */
export const SessionState = Type.Object({
  session: SessionId,
  /** Offset in recordings.events of the last event folded in; decimal. */
  eventsOffset: Offset,
  /** Grows with every publication, for those that come from time alone and fold no event. */
  revision: Count,
  status: SessionStatus,
  /** 0 until first completed; grows each time the completed content changes. */
  version: Count,
  finalizedVersion: Count,
  /** What its version was completed as, once it was reopened and as long as nothing has come since that would make another. */
  completedAs: Type.Optional(Type.Object({ status: Events['session-completed'].properties.status, endedAt: Instant })),
  createdAt: Instant,
  metadata: Type.Record(Type.String(), Type.Unknown()),
  /** As they were set when it was created; what is not named has its default. */
  graces: Type.Optional(Graces),
  startedAt: NullableInstant,
  endedAt: NullableInstant,
  /** Last sign of life of any client or commit. */
  activeAt: Instant,
  deletedAt: NullableInstant,
  /** How far the deletion of a deleted session has come; absent in states of versions that did not record it. */
  deletion: Type.Optional(
    Type.Object({
      /** Since when no blob of it is left. */
      erasedAt: Type.Optional(Instant),
      /** Since when the record of the deletion is due to be removed. */
      expiredAt: Type.Optional(Instant),
      /** Since when nothing but this state is left. */
      forgottenAt: Type.Optional(Instant),
    }),
  ),
  clients: Type.Array(
    Type.Object({ client: ClientId, gateway: Type.String(), connection: Type.String(), since: Instant, seenAt: Instant, goneAt: NullableInstant }),
  ),
  finish: Type.Union([
    Type.Object({
      parts: Type.Union([TrackParts, Type.Null()]),
      scope: Type.Optional(FinishScope),
      at: Instant,
      offset: Offset,
      /**
       * The parts that any end has named, bounded; absent where they are those in `parts`, and in states of versions
       * that did not keep them.
       */
      named: Type.Optional(TrackParts),
    }),
    Type.Null(),
  ]),
  tracks: Type.Record(TrackName, Type.Object({ files: Type.Array(FileState) })),
  gaps: Type.Array(GapState),
  /** Chunks that block-writer has set aside as `unwritable`, also those that came back since. */
  parked: Type.Optional(Type.Array(Type.Object({ track: TrackName, part: PartId, from: Seq, to: Seq }))),
  /** Renditions that viewers asked for. */
  requested: Type.Optional(
    Type.Array(Type.Object({ track: TrackName, kind: Events['rendition-requested'].properties.kind, file })),
  ),
  /** What decoding a sealed file found; of each file what its latest sealed commit has. */
  decoded: Type.Optional(Type.Array(Type.Object({ track: TrackName, file, commit: Count, coverage: Events['file-decoded'].properties.coverage, undecodable: Events['file-decoded'].properties.undecodable }))),
  resends: Type.Array(Type.Object({ track: TrackName, part: PartId, from: Seq, to: Seq, askedAt: Instant, times: Count })),
  /** The newest reports of clients, oldest first, bounded. */
  reports: Type.Array(
    Type.Object({ client: ClientId, event: Type.String(), track: Type.Union([TrackName, Type.Null()]), detail: Type.Union([Type.String(), Type.Null()]), at: Instant, id: Type.Optional(ReportId) }),
  ),
  manifest: Type.Union([Type.Object({ version: Count, blob: Type.String() }), Type.Null()]),
  renditions: Type.Array(
    Type.Object({
      track: TrackName,
      kind: Events['rendition-ready'].properties.kind,
      file: Events['rendition-ready'].properties.file,
      version: Count,
      /** null: it failed, and `reason` says why. */
      blob: Type.Union([Type.String(), Type.Null()]),
      mimeType: Type.Union([Type.String(), Type.Null()]),
      bytes: Count,
      reason: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
})
export type SessionState = Static<typeof SessionState>
export type { PartState }

const sessionState = shape('session state', SessionState)

export function encodeStatus(state: SessionState): EncodedRecord {
  return { key: state.session, value: encodeJson(state), headers: { kind: 'session-state' } }
}

export function decodeStatus(record: EncodedRecord): SessionState | RecordFault {
  const value = decodeJson(record.value)
  if (value === undefined) return { fault: 'not-json', details: 'the status is not JSON' }
  if (!sessionState.is(value)) return { fault: 'invalid', details: sessionState.faults(value).slice(0, 5).join('; ') }
  return value
}
