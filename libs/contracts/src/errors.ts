/**
 * Every code an error of Longtake's own may carry. Codes with `REC_` also travel to recorders, the rest to
 * operators and API clients. What each means and what its receiver does stands beside it.
 */
export const ERROR_CODES = {
  REC_MALFORMED: { retryable: false, close: 4400, means: 'a frame that is not of the protocol; the client has a fault: fix it' },
  REC_UNKNOWN_HANDLE: { retryable: false, close: 4400, means: 'a chunk for a handle that was not opened on this connection' },
  REC_HANDLE_TAKEN: { retryable: false, close: 4400, means: 'a handle opened again for another part' },
  REC_UNAUTHORIZED: { retryable: false, close: 4401, means: 'no token, a wrong one, or one for another session: get a token' },
  REC_EXPIRED: { retryable: true, close: 4401, means: 'the token ran out: renew it and connect again' },
  REC_UNKNOWN_CONNECTION: {
    retryable: true,
    close: 4404,
    means: 'over HTTP polling: the gateway that answers does not have this connection; open another, and see that a load balancer sends all requests of a client to one gateway',
  },
  REC_TAKEN_OVER: { retryable: false, close: 4409, means: 'a newer connection of the same session and client exists: do not reconnect' },
  REC_DELETED: { retryable: false, close: 4410, means: 'the session was deleted: discard the spool' },
  REC_TOO_LARGE: { retryable: false, close: 4413, means: 'a frame above maxChunkBytes: cut the chunk, or declare it lost with cause too-large' },
  REC_NOT_A_RECORDING: { retryable: false, close: 4422, means: 'bytes or a MIME type that are no WebM, Matroska or MP4' },
  REC_DIGEST_MISMATCH: { retryable: true, close: 4422, means: 'the payload does not hash to its digest: send it once more; refused twice, declare it lost with cause corrupt' },
  REC_WINDOW_EXCEEDED: { retryable: true, close: 4429, means: 'more unacknowledged bytes than the window allows: wait, reconnect, obey the window' },
  REC_OVERLOADED: { retryable: true, close: 4429, means: 'the server is full or Kafka is slow: keep the spool, retry later' },
  REC_TOO_MANY_CONNECTIONS: {
    retryable: true,
    close: 4429,
    means: 'the session has as many connections as one may have: close some, keep the spool, retry later',
  },
  REC_TOO_MANY_PARTS: {
    retryable: true,
    close: 4429,
    means: 'the session has opened as many parts or tracks as one may have: keep the spool, retry later; the client probably has a fault',
  },
  REC_RATE_LIMITED: {
    retryable: true,
    close: 4429,
    means: 'the session sends more or connects more often than one may: keep the spool, retry later',
  },
  REC_PARKING_FULL: {
    retryable: true,
    close: 4429,
    means: 'the session has sent as many bytes that no file can take as one may: keep the spool, retry later; the client probably has a fault',
  },
  REC_BACKLOG_FULL: {
    retryable: true,
    close: 4429,
    means: 'more is acknowledged and not yet in storage than the operator allows: keep the spool, retry later',
  },
  REC_RESTARTING: { retryable: true, close: 1012, means: 'the gateway restarts: reconnect at once' },

  INVALID_SHAPE: { retryable: false, means: 'data that does not fit its schema' },
  INVALID_CONFIG: { retryable: false, means: 'environment variables that are missing or wrong; the message lists all of them' },
  UNAUTHORIZED: { retryable: false, means: 'no token or key, or a wrong one' },
  FORBIDDEN: { retryable: false, means: 'a valid token without the scope, or for another session' },
  SESSION_NOT_FOUND: { retryable: false, means: 'no such session' },
  SESSION_DELETED: { retryable: false, means: 'the session was deleted' },
  TRACK_NOT_FOUND: { retryable: false, means: 'the session has no such track, or nothing of it is playable yet' },
  MANIFEST_NOT_FOUND: { retryable: false, means: 'the session is not finalized yet' },
  RENDITION_NOT_FOUND: { retryable: false, means: 'not made yet, or it could not be made; the status says which' },
  RENDITION_PENDING: {
    retryable: true,
    means: 'the rendition is made on request, once the session is finalized; it was requested now or before: ask again',
  },
  PRECONDITION_FAILED: { retryable: false, means: 'If-Match or If-Unmodified-Since does not hold: the recording has changed' },
  RANGE_NOT_SATISFIABLE: { retryable: false, means: 'the range starts behind the end of what is recorded so far' },
  NOT_FOUND: { retryable: false, means: 'no such address' },
  METHOD_NOT_ALLOWED: { retryable: false, means: 'the address exists, the method does not; Allow lists those that do' },
  INVALID_REQUEST: { retryable: false, means: 'a request that does not fit the documented schema' },
  MOVED_WHILE_READING: { retryable: true, means: 'the media bytes of a track moved (late data was inserted): read again' },
  UNAVAILABLE: { retryable: true, means: 'a part of the system this needs does not answer now: retry' },
  INTERNAL: { retryable: true, means: 'a fault of the server; its log has the cause' },

  BLOB_UNAVAILABLE: { retryable: true, means: 'the storage did not answer, or not in time, however often it was asked' },
  BLOB_FORBIDDEN: { retryable: false, means: 'the storage refuses the credentials, or there are none: check the key, or the role of the identity' },
  BLOB_CONTAINER_MISSING: { retryable: false, means: 'the storage account has no container of that name: create it' },
  BLOB_HELD: { retryable: false, means: 'the blob itself refuses the operation: a legal hold, an immutability policy, the archive tier, a lease or another type' },
  BLOB_HAS_SNAPSHOTS: { retryable: false, means: 'a blob with snapshots can only be deleted together with them' },
  BLOB_CONTENT_REFUSED: { retryable: false, means: 'the storage, or a proxy before it, refuses what was sent, as too large: smaller requests go through' },
  BLOB_REFUSED: { retryable: false, means: 'the storage refuses the call as wrong; the message has its own code' },
} as const satisfies Record<string, { retryable: boolean; close?: number; means: string }>

export type ErrorCode = keyof typeof ERROR_CODES
export type WireErrorCode = Extract<ErrorCode, `REC_${string}`>

/** The one base of Longtake's errors; says by its code whether a retry helps. */
export class LongtakeError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'LongtakeError'
    this.code = code
  }
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable
  }
}
