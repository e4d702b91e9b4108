/** Constants of wire protocol v1 that a browser needs, too; no schema library behind them. */
export const SUBPROTOCOL = 'longtake.v1'
export const BEARER_SUBPROTOCOL_PREFIX = 'bearer.'
export const ingestPath = (session: string, client: string): string => `/v1/ingest/${session}?client=${client}`

export const CLOSE_CODES = {
  malformed: 4400,
  unauthorized: 4401,
  /** Over HTTP polling only. */
  unknownConnection: 4404,
  takenOver: 4409,
  deleted: 4410,
  tooLarge: 4413,
  unprocessable: 4422,
  overloaded: 4429,
  restarting: 1012,
} as const
export type CloseCode = (typeof CLOSE_CODES)[keyof typeof CLOSE_CODES]

export const DEFAULT_MAX_CHUNK_BYTES = 1_048_576
export const DEFAULT_WINDOW_BYTES = 4_194_304
export const DEFAULT_HEARTBEAT_MS = 10_000
/** Throttled tabs are slow, not dead. */
export const CLIENT_SILENCE_MS = 90_000
export const MAX_HANDLE = 255

/**
 * `quota`: the disk is full, or the storage that the browser grants the site. `store-failed`: the browser's store
 * failed for another reason.
 */
export const LOST_CAUSES = ['quota', 'store-failed', 'spool-cleared', 'corrupt', 'crash', 'too-large', 'already-acknowledged'] as const
export type LostCause = (typeof LOST_CAUSES)[number]

/** What recorders are known to report; others are kept as they come. */
export const REPORT_EVENTS = [
  'paused',
  'resumed',
  'hidden',
  'visible',
  'frozen',
  'slept',
  'device-lost',
  'muted',
  'unmuted',
  'quota',
  'store-failed',
  'reports-dropped',
  'source-changed',
  'recorder-failed',
  'page-closed',
  'discarded',
  'bitrate-lowered',
  'bitrate-raised',
  'stalled',
  'recovered',
  'silent',
  'audible',
] as const
export type ReportEvent = (typeof REPORT_EVENTS)[number]
