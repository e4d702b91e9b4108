import { Type, type Static, type TSchema } from 'typebox'
import { Graces } from './graces.ts'
import { ClientId, Instant, Offset, PartId, ReportId, Seq, SeqRange, SessionId, TrackName } from './ids.ts'
import { decodeJson, encodeJson } from './json.ts'
import { LOST_CAUSES } from './protocol.ts'
import type { EncodedRecord, RecordFault } from './records.ts'
import { shape, type Shape } from './schema.ts'
import { FinishScope, TrackParts } from './wire.ts'

const Ms = Type.Number({ description: "milliseconds on the file's own timeline" })
const Count = Type.Integer({ minimum: 0 })

/** A run of chunks with the media time it covers as far as its neighbours tell it. */
export const TimedRange = Type.Object({
  from: Seq,
  to: Seq,
  startMs: Type.Union([Ms, Type.Null()]),
  endMs: Type.Union([Ms, Type.Null()]),
  /** Why it cannot be played, where that is known from the content itself and not from a hole beside it. */
  cause: Type.Optional(Type.String({ maxLength: 64 })),
})
export type TimedRange = Static<typeof TimedRange>

const MediaKind = Type.Object({
  frames: Type.Union([Count, Type.Null()], { description: 'null where blocks of an earlier version are among them, which were not counted' }),
  lastMs: Type.Union([Ms, Type.Null()], { description: 'time of its last frame; null while there is none, and where that is not known' }),
})

const Unrecorded = {
  evidence: Type.Union([Type.Literal('clock'), Type.Literal('sound')], {
    description: 'clock: less media came than time passed, by when its chunks were captured; sound: it pauses, as sound that is recorded never does',
  }),
  missingMs: Type.Number({ description: 'media that is missing' }),
  startedAt: Instant,
  endedAt: Instant,
}
/** When less was recorded than time passed, although all chunks came, by the recorder's clock (corrected). */
export const UnrecordedTime = Type.Object(Unrecorded)
export type UnrecordedTime = Static<typeof UnrecordedTime>

/** All that block-writer knows of one part; cumulative, so the latest one replaces all before. */
export const PartState = Type.Object({
  part: PartId,
  client: Type.Union([ClientId, Type.Null()]),
  mimeType: Type.Union([Type.String(), Type.Null()], { description: 'null until its part-opened was seen' }),
  startedAt: Type.Union([Instant, Type.Null()]),
  /** Where its first frame lies in the file it was placed in; null while unplaced. */
  startMs: Type.Union([Ms, Type.Null()]),
  endMs: Type.Union([Ms, Type.Null()]),
  /** Chunks whose bytes are durable in storage, in the file or in pending. Sorted, disjoint, not adjacent. */
  stored: Type.Array(SeqRange),
  /** How many chunks are stored, and their bytes. */
  chunks: Count,
  bytes: Count,
  /** What its file holds of it, by kind; absent for MP4, while it has no place, and in states of versions that did not count. */
  media: Type.Optional(Type.Object({ video: Type.Optional(MediaKind), audio: Type.Optional(MediaKind) })),
  /** Within the part; absent where there is none. Media times are those between which it is missing. */
  unrecorded: Type.Optional(Type.Array(Type.Object({ from: Seq, to: Seq, startMs: Ms, endMs: Ms, ...Unrecorded }))),
  /** Media times of its file that repeat media of an earlier file, from a keyframe on, so that what follows can be decoded. Absent where there are none. */
  repeated: Type.Optional(Type.Array(Type.Object({ startMs: Ms, endMs: Ms }))),
  /** Stored chunks that are not (wholly) playable because of a hole beside them or broken content. */
  undecodable: Type.Array(TimedRange),
  /** Chunks below the highest stored seq, or below the declared length, that are not stored. */
  missing: Type.Array(TimedRange),
  closed: Type.Union([Type.Object({ chunks: Count, clean: Type.Boolean() }), Type.Null()]),
  lost: Type.Array(
    Type.Object({ from: Seq, to: Seq, cause: Type.Enum(LOST_CAUSES) }),
    { description: 'as declared by the client; never says that stored data is gone' },
  ),
  /** Set when the part cannot be written at all: content that is no recording. Its chunks are parked. */
  rejected: Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()]),
})
export type PartState = Static<typeof PartState>

