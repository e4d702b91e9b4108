import type { Random } from '@longtake/testkit'
import type { Fate } from './storage.ts'
import type { SimProcess, VirtualTime } from './virtual-time.ts'

interface Spell<T> {
  readonly until: number
  readonly value: T
}

const FAILURES = ['refused', 'refused', 'request-lost', 'answer-lost', 'late', 'conflict'] as const

/** How long each message takes and what becomes of each storage call: quick and well, worse while a fault lasts. */
export class Weather {
  readonly #time: VirtualTime
  readonly #random: Random
  #slowHosts: Spell<{ host: string; extraMs: number }>[] = []
  #storageTrouble: Spell<number>[] = []
  #slowStorage: Spell<number>[] = []
  #strayUntil = Infinity

  constructor(time: VirtualTime, random: Random) {
    this.#time = time
    this.#random = random
  }

  slowHost(host: string, extraMs: number, forMs: number): void {
    this.#slowHosts.push({ until: this.#time.now + forMs, value: { host, extraMs } })
  }

  /** @param share of the calls that fail */
  storageTrouble(share: number, forMs: number): void {
    this.#storageTrouble.push({ until: this.#time.now + forMs, value: share })
  }

  slowStorage(extraMs: number, forMs: number): void {
    this.#slowStorage.push({ until: this.#time.now + forMs, value: extraMs })
  }

  /** All that was bad is over. */
  clear(): void {
    this.#slowHosts = []
    this.#storageTrouble = []
    this.#slowStorage = []
    this.#strayUntil = 0
  }

  linkMs(_client: SimProcess, host: string): number {
    const extra = this.#slowHosts
      .filter(({ until, value }) => this.#time.now < until && value.host === host)
      .map(({ value }) => value.extraMs)
    // One message in many is lost and sent again, or waits behind others.
    const stray = this.#strayUntil > this.#time.now && this.#random.chance(0.02) ? this.#random.between(50, 3000) : 0
    return 0.1 + this.#random.next() * 0.5 + this.#random.next() * Math.max(0, ...extra) + stray
  }

  clientMs(): number {
    return 5 + this.#random.next() * 30
  }

  storageFate(): Fate {
    const { now } = this.#time
    const random = this.#random
    const slow = Math.max(0, ...this.#slowStorage.filter(({ until }) => now < until).map(({ value }) => value))
    const share = Math.max(0, ...this.#storageTrouble.filter(({ until }) => now < until).map(({ value }) => value))
    const requestMs = 2 + random.next() * (10 + slow)
    const answerMs = 2 + random.next() * (10 + slow)
    const outcome = random.chance(share)
      ? random.pick(FAILURES)
      : 'done'
    return { outcome, requestMs, answerMs, lateMs: outcome === 'late' ? random.between(1000, 45_000) : 0 }
  }
}
