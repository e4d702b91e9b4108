import { CLOSE_CODES } from '@longtake/contracts/protocol'
import type { ConnectionFailure, ConnectionFailureReason } from '../api.ts'
import { inTimeOr } from '../in-time.ts'
import { pollingUrlOf, withClient } from './ingest-url.ts'
import type { Timers } from './transport.ts'
import { tryTransport } from './web-socket-probe.ts'

/** While the reason stays, it is looked for and said so often. */
export const SAY_EVERY_MS = 60_000
const ANSWER_WITHIN_MS = 5000
const BY_CLOSE_CODE: Readonly<Record<number, ConnectionFailureReason>> = {
  [CLOSE_CODES.malformed]: 'protocol-refused',
  [CLOSE_CODES.unauthorized]: 'token-refused',
  [CLOSE_CODES.overloaded]: 'overloaded',
  [CLOSE_CODES.restarting]: 'restarting',
}

export interface FailedAttempt {
  /** The close code; null where there is none. */
  code: number | null
  wasWelcomed: boolean
  url: string
  /** Null where there was none. */
  token: string | null
  /** By `performance.now()`. */
  retryAt: number
}

/** Says why connections fail. Browsers hide that of WebSockets, so it is found out by HTTPS requests. */
export class ConnectionFailures {
  readonly #say: (failure: ConnectionFailure) => void
  readonly #timers: Timers
  #said: ConnectionFailureReason | undefined
  #saidAt = -Infinity
  #isLooking = false

  constructor(say: (failure: ConnectionFailure) => void, timers: Timers) {
    this.#say = say
    this.#timers = timers
  }

  async failed({ code, wasWelcomed, url, token, retryAt }: FailedAttempt): Promise<void> {
    const known = token === null ? 'no-token' : BY_CLOSE_CODE[code ?? 0]
    // One that worked and was cut off has no reason but the network's.
    if (this.#isLooking || (known === undefined && wasWelcomed)) return
    if (performance.now() - this.#saidAt < SAY_EVERY_MS && (known ?? this.#said) === this.#said) return
    this.#isLooking = true
    const reason = known ?? (await this.#find(url, token ?? ''))
    this.#isLooking = false
    const now = performance.now()
    this.#said = reason
    this.#saidAt = now
    this.#say({ reason, retryInMs: Math.max(0, Math.round(retryAt - now)) })
  }

  async #find(url: string, token: string): Promise<ConnectionFailureReason> {
    if (!navigator.onLine) return 'offline'
    // Any answer will do, also one that this page must not read.
    const asked = fetch(pollingUrlOf(url, 'open'), { mode: 'no-cors' })
    if ((await inTimeOr(asked, ANSWER_WITHIN_MS, null)) === null) return 'unreachable'
    const code = await tryTransport('polling', withClient(url, crypto.randomUUID()), token, this.#timers)
    return code === null ? 'websocket-blocked' : (BY_CLOSE_CODE[code] ?? 'blocked')
  }
}
