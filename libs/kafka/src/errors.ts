/** Every code a KafkaError may carry, and whether the same call may succeed later. */
export const KAFKA_ERROR_CODES = {
  KAFKA_BUFFER_FULL: { retryable: true, means: 'the producer holds maxBufferedBytes unacknowledged bytes already: send later' },
  KAFKA_DELIVERY_TIMEOUT: { retryable: true, means: 'no acknowledgement within the deadline; the record may or may not be in the log' },
  KAFKA_RECORD_TOO_LARGE: { retryable: false, means: 'the broker refuses this record for its size' },
  KAFKA_RECORD_INVALID: { retryable: false, means: 'the broker refuses this record for its content (no key on a compacted topic, a bad timestamp)' },
  KAFKA_CLOSED: { retryable: true, means: 'the client was closed; what was not acknowledged by then may or may not be in the log' },
  KAFKA_UNREACHABLE: { retryable: true, means: 'no broker answers, or a connection broke' },
  KAFKA_BROKER: { retryable: true, means: 'the broker answered with an error that passes' },
  KAFKA_REFUSED: { retryable: false, means: 'the broker refuses the request for good: rights, unknown names, unsupported versions' },
  KAFKA_PARTITION_COUNTS: { retryable: false, means: 'co-partitioned topics have different partition counts, or a count has changed' },
  KAFKA_TOPICS_DIFFER: { retryable: false, means: 'topics exist with other settings than Longtake needs; the message lists all of them' },
  KAFKA_OFFSET_OUT_OF_RANGE: { retryable: false, means: 'the log no longer holds the next offset: records were lost or the topic was made anew; a human decides' },
  KAFKA_LOG_TRUNCATED: { retryable: false, means: 'a new leader lacks records that were read already: acknowledged ones may be lost; a human decides' },
  KAFKA_UNEXPECTED_ANSWER: { retryable: true, means: 'the answer of a broker does not fit what was asked, and is not used' },
  KAFKA_FENCED: { retryable: false, means: 'the group gave the partition to another member' },
} as const satisfies Record<string, { retryable: boolean; means: string }>

export type KafkaErrorCode = keyof typeof KAFKA_ERROR_CODES

/** The only error class that leaves this library. */
export class KafkaError extends Error {
  readonly code: KafkaErrorCode
  constructor(code: KafkaErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'KafkaError'
    this.code = code
  }
  get retryable(): boolean {
    return KAFKA_ERROR_CODES[this.code].retryable
  }
}

/** What kafkajs's errors have in common; told apart by name, for several copies of its classes may be loaded. */
interface KafkajsError extends Error {
  type?: string
  code?: number | string
  retriable?: boolean
}

/** The protocol's name of an error (`NOT_LEADER_FOR_PARTITION` …), if it is one of the protocol. */
export function protocolError(error: unknown): string | undefined {
  return error instanceof Error ? (error as KafkajsError).type : undefined
}

/** True where the connection, not the broker, failed: a request may or may not have been carried out. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return CONNECTION_ERRORS.has(error.name) || (error instanceof KafkaError && error.code === 'KAFKA_UNREACHABLE')
}
const CONNECTION_ERRORS = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
  'KafkaJSBrokerNotFound',
])

/** Brings whatever kafkajs threw into the closed list. */
export function toKafkaError(error: unknown, doing: string): KafkaError {
  if (error instanceof KafkaError) return error
  const cause = unwrapped(error)
  const message = `${doing}: ${cause.message}`
  if (isConnectionError(cause)) return new KafkaError('KAFKA_UNREACHABLE', message, { cause })
  const retriable = (cause as KafkajsError).retriable === true || RETRIABLE_AFTER_ALL.has(protocolError(cause) ?? '')
  return new KafkaError(retriable ? 'KAFKA_BROKER' : 'KAFKA_REFUSED', message, { cause })
}

/** kafkajs wraps what it has given up on, and so hides that it passes. */
function unwrapped(error: unknown): Error {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error && WRAPPERS.has(inner.name)) inner = inner.cause
  return inner instanceof Error ? inner : new Error(String(inner))
}
const WRAPPERS = new Set(['KafkaJSNonRetriableError', 'KafkaJSNumberOfRetriesExceeded', 'KafkaJSError'])

/** Marked final by kafkajs, but passing when the broker recovers or another takes over (as in Java's client). */
export const RETRIABLE_AFTER_ALL: ReadonlySet<string> = new Set(['UNKNOWN', 'BROKER_NOT_AVAILABLE', 'KAFKA_STORAGE_ERROR'])
