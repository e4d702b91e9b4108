import type { WireErrorCode } from '@longtake/contracts'
import type { SessionLimits } from './limits.ts'
import { TokenBucket, type Rate } from './token-bucket.ts'

/** What is counted by rate. */
type Counted = 'connects' | 'bytes' | 'records' | 'texts' | 'requests' | 'reports' | 'finishes' | 'parts' | 'holes'

/**
 * What one session uses of this gateway, over all its connections, earlier ones too: a token cannot gain by connecting
 * anew. No I/O and no clock; times are milliseconds of a clock that is never set, as a wall clock that is set back would hold
 * up answers and refill nothing. A code that is returned refuses what was asked.
 */
export class SessionUsage {
  readonly #limits: SessionLimits
  readonly #buckets: Record<Counted, TokenBucket>
  readonly #parts = new Set<string>()
  readonly #tracks = new Set<string>()
  #chunksRefusedUntil = -Infinity

  constructor(limits: SessionLimits, now: number) {
    this.#limits = limits
    const bucket = (rate: Rate): TokenBucket => new TokenBucket(rate, 2 * limits.maxDelayMs, now)
    const { connects, bytes, records, texts, requests, reports, finishes, parts, holes } = limits
    this.#buckets = {
      connects: bucket(connects),
      bytes: bucket(bytes),
      records: bucket(records),
      texts: bucket(texts),
      requests: bucket(requests),
      reports: bucket(reports),
      finishes: bucket(finishes),
      parts: bucket(parts),
      holes: bucket(holes),
    }
  }

  /** @param open connections of the session that are open already */
  connect(open: number, now: number): WireErrorCode | undefined {
    if (open >= this.#limits.maxConnections) return 'REC_TOO_MANY_CONNECTIONS'
    return this.#spend('connects', 1, now) ?? (this.#delayMs(now) > this.#limits.maxDelayMs ? 'REC_RATE_LIMITED' : undefined)
  }

  /** A frame has come, of any kind. */
  receive(bytes: number, now: number): WireErrorCode | undefined {
    this.#buckets.bytes.spend(bytes, now)
    return this.#delayMs(now) > this.#limits.maxDelayMs ? 'REC_RATE_LIMITED' : undefined
  }

  /** It was a text frame. */
  text(now: number): WireErrorCode | undefined {
    return this.#spend('texts', 1, now)
  }

  /** An HTTP request has come from a client that has no WebSocket. */
  request(now: number): WireErrorCode | undefined {
    return this.#spend('requests', 1, now)
  }

  report(now: number): WireErrorCode | undefined {
    return this.#spend('reports', 1, now)
  }

  /** A part is opened, or something is declared of it; one that is known costs nothing. */
  namePart(track: string, part: string, now: number): WireErrorCode | undefined {
    if (this.#parts.has(part)) return undefined
    if (this.#parts.size >= this.#limits.maxParts) return 'REC_TOO_MANY_PARTS'
    if (!this.#tracks.has(track) && this.#tracks.size >= this.#limits.maxTracks) return 'REC_TOO_MANY_PARTS'
    const refusal = this.#spend('parts', 1, now)
    if (refusal !== undefined) return refusal
    this.#parts.add(part)
    this.#tracks.add(track)
    return undefined
  }

  /** The session is finished with so many parts and tracks. They were opened elsewhere, perhaps, and count no further. */
  finish(parts: number, tracks: number, now: number): WireErrorCode | undefined {
    if (parts > this.#limits.maxParts || tracks > this.#limits.maxTracks) return 'REC_TOO_MANY_PARTS'
    return this.#spend('finishes', 1, now)
  }

  /** The session has sent as many bytes that no file can take as one may: none of its chunks is taken for a while. */
  refuseChunks(now: number): void {
    this.#chunksRefusedUntil = now + this.#limits.parkingFullMs
  }

  /** A chunk has come that is not under way yet. */
  chunk(now: number): WireErrorCode | undefined {
    return now < this.#chunksRefusedUntil ? 'REC_PARKING_FULL' : undefined
  }

  /** A chunk leaves out others before it, begins behind what a connection has had, or chunks are declared lost. */
  hole(now: number): WireErrorCode | undefined {
    return this.#spend('holes', 1, now)
  }

  /**
   * A record goes to Kafka. Returns the time from which on it may be answered: what is above the rate is answered
   * later, which slows a client that obeys its window to the rate.
   */
  record(now: number): number {
    this.#buckets.records.spend(1, now)
    return now + this.#delayMs(now)
  }

  /** Nothing would be different with a new one. Known parts are forgotten with it: opened again, they count once more. */
  isUnused(now: number): boolean {
    return now >= this.#chunksRefusedUntil && Object.values(this.#buckets).every((bucket) => bucket.isFull(now))
  }

  #delayMs(now: number): number {
    return Math.max(this.#buckets.bytes.waitMs(now), this.#buckets.records.waitMs(now))
  }

  #spend(what: Counted, amount: number, now: number): WireErrorCode | undefined {
    const bucket = this.#buckets[what]
    bucket.spend(amount, now)
    return bucket.waitMs(now) > 0 ? 'REC_RATE_LIMITED' : undefined
  }
}

/** Sessions are looked through so often for those that can be forgotten. */
const FORGET_EVERY_MS = 60_000

/** The usage of all sessions that have a connection, or have used anything lately. */
export class UsageBySession {
  readonly #limits: SessionLimits
  readonly #isGone: (session: string) => boolean
  readonly #sessions = new Map<string, SessionUsage>()
  #forgetAt = 0

  /** @param isGone whether the session has no connection */
  constructor(limits: SessionLimits, isGone: (session: string) => boolean) {
    this.#limits = limits
    this.#isGone = isGone
  }

  of(session: string, now: number): SessionUsage {
    let usage = this.#sessions.get(session)
    if (usage === undefined) this.#sessions.set(session, (usage = new SessionUsage(this.#limits, now)))
    return usage
  }

  /** To be called about once a second. */
  tick(now: number): void {
    if (now < this.#forgetAt) return
    this.#forgetAt = now + FORGET_EVERY_MS
    for (const [session, usage] of this.#sessions) if (this.#isGone(session) && usage.isUnused(now)) this.#sessions.delete(session)
  }

  get size(): number {
    return this.#sessions.size
  }
}
