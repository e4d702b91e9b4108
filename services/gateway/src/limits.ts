import { CLIENT_SILENCE_MS, DEFAULT_HEARTBEAT_MS, DEFAULT_MAX_CHUNK_BYTES, POLL_HOLD_MS } from '@longtake/contracts'

/**
 * What one session may use of one gateway, so that one token hurts nobody else; what a recorder does stays far below.
 * Rates are spent from a burst that refills. Above `bytes` and `records` answers come later; above all others, and where
 * they would come more than `maxDelayMs` late, the connection is closed with 4429 and nothing is acknowledged.
 */
export const SESSION_LIMITS = {
  /** A page, its parent page and a phone are 3; each may overlap with the connection that it has lost. */
  maxConnections: 16,
  /** A line that breaks every two seconds under three devices makes 1.2 a second; each makes up to four records. */
  connects: { burst: 120, perSecond: 2 },
  /** 3 h of two tracks at 0.8 Mbit/s at once; after that 268 Mbit/s. Padding of pings counts as well. */
  bytes: { burst: 2 * 1024 ** 3, perSecond: 32 * 1024 ** 2 },
  /** 3 h of two tracks in chunks of 1 s are 21,600; after that a hundred times what two tracks make. Each costs a core 0.4 ms. */
  records: { burst: 25_000, perSecond: 300 },
  /** Three clients that recover 256 parts each send open, close and a few losses of each: about 3,000. */
  texts: { burst: 5000, perSecond: 50 },
  /** Over HTTP polling; each chunk takes one or two, and what the spool holds comes in bodies of up to 512 KiB. */
  requests: { burst: 25_000, perSecond: 300 },
  /** A page that is hidden and shown again makes two. */
  reports: { burst: 300, perSecond: 1 },
  /** Once for each client, and again after each reconnect until it is answered; each may list all parts. */
  finishes: { burst: 60, perSecond: 0.5 },
  /** Recovered parts of three clients, and then more than a recorder begins at worst, one in five seconds for each track. */
  parts: { burst: 1024, perSecond: 0.5 },
  /** Holes become gaps in the status and questions to clients. A recorder leaves few: where it goes on after a reconnect. */
  holes: { burst: 2000, perSecond: 1 },
  /** As many as a status can list. */
  maxParts: 3000,
  /** Each is a blob of its own with commits of its own. */
  maxTracks: 32,
  /** For so long chunks are refused once block-writer has parked as much of the session as one may. */
  parkingFullMs: 3_600_000,
  /** Well below the time after which a client treats its connection as dead. */
  maxDelayMs: 30_000,
}
export type SessionLimits = typeof SESSION_LIMITS

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
  /** How long a request of HTTP polling waits for something to be answered with. */
  pollHoldMs: POLL_HOLD_MS,
  /** A client that polls has a request under way all the time, or repeats one within 8 s: without any for so long it is gone. */
  pollGapMs: 15_000,
  tickMs: 1000,
  perSession: SESSION_LIMITS,
  /** How soon answers that came too early are looked at again: a window of 4 MiB each time is still 80 MiB/s. */
  pacingMs: 50,
  /** How often a gateway looks at the backlog; what all of them take in meanwhile may exceed the limit. */
  backlogEveryMs: 10_000,
  /** Without a look that sees anything for so long: not ready. */
  backlogUnseenMs: 60_000,
  /** How long block-writer keeps committed records in recordings.chunks (`LONGTAKE_CHUNKS_KEEP`). */
  keptCommittedMs: 3_600_000,
  /** Kafka has left something unanswered for so long: not ready. */
  kafkaSilenceMs: 10_000,
}
export type Limits = typeof LIMITS
