import type { ParkedReason } from '@longtake/contracts'

/**
 * Reasons that a client can bring about as often as it likes, by what it sends. All others are ours: a record of another
 * version, or one that this version cannot write. Those may be the only copy of what was acknowledged, and are always
 * parked, whatever their size.
 */
const CAUSED_BY_CLIENTS: ReadonlySet<ParkedReason> = new Set(['other-content', 'not-a-recording'])
/** The first of so many sessions are forgotten, and counted from 0 again. */
const MAX_SESSIONS = 100_000

/**
 * Bounds what one session can leave in `recordings.parked` through one writer. The topic itself has no size limit: Kafka
 * would delete the oldest records, whatever they are, acknowledged chunks that wait for a repair among them.
 */
export class ParkingLimit {
  readonly #maxBytes: number
  readonly #bytes = new Map<string, number>()

  /** @param maxBytes of a session */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Whether a record is to be parked; counts it if it is. */
  admit(session: string, reason: ParkedReason, bytes: number): boolean {
    if (!CAUSED_BY_CLIENTS.has(reason)) return true
    const before = this.#bytes.get(session) ?? 0
    if (before + bytes > this.#maxBytes) return false
    this.#bytes.set(session, before + bytes)
    if (this.#bytes.size > MAX_SESSIONS) for (const oldest of this.#bytes.keys()) return this.#bytes.delete(oldest)
    return true
  }
}
