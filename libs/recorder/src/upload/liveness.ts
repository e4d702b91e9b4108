/** Without any sign of life for so long, in spite of a ping, the link is dead. Well below the server's own patience. */
export const LINK_SILENCE_MS = 45_000
/** The same when there is reason to doubt: the network has changed, or this device has slept. */
export const DOUBTED_SILENCE_MS = 15_000
/** A slower line would be of no use. */
const SLOWEST_BYTES_PER_MS = 16
/** A buffer that goes on shrinking without any answer for so long is not one: extensions replace WebSockets, and their `bufferedAmount`. */
const LONGEST_UNANSWERED_MS = 5 * 60_000
/** Checks come every few seconds: when none came for so long, the device slept. */
const SLEEP_MS = 15_000

/** Whether the other side of an open connection is still there. Times are milliseconds since the epoch. */
export class Liveness {
  readonly #heartbeatMs: number
  #lastLife: number
  #lastPing: number
  #unansweredPing: number | null = null
  #bufferedBytes = 0
  #lastCheck: number
  /** From when on a sign of life is asked for; null: there is no reason to doubt. */
  #doubtedSince: number | null = null

  constructor(heartbeatMs: number, now: number) {
    this.#heartbeatMs = heartbeatMs
    this.#lastLife = now
    this.#lastPing = now
    this.#lastCheck = now
  }

  /** Anything came. */
  sign(now: number): void {
    this.#lastLife = now
    this.#doubtedSince = null
  }

  pong(now: number): void {
    this.sign(now)
    this.#unansweredPing = null
  }

  /** The link may have died just now: the next check asks, and waits less long. */
  doubt(now: number): void {
    this.#doubtedSince ??= now
    this.#lastPing = -Infinity
  }

  /**
   * Safari's `bufferedAmount` stays at 0, or lags (m-lab/ndt7-js#44), and every system buffers more behind it: so the time that a
   * chunk needs before it can be acknowledged is added to the patience.
   * @param bufferedBytes what waits in the socket: on a slow line a ping waits behind it, and that it shrinks is life
   * @param chunkBytes the largest chunk that has been sent, and not acknowledged
   */
  check(now: number, bufferedBytes: number, chunkBytes: number): 'alive' | 'ping' | 'dead' {
    // A clock that was set back must not make a link immortal.
    this.#lastLife = Math.min(this.#lastLife, now)
    this.#lastPing = Math.min(this.#lastPing, now)
    if (this.#unansweredPing !== null) this.#unansweredPing = Math.min(this.#unansweredPing, now)
    if (this.#doubtedSince !== null) this.#doubtedSince = Math.min(this.#doubtedSince, now)
    if (now - this.#lastCheck >= SLEEP_MS) this.doubt(now)
    this.#lastCheck = now
    if (bufferedBytes < this.#bufferedBytes && now - (this.#unansweredPing ?? now) < LONGEST_UNANSWERED_MS) this.sign(now)
    this.#bufferedBytes = bufferedBytes
    const sendingMs = chunkBytes / SLOWEST_BYTES_PER_MS
    if (this.#doubtedSince !== null && now - this.#doubtedSince >= DOUBTED_SILENCE_MS + sendingMs) return 'dead'
    // Measured from a ping on: after a sleep the silence is this device's own.
    if (this.#unansweredPing !== null && now - Math.max(this.#lastLife, this.#unansweredPing) >= LINK_SILENCE_MS + sendingMs) return 'dead'
    if (now - this.#lastPing < this.#heartbeatMs) return 'alive'
    this.#lastPing = now
    this.#unansweredPing ??= now
    return 'ping'
  }
}
