import { CLOSE_CODES } from '@longtake/contracts/protocol'
import type { TransportKind } from '../api.ts'

/** WebSockets that fail in a row, before HTTP polling is tried. */
const FAILURES = 2
/** A WebSocket that hangs for so long before it opens counts as that many failures. */
const HANGS_MS = 10_000
/** A WebSocket that is broken off sooner than that is as good as none. */
const SHORT_MS = 10_000
/** While polling, a WebSocket is tried again after this time, and each time in vain after twice as long. */
export const FIRST_PROBE_MS = 10_000
export const LONGEST_PROBE_MS = 15 * 60_000

/** An end that is the gateway's decision says nothing about the way to it. */
const DECISIONS: ReadonlySet<number | null> = new Set(Object.values(CLOSE_CODES))

/**
 * Which transport the next connection should use: a WebSocket, and HTTP polling where WebSockets are blocked, or opened
 * and cut at once, while polling works. Where neither works they take turns. Times are milliseconds of a steady clock.
 */
export class TransportChoice {
  #kind: TransportKind = 'websocket'
  #failures = 0
  /** Null before an attempt has reached the network: what fails then says nothing about it. */
  #begunAt: number | null = null
  #welcomedAt: number | null = null
  #probeAfterMs = FIRST_PROBE_MS
  #probeAt = Infinity

  /** Of the next connection, or the present one. */
  get kind(): TransportKind {
    return this.#kind
  }

  /** An attempt begins. */
  connecting(now: number): void {
    this.#begunAt = now
    this.#welcomedAt = null
  }

  welcomed(now: number): void {
    this.#welcomedAt = now
    if (this.#kind === 'polling' && this.#probeAt === Infinity) this.#probeAt = now + this.#probeAfterMs
  }

  /**
   * The connection, or the attempt at one, has ended.
   * @param code null where there is none
   * @param wasFruitful something became durable by it
   */
  ended(code: number | null, wasFruitful: boolean, now: number): void {
    const begunAt = this.#begunAt
    this.#begunAt = null
    if (begunAt === null) return
    if (this.#kind === 'polling') {
      // One that has worked is tried again first. An attempt that failed shows that there is more than a block.
      if (this.#welcomedAt === null) this.#use('websocket')
      return
    }
    if (DECISIONS.has(code)) {
      this.#failures = 0
      return
    }
    const livedMs = this.#welcomedAt === null ? 0 : now - this.#welcomedAt
    if (wasFruitful && livedMs >= SHORT_MS) {
      this.#failures = 0
      this.#probeAfterMs = FIRST_PROBE_MS
      return
    }
    const hung = this.#welcomedAt === null && now - begunAt >= HANGS_MS
    this.#failures += hung ? FAILURES : 1
    if (this.#failures >= FAILURES) this.#use('polling')
  }

  /** Whether it is time to see if a WebSocket works now. */
  isProbeDue(now: number): boolean {
    return this.#kind === 'polling' && this.#welcomedAt !== null && now >= this.#probeAt
  }

  /** @param works whether frames went to and fro on a WebSocket: then the next connection uses one */
  probed(works: boolean, now: number): void {
    this.#probeAfterMs = Math.min(LONGEST_PROBE_MS, this.#probeAfterMs * 2)
    this.#probeAt = now + this.#probeAfterMs
    if (works && this.#kind === 'polling') this.#use('websocket')
  }

  /** What was learned of another network holds no longer. */
  networkChanged(now: number): void {
    if (this.#kind === 'websocket') this.#failures = 0
    else if (this.#welcomedAt === null) this.#use('websocket')
    else this.#probeAt = now
  }

  #use(kind: TransportKind): void {
    this.#kind = kind
    this.#failures = 0
    // The end of a connection that is left for the other transport is no failure.
    this.#begunAt = null
    if (kind === 'websocket') this.#probeAt = Infinity
  }
}
