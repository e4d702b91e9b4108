import type { TransportKind } from '../api.ts'
import { openTransport, type Timers, type Transport } from '../upload/transport.ts'
import { deferred } from '../deferred.ts'
import { parseServerMessage } from '../upload/server-message.ts'
import { bitsPerSecondOf, roundTripOf, type Pong } from '../upload/uplink-rate.ts'

export interface UplinkMeasure {
  /** Of an empty ping, the quickest. */
  roundTripMs: number
  /** Null where the time was too short for a single answer. */
  bitsPerSecond: number | null
  /** By how much the server's clock is ahead of this device's. */
  clockDifferenceMs: number
}

const WELCOME_WITHIN_MS = 8000
const MEASURE_MS = 3000
const MOST_BYTES = 4 * 1024 * 1024
const SMALL_PINGS = 3
const FIRST_PADDING = 16 * 1024
const LARGEST_PADDING = 256 * 1024
/** Two are under way at once, so that the line never waits for an answer. */
const UNDER_WAY = 2

const PAGE_TIMERS: Timers = {
  after(ms, task) {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
}

/** Measures the line to the gateway by pings, small ones and padded ones: nothing is recorded by that. */
export class UplinkProbe {
  readonly #transport: Transport
  readonly #done = deferred<UplinkMeasure>()
  readonly #deadline: ReturnType<typeof setTimeout>
  readonly #small: Pong[] = []
  readonly #padded: Pong[] = []
  /** By number: the pings that have no answer yet. */
  readonly #underWay = new Map<number, { bytes: number; sentAt: number }>()
  #next = 0
  #serverAheadMs = 0
  #paddedSince: number | null = null
  #paddedBytes = 0
  #largest = LARGEST_PADDING

  private constructor(kind: TransportKind, url: string, token: string) {
    const events = { text: (frame: string) => this.#receive(frame), closed: (code: number) => this.#fail(`the connection was closed with ${code}`) }
    this.#transport = openTransport(kind, url, token, events, PAGE_TIMERS)
    this.#deadline = setTimeout(() => (this.#small.length === 0 ? this.#fail('the server did not answer in time') : this.#finish()), WELCOME_WITHIN_MS)
  }

  /** @param url of the WebSocket, with session and client */
  static measure(kind: TransportKind, url: string, token: string, signal?: AbortSignal): Promise<UplinkMeasure> {
    const probe = new UplinkProbe(kind, url, token)
    signal?.addEventListener('abort', () => probe.#fail('it was aborted'), { once: true })
    if (signal?.aborted === true) probe.#fail('it was aborted')
    return probe.#done.promise
  }

  #receive(frame: string): void {
    const message = parseServerMessage(frame)
    if (message === 'unknown' || message === 'malformed') return
    if (message.type === 'error') return this.#fail(`${message.code}: ${message.message}`)
    if (message.type === 'welcome') {
      this.#serverAheadMs = Date.parse(message.serverTime) - Date.now()
      // The frame has more in it than its padding.
      this.#largest = Math.min(LARGEST_PADDING, message.maxChunkBytes - 1024)
      this.#ping(0)
    }
    if (message.type === 'pong') this.#pong(message.t)
  }

  #pong(number: number): void {
    const ping = this.#underWay.get(number)
    if (ping === undefined) return
    this.#underWay.delete(number)
    const pongs = ping.bytes === 0 ? this.#small : this.#padded
    pongs.push({ ...ping, pongAt: performance.now() })
    if (this.#small.length < SMALL_PINGS) return this.#ping(0)
    if (this.#paddedSince === null) this.#beginPadded()
    const padding = Math.min(this.#largest, FIRST_PADDING * 2 ** this.#padded.length)
    while (this.#underWay.size < UNDER_WAY && this.#paddedBytes < MOST_BYTES) this.#ping(padding)
    if (this.#underWay.size === 0) this.#finish()
  }

  #beginPadded(): void {
    this.#paddedSince = performance.now()
    setTimeout(() => this.#finish(), MEASURE_MS)
  }

  #ping(bytes: number): void {
    const number = this.#next++
    this.#underWay.set(number, { bytes, sentAt: performance.now() })
    this.#paddedBytes += bytes
    this.#transport.send(JSON.stringify({ type: 'ping', t: number, ...(bytes === 0 ? {} : { padding: 'x'.repeat(bytes) }) }))
  }

  #finish(): void {
    this.#close()
    const roundTripMs = roundTripOf(this.#small)
    this.#done.resolve({ roundTripMs, bitsPerSecond: bitsPerSecondOf(this.#padded), clockDifferenceMs: Math.round(this.#serverAheadMs + roundTripMs / 2) })
  }

  #fail(why: string): void {
    this.#close()
    this.#done.reject(new Error(why))
  }

  #close(): void {
    clearTimeout(this.#deadline)
    this.#transport.close()
  }
}
