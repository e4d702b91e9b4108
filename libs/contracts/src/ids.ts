import { Type } from 'typebox'

/** Ids as they stand in URLs, keys and blob names; the patterns keep all of them free of separators. */
export const SESSION_ID_PATTERN = '^[A-Za-z0-9_-]{1,64}$'
export const TRACK_NAME_PATTERN = '^[a-z0-9-]{1,32}$'
export const UUID_PATTERN = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'

export const SessionId = Type.String({ pattern: SESSION_ID_PATTERN, description: 'one sitting of one person' })
export const TrackName = Type.String({ pattern: TRACK_NAME_PATTERN, description: 'one camera or screen of a session' })
export const PartId = Type.String({ pattern: UUID_PATTERN, description: 'one run of one MediaRecorder' })
export const ClientId = Type.String({ pattern: UUID_PATTERN, description: 'one recorder (page or device) of a session' })
export const ReportId = Type.String({ pattern: UUID_PATTERN, description: 'one report of a client, however often it is sent' })
/** The highest seq that a chunk may have: u32 on the wire, and one below it so that a count always fits, too. */
export const MAX_SEQ = 0xffff_fffe
export const Seq = Type.Integer({ minimum: 0, maximum: MAX_SEQ })
/** An inclusive range of seqs. */
export const SeqRange = Type.Tuple([Seq, Seq])
export type SeqRange = [from: number, to: number]
/** RFC 3339 UTC with `Z` or an offset, and nothing that `Date.parse` gives no number for: times are computed with. */
export const Instant = Type.String({
  pattern: '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$',
  description: 'RFC 3339 instant',
})
/** A Kafka offset, in decimal: it outgrows a double. */
export const Offset = Type.String({ pattern: '^(0|[1-9][0-9]*)$', description: 'Kafka offset, decimal' })
/** Whole milliseconds since 1970-01-01T00:00:00Z. */
export const EpochMs = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

const sessionId = new RegExp(SESSION_ID_PATTERN)
const trackName = new RegExp(TRACK_NAME_PATTERN)
const uuid = new RegExp(UUID_PATTERN)
export const isSessionId = (value: unknown): value is string => typeof value === 'string' && sessionId.test(value)
export const isTrackName = (value: unknown): value is string => typeof value === 'string' && trackName.test(value)
export const isUuid = (value: unknown): value is string => typeof value === 'string' && uuid.test(value)
