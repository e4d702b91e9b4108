/** Without any sign of life for so long, in spite of a ping, the link is dead. Well below the server's own patience. */
export const LINK_SILENCE_MS = 45_000

/** Whether the other side of an open connection is still there. Times are milliseconds since the epoch. */
export class Liveness {
  readonly #heartbeatMs: number
  #lastLife: number
  #lastPing: number
  #unansweredPing: number | null = null
  #bufferedBytes = 0

  constructor(heartbeatMs: number, now: number) {
    this.#heartbeatMs = heartbeatMs
    this.#lastLife = now
    this.#lastPing = now
  }

  /** Anything came. */
  sign(now: number): void {
    this.#lastLife = now
  }

  pong(now: number): void {
    this.sign(now)
    this.#unansweredPing = null
  }

  /** @param bufferedBytes what waits in the socket: on a slow line a ping waits behind it, and that it shrinks is life */
  check(now: number, bufferedBytes: number): 'alive' | 'ping' | 'dead' {
    // A clock that was set back must not make a link immortal.
    this.#lastLife = Math.min(this.#lastLife, now)
    this.#lastPing = Math.min(this.#lastPing, now)
    if (this.#unansweredPing !== null) this.#unansweredPing = Math.min(this.#unansweredPing, now)
    if (bufferedBytes < this.#bufferedBytes) this.#lastLife = now
    this.#bufferedBytes = bufferedBytes
    // Measured from a ping on: after a sleep the silence is this device's own.
    if (this.#unansweredPing !== null && now - Math.max(this.#lastLife, this.#unansweredPing) >= LINK_SILENCE_MS) return 'dead'
    if (now - this.#lastPing < this.#heartbeatMs) return 'alive'
    this.#lastPing = now
    this.#unansweredPing ??= now
    return 'ping'
  }
}
