import { ERROR_CODES, type WireErrorCode } from '@longtake/contracts'
import type { Gateway } from './gateway.ts'
import type { Limits } from './limits.ts'
import { answerBody, PollingConnection, type Exchange } from './polling-connection.ts'
import type { Identity } from './upgrade.ts'

/** Connections over HTTP requests, by the key that each client was given. */
export class Polling implements Disposable {
  readonly #gateway: Gateway
  readonly #limits: Limits
  readonly #connections = new Map<string, PollingConnection>()
  readonly #timer: NodeJS.Timeout

  constructor(gateway: Gateway, limits: Limits) {
    this.#gateway = gateway
    this.#limits = limits
    this.#timer = setInterval(() => this.#tick(performance.now()), limits.tickMs)
  }

  /** @param identity from a verified token */
  open(identity: Identity, exchange: Exchange): void {
    const refusal = this.#gateway.refusal()
    if (refusal !== undefined) {
      this.#gateway.refused(identity, refusal)
      return refuse(exchange, refusal)
    }
    const connection = new PollingConnection(identity, this.#limits, exchange, performance.now())
    const live = this.#gateway.connect(connection, identity)
    connection.attach(live)
    // One above its session's limits is answered and forgotten: a token must not fill memory with refusals.
    if (live.refusal === undefined) this.#connections.set(connection.key, connection)
  }

  /** The connection of this key, if it is this client's. */
  find(key: string, { session, client }: Pick<Identity, 'session' | 'client'>): PollingConnection | undefined {
    const connection = this.#connections.get(key)
    return connection?.identity.session === session && connection.identity.client === client ? connection : undefined
  }

  /** Connections, and those that have ended of late. */
  get size(): number {
    return this.#connections.size
  }

  #tick(now: number): void {
    for (const [key, connection] of this.#connections) if (connection.tick(now)) this.#connections.delete(key)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

function refuse(exchange: Exchange, code: WireErrorCode): void {
  const { means, close } = ERROR_CODES[code]
  const error = JSON.stringify({ type: 'error', code, message: means })
  exchange.answer(503, answerBody({ first: 0, closed: { code: close, reason: code } }, [error]))
}
