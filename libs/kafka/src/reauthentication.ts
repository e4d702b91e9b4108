/**
 * What the repair needs to know of kafkajs's Connection. `sessionLifetime` is a Long of milliseconds, 0 without limit;
 * `authenticatedAt` is of `process.hrtime`, null before the first authentication and after a disconnect.
 */
export interface SaslConnection {
  socket?: { destroy(): unknown }
  sasl: unknown
  authenticatedAt: [seconds: number, nanos: number] | null
  sessionLifetime: { toString(): string }
  reauthenticationThreshold: number
  isAuthenticated(): boolean
  authenticate: (this: SaslConnection) => Promise<void>
  disconnect(): Promise<unknown>
  send: (this: SaslConnection, protocol: SentProtocol) => Promise<unknown>
}

interface SentProtocol {
  request: { apiKey: number }
}

const API_VERSIONS = 18
const SASL_HANDSHAKE = 17
const SASL_AUTHENTICATE = 36
const OUTSIDE_OF_SESSIONS: ReadonlySet<number> = new Set([API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE])

/** Of a session's lifetime; the rest is for requests under way and for the exchange itself, as Java's client leaves it. */
const EARLIEST_SHARE = 0.85

/** Whether a session of this age is to be renewed. All in milliseconds; a lifetime of 0 has no end (KIP-368). */
export function isReauthenticationDue(ageMs: number, lifetimeMs: number, thresholdMs: number): boolean {
  return lifetimeMs > 0 && ageMs >= Math.max(lifetimeMs - thresholdMs, lifetimeMs * EARLIEST_SHARE)
}

class Gate {
  /** Requests that were let through and are not settled. */
  active = 0
  /** True while a request passes that was let through: kafkajs must not begin to authenticate on its own. */
  admitting = false
  renewing: Promise<void> | undefined
  #drained: (() => void) | undefined

  done(): void {
    this.active -= 1
    if (this.active === 0) this.#drained?.()
  }

  async drained(): Promise<void> {
    if (this.active === 0) return
    await new Promise<void>((resolve) => (this.#drained = resolve))
    this.#drained = undefined
  }
}

/**
 * Has a connection renew its session only while no request of its is under way, and hold back all others meanwhile, as
 * brokers demand (KIP-368): they close a connection that sends anything else between handshake and authentication, and
 * kafkajs takes the next answer for that of the authentication, whichever request it belongs to.
 */
export function reauthenticateBetweenRequests(prototype: SaslConnection): void {
  const gates = new WeakMap<SaslConnection, Gate>()
  const gateOf = (connection: SaslConnection): Gate => {
    const gate = gates.get(connection) ?? new Gate()
    gates.set(connection, gate)
    return gate
  }
  const { send, authenticate } = prototype

  const isDue = ({ authenticatedAt, sessionLifetime, reauthenticationThreshold }: SaslConnection): boolean => {
    if (authenticatedAt === null) return false
    const [seconds, nanos] = process.hrtime(authenticatedAt)
    return isReauthenticationDue(seconds * 1000 + nanos / 1e6, Number(sessionLifetime.toString()), reauthenticationThreshold)
  }

  const authenticateOrClose = async (connection: SaslConnection): Promise<void> => {
    try {
      await authenticate.call(connection)
    } catch (error) {
      // The broker may be in the middle of the exchange, where it accepts nothing else.
      await connection.disconnect()
      // Without an end, which would be taken for that of the next socket.
      connection.socket?.destroy()
      throw error
    }
  }

  const renew = async (connection: SaslConnection, gate: Gate): Promise<void> => {
    await gate.drained()
    // It was closed meanwhile, and authenticates when it is opened again.
    if (connection.authenticatedAt !== null) await authenticateOrClose(connection)
  }
  const renewal = (connection: SaslConnection, gate: Gate): Promise<void> =>
    (gate.renewing ??= renew(connection, gate).finally(() => (gate.renewing = undefined)))

  prototype.isAuthenticated = function isAuthenticated() {
    return this.authenticatedAt !== null && (gateOf(this).admitting || !isDue(this))
  }

  prototype.authenticate = function authenticateBetweenRequests() {
    return isDue(this) ? renewal(this, gateOf(this)) : authenticateOrClose(this)
  }

  prototype.send = async function sendWithinSession(protocol) {
    if (!this.sasl || OUTSIDE_OF_SESSIONS.has(protocol.request.apiKey)) return send.call(this, protocol)
    if (this.authenticatedAt === null) await authenticateOrClose(this)
    const gate = gateOf(this)
    for (let renewed = false; gate.renewing !== undefined || (!renewed && isDue(this)); renewed = true) await renewal(this, gate)
    gate.active += 1
    try {
      gate.admitting = true
      let answer: Promise<unknown>
      try {
        answer = send.call(this, protocol)
      } finally {
        gate.admitting = false
      }
      return await answer
    } finally {
      gate.done()
    }
  }
}
