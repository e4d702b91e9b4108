import { Liveness } from './liveness.ts'

/** From the start of a connection to `welcome`. */
export const CONNECT_TIMEOUT_MS = 20_000

type State =
  | { is: 'down' }
  | { is: 'connecting'; since: number }
  | { is: 'up'; liveness: Liveness; fruitful: boolean }

/** One connection after another: how far it is, whether it lives, and whether it was of use. Times are milliseconds since the epoch. */
export class Link {
  #state: State = { is: 'down' }
  #fruitless = 0

  get isUp(): boolean {
    return this.#state.is === 'up'
  }

  get isConnecting(): boolean {
    return this.#state.is === 'connecting'
  }

  get isDown(): boolean {
    return this.#state.is === 'down'
  }

  /** Connections in a row by which nothing became durable. */
  get fruitless(): number {
    return this.#fruitless
  }

  connecting(now: number): void {
    this.#state = { is: 'connecting', since: now }
  }

  welcomed(heartbeatMs: number, now: number): void {
    this.#state = { is: 'up', liveness: new Liveness(heartbeatMs, now), fruitful: false }
  }

  ended(): void {
    this.#fruitless = this.#state.is === 'up' && this.#state.fruitful ? 0 : this.#fruitless + 1
    this.#state = { is: 'down' }
  }

  /** Something became durable by it. */
  fruitful(): void {
    this.#fruitless = 0
    if (this.#state.is === 'up') this.#state.fruitful = true
  }

  /** Anything came. */
  sign(now: number): void {
    if (this.#state.is === 'up') this.#state.liveness.sign(now)
  }

  pong(now: number): void {
    if (this.#state.is === 'up') this.#state.liveness.pong(now)
  }

  /** It may have died just now. */
  doubt(now: number): void {
    if (this.#state.is === 'up') this.#state.liveness.doubt(now)
  }

  /** @param bufferedBytes what the socket has not yet handed to the network */
  check(now: number, bufferedBytes: number, chunkBytes: number): 'alive' | 'ping' | 'dead' {
    switch (this.#state.is) {
      case 'down':
        return 'alive'
      case 'connecting':
        // A clock that was set back must not make it last.
        this.#state.since = Math.min(this.#state.since, now)
        return now - this.#state.since >= CONNECT_TIMEOUT_MS ? 'dead' : 'alive'
      case 'up':
        return this.#state.liveness.check(now, bufferedBytes, chunkBytes)
      default:
        return this.#state satisfies never
    }
  }
}
