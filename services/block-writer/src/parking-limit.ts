import type { ParkedReason } from '@longtake/contracts'

/**
 * Reasons that a client can bring about as often as it likes, by what it sends. All others are ours: a record of another
 * version, or one that this version cannot write.
 */
const CAUSED_BY_CLIENTS: ReadonlySet<ParkedReason> = new Set(['other-content', 'not-a-recording'])
/** The first of so many sessions are forgotten, and counted from 0 again. */
const MAX_SESSIONS = 100_000
/** Gateways are asked again so often to refuse a session that goes on: one may have restarted. */
const ASK_EVERY_MS = 60_000

interface Counted {
  bytes: number
  /** When gateways were asked last to refuse the session's chunks. */
  askedAt: number
}

/**
 * Counts what each session parks through one writer by what its clients send. What is acknowledged is parked in any case, so
 * that the bound has to be kept before the acknowledgement: gateways refuse the chunks of a session that has reached it.
 * Pure; times are milliseconds.
 */
export class ParkingLimit {
  readonly #maxBytes: number
  readonly #sessions = new Map<string, Counted>()

  /** @param maxBytes of a session */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Counts a record. Returns whether its session has parked all that it may. */
  count(session: string, reason: ParkedReason, bytes: number): boolean {
    if (!CAUSED_BY_CLIENTS.has(reason)) return false
    const counted = this.#sessions.get(session) ?? { bytes: 0, askedAt: -Infinity }
    counted.bytes += bytes
    this.#sessions.set(session, counted)
    if (this.#sessions.size > MAX_SESSIONS) for (const oldest of this.#sessions.keys()) if (this.#sessions.delete(oldest)) break
    return counted.bytes >= this.#maxBytes
  }

  /** Whether gateways are to be asked now to refuse the session's chunks. `asked` remembers that they were. */
  isDue(session: string, now: number): boolean {
    const counted = this.#sessions.get(session)
    return counted !== undefined && counted.bytes >= this.#maxBytes && Math.abs(now - counted.askedAt) >= ASK_EVERY_MS
  }

  asked(session: string, now: number): void {
    const counted = this.#sessions.get(session)
    if (counted !== undefined) counted.askedAt = now
  }
}