/**
 * How a file in storage differs from its status. `file-missing`, `file-changed`: its blob is gone, or not the one that
 * was committed. `file-unavailable`: storage refuses to read or to seal it (archive tier). `unreadable`: bytes that are
 * not those that were written, or no media. `wrong-span`, `wrong-frames`, `wrong-index`: it does not last as long, has
 * other frames, or its index points to none.
 */
export const FILE_FAULT_CAUSES = ['file-missing', 'file-changed', 'file-unavailable', 'unreadable', 'wrong-span', 'wrong-frames', 'wrong-index'] as const
export const FileFault = Type.Object({
  startMs: Type.Union([Ms, Type.Null()], { description: 'null: all of the file' }),
  endMs: Type.Union([Ms, Type.Null()]),
  cause: Type.Enum(FILE_FAULT_CAUSES),
  detail: Type.String({ maxLength: 1000 }),
})
export type FileFault = Static<typeof FileFault>

const ClientReport = Type.Object({
  event: Type.String({ maxLength: 64 }),
  track: Type.Union([TrackName, Type.Null()]),
  detail: Type.Union([Type.String({ maxLength: 1000 }), Type.Null()]),
  id: Type.Optional(ReportId),
})

/** A poster is of the whole track, an MP4 of one of its files. */
const RenditionFile = Type.Optional(Type.Integer({ minimum: 0, description: 'which file of the track it was made of; absent: 0' }))

export const DECODED_COVERAGE = ['all', 'keyframes', 'none'] as const
/** Spans of one file at most; more are joined by whoever found them. */
export const MAX_UNDECODABLE_SPANS = 100
/** Media of a file that a decoder does not show. Sorted by `startMs`; those of one `media` are disjoint. */
export const UndecodableSpan = Type.Object({ media: Type.Union([Type.Literal('video'), Type.Literal('audio')]), startMs: Ms, endMs: Ms })
export type UndecodableSpan = Static<typeof UndecodableSpan>

const Gap = { track: TrackName, part: PartId, from: Seq, to: Seq }

/** What is published of one commit of a file. */
const Commit = {
  session: SessionId,
  at: Instant,
  track: TrackName,
  /** 0 for the first file of the track; others exist where parts cannot join. */
  file: Count,
  blob: Type.String(),
  mimeType: Type.String(),
  /** Total length of the committed blob; 0 while nothing in it is playable yet. */
  bytes: Count,
  durationMs: Ms,
  /** When media time 0 of this file was, by the clock of the recorder (corrected). Null while nothing is placed. */
  startedAt: Type.Union([Instant, Type.Null()]),
  commit: Type.Object({ number: Count, id: Type.String() }),
  /** Grows only when committed media bytes moved, so that a reader's offsets are stale. */
  generation: Count,
  blocks: Type.Object({ count: Count, sha256: Type.String({ description: 'hex SHA-256 of all block ids joined by \\n' }) }),
  /** Codecs as found in the content, for players and renditions; e.g. V_VP9, A_OPUS; empty for MP4. */
  codecs: Type.Array(Type.String()),
  parts: Type.Array(PartState),
  /** Offset in recordings.chunks below which everything of this track is in this commit. */
  nextOffset: Offset,
}

