import { CLIENT_SILENCE_MS, DEFAULT_HEARTBEAT_MS, DEFAULT_MAX_CHUNK_BYTES } from '@longtake/contracts'

/** What the protocol and experience fix; services differ in none of these, tests do. */
export const LIMITS = {
  maxChunkBytes: DEFAULT_MAX_CHUNK_BYTES,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  silenceMs: CLIENT_SILENCE_MS,
  /** `client-connected` is said again so often. */
  connectedEveryMs: 60_000,
  /** 4 MiB on a bad uplink of 300 kbit/s. */
  windowGraceMs: 120_000,
  /** A window of tiny chunks would hold far more memory than its bytes. */
  maxInFlightRecords: 4096,
  /** Bytes that wait for a client that does not read; acks of a whole window are a few KiB. */
  maxUnreadBytes: 64 * 1024,
  tickMs: 1000,
  /** How often a gateway looks at the backlog; what all of them take in meanwhile may exceed the limit. */
  backlogEveryMs: 10_000,
  /** Kafka has left something unanswered for so long: not ready. */
  kafkaSilenceMs: 10_000,
}
export type Limits = typeof LIMITS
