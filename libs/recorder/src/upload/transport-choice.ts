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
 * and cut at once, while polling works. After an outage both may work again, so polling that connects is used only after
 * one more WebSocket has failed. Where neither works they take turns. Times are milliseconds of a steady clock.
 */
export class TransportChoice {
  #kind: TransportKind = 'websocket'
  #failures = 0
  /** Null before an attempt has reached the network: what fails then says nothing about it. */
  #begunAt: number | null = null
  #welcomedAt: number | null = null
  #probeAfterMs = FIRST_PROBE_MS
  #probeAt = Infinity
  /** Polling has just connected: a WebSocket that fails now is blocked. */
  #isPollingProven = false

  /** Of the next connection, or the present one. */
  get kind(): TransportKind {
    return this.#kind
  }

  /** An attempt begins. */
  connecting(now: number): void {
    this.#begunAt = now
    this.#welcomedAt = null
  }

  /** @returns whether to use this connection, or to try the other transport at once */
  welcomed(now: number): 'use' | 'try-other' {
    this.#welcomedAt = now
    if (this.#kind === 'websocket') return 'use'
    if (!this.#isPollingProven) {
      this.#use('websocket')
      this.#isPollingProven = true
      return 'try-other'
    }
    if (this.#probeAt === Infinity) this.#probeAt = now + this.#probeAfterMs
    return 'use'
  }

  /** Whether the present attempt is the WebSocket that shows whether those are blocked. */
  get isLastTrial(): boolean {
    return this.#kind === 'websocket' && this.#isPollingProven
  }

  /**
   * The connection, or the attempt at one, has ended.
   * @param code null where there is none
   * @param wasFruitful something became durable by it
   * @returns whether the next attempt is to be made at once
   */
  ended(code: number | null, wasFruitful: boolean, now: number): boolean {
    const begunAt = this.#begunAt
    this.#begunAt = null
    if (begunAt === null) return false
    if (this.#kind === 'polling') {
      // One that has worked is tried again first. An attempt that failed shows that there is more than a block.
      if (this.#welcomedAt === null) this.#use('websocket')
      return false
    }
    const isLastTrial = this.#isPollingProven
    if (DECISIONS.has(code)) {
      this.#use('websocket')
      return false
    }
    const livedMs = this.#welcomedAt === null ? 0 : now - this.#welcomedAt
    if (wasFruitful && livedMs >= SHORT_MS) {
      this.#use('websocket')
      this.#probeAfterMs = FIRST_PROBE_MS
      return false
    }
    const hung = this.#welcomedAt === null && now - begunAt >= HANGS_MS
    this.#failures += hung ? FAILURES : 1
    if (isLastTrial || this.#failures >= FAILURES) this.#use('polling')
    this.#isPollingProven = isLastTrial
    return isLastTrial
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
    if (kind === 'polling') return
    this.#probeAt = Infinity
    this.#isPollingProven = false
  }
}