/** Every event of `recordings.events`: a closed union, told apart by `type`. */
export const Events = {
  'session-created': Type.Object({
    type: Type.Literal('session-created'),
    session: SessionId,
    at: Instant,
    metadata: Type.Record(Type.String(), Type.Unknown()),
    graces: Type.Optional(Graces),
  }),
  /** Said at the connection's start and again about once a minute while it lives. */
  'client-connected': Type.Object({ type: Type.Literal('client-connected'), session: SessionId, at: Instant, client: ClientId, gateway: Type.String(), connection: Type.String() }),
  'client-disconnected': Type.Object({
    type: Type.Literal('client-disconnected'),
    session: SessionId,
    at: Instant,
    client: ClientId,
    gateway: Type.String(),
    connection: Type.String(),
    code: Type.Integer(),
  }),
  'client-reported': Type.Object({ type: Type.Literal('client-reported'), session: SessionId, at: Instant, client: ClientId, report: ClientReport, reportedAt: Instant }),
  /**
   * One atomic commit of one file of a track. Cumulative: all parts of the file with their whole state.
   * A lower `commit.number` than one already seen for the same file is old news.
   */
  'blocks-committed': Type.Object({ type: Type.Literal('blocks-committed'), ...Commit }),
  /**
   * The same with those parts alone that have changed since the commit `since`, the last one of the file that was published before; all
   * others are as they were. Only for files of many parts, and each time that so many parts have been published in this way
   * as the file has, its next commit is a `blocks-committed`: whoever knows only that one is behind, but never wrong.
   */
  'parts-committed': Type.Object({ type: Type.Literal('parts-committed'), ...Commit, since: Count }),
  /** Said again by block-writer once it has passed that place of the chunk stream and committed all before it. */
  'session-finished': Type.Object({
    type: Type.Literal('session-finished'),
    session: SessionId,
    at: Instant,
    parts: Type.Union([TrackParts, Type.Null()]),
    scope: Type.Optional(FinishScope),
    /** Offset of the declaration in recordings.chunks: a higher one supersedes a lower one. */
    offset: Offset,
  }),
  'session-deleted': Type.Object({ type: Type.Literal('session-deleted'), session: SessionId, at: Instant }),
  /** All blobs of a deleted session are gone. */
  'session-erased': Type.Object({ type: Type.Literal('session-erased'), session: SessionId, at: Instant }),
  /** The record of its deletion has expired and is removed: nothing of the session is left but its status, which goes next. */
  'session-forgotten': Type.Object({
    type: Type.Literal('session-forgotten'),
    session: SessionId,
    at: Instant,
    /** When it was deleted: its id may have been used and deleted again since. Absent in events of earlier versions. */
    deletedAt: Type.Optional(Instant),
  }),
  'gap-opened': Type.Object({ type: Type.Literal('gap-opened'), session: SessionId, at: Instant, ...Gap }),
  'gap-closed': Type.Object({ type: Type.Literal('gap-closed'), session: SessionId, at: Instant, ...Gap }),
  'gap-confirmed': Type.Object({ type: Type.Literal('gap-confirmed'), session: SessionId, at: Instant, ...Gap, cause: Type.String() }),
  /** Kafka has them, in recordings.unwritable alone: block-writer fails over them until another version runs and they are replayed. */
  'chunks-parked': Type.Object({ type: Type.Literal('chunks-parked'), session: SessionId, at: Instant, ...Gap }),
  'session-completed': Type.Object({
    type: Type.Literal('session-completed'),
    session: SessionId,
    at: Instant,
    version: Type.Integer({ minimum: 1 }),
    status: Type.Union([Type.Literal('complete'), Type.Literal('complete-with-gaps'), Type.Literal('abandoned')]),
  }),
  'session-finalized': Type.Object({
    type: Type.Literal('session-finalized'),
    session: SessionId,
    at: Instant,
    version: Type.Integer({ minimum: 1 }),
    manifest: Type.String({ description: 'blob name of the manifest' }),
    /**
     * Later versions need not read their content again. Absent in events of earlier finalizers, and where no file was
     * read.
     */
    sound: Type.Optional(
      Type.Array(Type.Object({ track: TrackName, file: Count, commit: Type.Object({ number: Count, id: Type.String() }) }), {
        description: 'files whose content was compared with the status in this commit, and agrees',
      }),
    ),
  }),
  /**
   * Said by finalizer of a file of a completed version whose blob or content is not what the status says, and again once that has
   * changed. It replaces what was found in an earlier commit of the file.
   */
  'file-verified': Type.Object({
    type: Type.Literal('file-verified'),
    session: SessionId,
    at: Instant,
    track: TrackName,
    file: Count,
    commit: Type.Object({ number: Count, id: Type.String() }),
    faults: Type.Array(FileFault, { maxItems: 200 }),
  }),
  'rendition-ready': Type.Object({
    type: Type.Literal('rendition-ready'),
    session: SessionId,
    at: Instant,
    version: Type.Integer({ minimum: 1 }),
    track: TrackName,
    kind: Type.Union([Type.Literal('poster'), Type.Literal('mp4')]),
    file: RenditionFile,
    blob: Type.String(),
    mimeType: Type.String(),
    bytes: Count,
  }),
  'rendition-failed': Type.Object({
    type: Type.Literal('rendition-failed'),
    session: SessionId,
    at: Instant,
    version: Type.Integer({ minimum: 1 }),
    track: TrackName,
    kind: Type.Union([Type.Literal('poster'), Type.Literal('mp4')]),
    file: RenditionFile,
    reason: Type.String({ maxLength: 4000, description: "ffmpeg's own last words" }),
  }),
  /** A viewer asked for a rendition that does not exist: it is made of this version, once it is finalized, and of later ones. */
  'rendition-requested': Type.Object({
    type: Type.Literal('rendition-requested'),
    session: SessionId,
    at: Instant,
    track: TrackName,
    kind: Type.Literal('mp4'),
    file: RenditionFile,
  }),
  /**
   * A sealed file was decoded as a player would. The first event of a commit stands, and the highest commit of a file counts: a
   * repeated or late one changes nothing.
   */
  'file-decoded': Type.Object({
    type: Type.Literal('file-decoded'),
    session: SessionId,
    at: Instant,
    version: Type.Integer({ minimum: 1 }),
    track: TrackName,
    file: Count,
    commit: Type.Object({ number: Count, id: Type.String() }),
    coverage: Type.Enum(DECODED_COVERAGE, { description: 'all: every frame; keyframes: only these and sound; none: nothing is known, and `reason` says why' }),
    undecodable: Type.Array(UndecodableSpan, { maxItems: MAX_UNDECODABLE_SPANS }),
    reason: Type.Optional(Type.String({ maxLength: 4000, description: 'why not every frame was decoded' })),
  }),
} as const

export type EventType = keyof typeof Events
export type EventOf<T extends EventType> = Static<(typeof Events)[T]>
export type RecordingEvent = { [T in EventType]: EventOf<T> }[EventType]

const shapes = new Map<string, Shape<TSchema>>(Object.entries(Events).map(([type, schema]) => [type, shape(type, schema)]))

export function encodeEvent(event: RecordingEvent): EncodedRecord {
  return { key: event.session, value: encodeJson(event), headers: { kind: event.type } }
}

/** `unknown-kind` is a newer version's event: tolerated by the caller and counted; the other faults are parked. */
export function decodeEvent(record: EncodedRecord): RecordingEvent | RecordFault {
  const kind = record.headers.kind
  if (kind === undefined) return { fault: 'no-kind', details: 'the record has no kind header' }
  const known = shapes.get(kind)
  if (known === undefined) return { fault: 'unknown-kind', details: `unknown event ${JSON.stringify(kind.slice(0, 64))}` }
  const value = decodeJson(record.value)
  if (value === undefined) return { fault: 'not-json', details: `the ${kind} event is not JSON` }
  if (!known.is(value)) return { fault: 'invalid', details: known.faults(value).slice(0, 5).join('; ') }
  const event = value as RecordingEvent
  if (event.session !== record.key) return { fault: 'invalid', details: 'the key and the event name different sessions' }
  return event
}

