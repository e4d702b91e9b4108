import { hash } from 'node:crypto'
import {
  encodeChunkRecord,
  encodeClientRequest,
  encodeDeclaration,
  encodeEvent,
  ERROR_CODES,
  partitionOf,
  TOPICS,
  type ClientRequest,
  type EncodedRecord,
  type RecordingEvent,
  type TopicKey,
  type WireErrorCode,
} from '@longtake/contracts'
import type { Logger } from '@longtake/service'
import { Backlog } from './backlog-state.ts'
import { Budget, RECORD_OVERHEAD_BYTES } from './budget.ts'
import { Clients } from './clients.ts'
import type { AcceptedChunk, Shipment } from './connection.ts'
import type { Limits } from './limits.ts'
import { LiveConnection, type ConnectionHost, type Socket } from './live-connection.ts'
import { UsageBySession } from './session-usage.ts'
import { endSpan, instruments, startChunkSpan, within } from './telemetry.ts'

export interface GatewayOptions {
  /** Name of this process in events. */
  instance: string
  partitions: number
  maxConnections: number
  inFlightBytes: number
  windowBytes: number
  /** Of acknowledged records that no writer has committed. */
  backlogBytes: number
  limits: Limits
  logger: Logger
  /** A clock that is never set, in milliseconds. Default: `performance.now`. */
  steadyMs?: (this: void) => number
  /** Resolves once Kafka has it on all in-sync replicas. The value must not be changed by then. */
  send(this: void, record: { topic: string; partition: number } & EncodedRecord): Promise<unknown>
}

/** After these the client is elsewhere already, or about to be: what it left needs no early commit. */
const MOVED_ON = new Set([4409, 1012])

/** All connections of this process, and what they share: memory, Kafka, takeovers and the end. */
export class Gateway implements ConnectionHost, Disposable {
  readonly #options: GatewayOptions
  readonly #budget: Budget
  readonly #clients = new Clients<LiveConnection>()
  /** Connections with acks to send at the end of this tick. */
  readonly #unflushed = new Set<LiveConnection>()
  /** Connections with answers that are to be given later. */
  readonly #paced = new Set<LiveConnection>()
  readonly #usage: UsageBySession
  readonly #steadyMs: () => number
  #pacing: NodeJS.Timeout | undefined
  readonly #timer: NodeJS.Timeout
  readonly #backlog: Backlog
  #windowBytes: number
  #draining: (() => void) | undefined

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#budget = new Budget(options.inFlightBytes, options.windowBytes)
    this.#windowBytes = options.windowBytes
    this.#usage = new UsageBySession(options.limits.perSession, (session) => this.#clients.countOf(session) === 0)
    this.#steadyMs = options.steadyMs ?? (() => performance.now())
    this.#backlog = new Backlog(options.backlogBytes, this.#steadyMs())
    this.#timer = setInterval(() => this.#tick(), options.limits.tickMs)
  }

  /** Why a new connection cannot be taken in now. */
  refusal(): WireErrorCode | undefined {
    if (this.#draining) return 'REC_RESTARTING'
    if (this.#backlog.level === 'full') return 'REC_BACKLOG_FULL'
    return this.#clients.all.size >= this.#options.maxConnections || this.#budget.full ? 'REC_OVERLOADED' : undefined
  }

  /** @param fault why the number is only an estimate */
  sawBacklog(records: number, fault?: string): void {
    this.#adaptToBacklog(() => this.#backlog.saw(records, this.#steadyMs(), fault))
    instruments.backlogBytes.record(this.#backlog.bytes)
    instruments.backlogLooks.add(1, { outcome: fault === undefined ? 'seen' : 'estimated' })
  }

  /** @param fault why the backlog could not be seen */
  missedBacklog(fault: string): void {
    this.#adaptToBacklog(() => this.#backlog.missed(fault))
    instruments.backlogLooks.add(1, { outcome: 'failed' })
  }

  #adaptToBacklog(change: () => void): void {
    const before = this.#backlog.level
    change()
    const { level, bytes } = this.#backlog
    if (level === before) return
    const { backlogBytes: limitBytes, logger } = this.#options
    if (level === 'open') logger.info({ level, bytes, limitBytes }, 'backlog of recordings.chunks is below its limit again: chunks are accepted')
    else logger.warn({ level, bytes, limitBytes }, 'backlog of recordings.chunks near its limit: recorders keep their chunks until block-writer has caught up')
    this.#adaptWindows()
  }

  /** For readiness: undefined while the backlog is known and far from its limit. */
  get backlogReason(): string | undefined {
    return this.#backlog.reason
  }

  checkBacklog(): ReturnType<Backlog['check']> {
    return this.#backlog.check(this.#steadyMs(), this.#options.limits.backlogUnseenMs)
  }

  /** A connection that is not taken in: it leaves no trace in Kafka. */
  refused({ session, client }: { session: string; client: string }, reason: WireErrorCode): void {
    const code = ERROR_CODES[reason].close
    instruments.closes.add(1, { code, reason })
    this.#options.logger.debug({ session, client, code, reason }, 'connection refused')
  }

  /**
   * Takes a connection in; one above its session's limits is closed right after.
   * @param identity from a verified token; `expiresAt` in milliseconds since the epoch
   */
  connect(socket: Socket, identity: { session: string; client: string; expiresAt: number }): LiveConnection {
    const { limits } = this.#options
    const now = this.#steadyMs()
    const openedAt = Date.now()
    const usage = this.#usage.of(identity.session, now)
    const refusal = usage.connect(this.#clients.countOf(identity.session), now)
    if (refusal === undefined) this.#divide(this.#clients.all.size + 1)
    const settings = { usage, ...identity, ...limits, windowBytes: this.#windowBytes, sha256, fits: (bytes: number) => this.#budget.fits(bytes), isBacklogFull: () => this.#backlog.level === 'full' }
    const times = { openedAt, steadyMs: this.#steadyMs, connectedEveryMs: limits.connectedEveryMs }
    const connection = new LiveConnection(socket, this, settings, times, refusal)
    if (refusal !== undefined) {
      // Later, so that whoever calls knows the connection by then.
      queueMicrotask(() => connection.end(refusal))
      return connection
    }
    const before = this.#clients.add(connection)
    instruments.connections.add(1, { transport: connection.transport })
    connection.welcome()
    before?.end('REC_TAKEN_OVER')
    this.#sayConnected(connection, openedAt)
    this.#log(connection).debug({ transport: connection.transport }, 'connected')
    return connection
  }

  /** What other services and gateways say about clients. */
  handle(request: ClientRequest): void {
    switch (request.type) {
      case 'resend-requested': {
        const clients = this.#clients.ofSession(request.session)
        const holders = clients.filter((connection) => connection.hasOpened(request.part))
        // After a reload the part may lie in a client's spool and not be opened yet.
        for (const connection of holders.length > 0 ? holders : clients) connection.askAgain(request)
        return
      }
      case 'clients-dismissed':
        for (const connection of this.#clients.ofSession(request.session)) connection.end('REC_DELETED')
        return
      case 'parking-full': {
        const now = this.#steadyMs()
        return this.#usage.of(request.session, now).refuseChunks(now)
      }
      case 'client-moved': {
        const connection = this.#clients.find(request.session, request.client)
        if (connection === undefined) return
        if (connection.id === request.connection) connection.announced = true
        // Both the log and the clock must say that the other one is newer: a takeover missed costs a few duplicates,
        // a wrong one ends a recorder for good.
        else if (connection.announced && Date.parse(request.at) > connection.openedAt) connection.end('REC_TAKEN_OVER')
        return
      }
      default:
        request satisfies never
    }
  }

  /** Takes nothing new, acks what is in flight, and sends all clients away with 1012, after `timeoutMs` in any case. */
  async drain(timeoutMs: number): Promise<void> {
    const { promise: empty, resolve } = Promise.withResolvers<void>()
    this.#draining = resolve
    for (const connection of this.#clients.all) connection.drain()
    if (this.#clients.all.size === 0) resolve()
    const timeout = setTimeout(() => {
      this.#options.logger.warn({ connections: this.#clients.all.size }, 'Kafka has not taken all in time: clients will send it again')
      for (const connection of this.#clients.all) connection.end('REC_RESTARTING')
    }, timeoutMs)
    await empty
    clearTimeout(timeout)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    clearTimeout(this.#pacing)
  }

  ship(connection: LiveConnection, shipment: Shipment): void {
    switch (shipment.kind) {
      case 'chunk':
        return void this.#settle(connection, shipment, this.#sendChunk(connection, shipment.chunk))
      case 'declaration':
        return void this.#settle(connection, shipment, this.#publish('chunks', encodeDeclaration(shipment.declaration)))
      case 'report':
        return void this.#settle(connection, shipment, this.#publish('events', encodeEvent(shipment.event)))
      default:
        shipment satisfies never
    }
  }

  /**
   * Only now is it certain that the client is here: a gateway that was paused, or hung, welcomes whoever gave it up long
   * ago, and must not send them away from where they went.
   */
  answered({ session, client, id, openedAt }: LiveConnection): void {
    this.#notice('resends', encodeClientRequest({ type: 'client-moved', session, client, connection: id, gateway: this.#options.instance, at: iso(openedAt) }))
  }

  ended(connection: LiveConnection, code: number, reason: string): void {
    const { session, client, id } = connection
    if (connection.refusal !== undefined) return this.refused(connection, connection.refusal)
    const at = iso(Date.now())
    instruments.connections.add(-1, { transport: connection.transport })
    instruments.closes.add(1, { code: codeLabel(code), reason })
    this.#unflushed.delete(connection)
    this.#paced.delete(connection)
    const away = this.#clients.remove(connection)
    this.#divide(this.#clients.all.size)
    // In the same lane as its chunks, so behind them.
    if (away && !MOVED_ON.has(code)) this.#notice('chunks', encodeDeclaration({ type: 'client-left', session, client, at }))
    this.#noticeEvent({ type: 'client-disconnected', session, at, client, gateway: this.#options.instance, connection: id, code })
    this.#log(connection).debug({ code, reason }, 'disconnected')
    if (this.#clients.all.size === 0) this.#draining?.()
  }

  async #settle(connection: LiveConnection, shipment: Shipment, sent: Promise<void>): Promise<void> {
    let durable = true
    try {
      await sent
    } catch (error) {
      durable = false
      if (connection.isOpen) this.#log(connection).warn({ error, kind: shipment.kind }, 'Kafka has not taken a record: its client keeps it and is sent away')
    }
    connection.settled(shipment, durable)
    this.#flushSoon(connection)
  }

  async #sendChunk({ session, client }: LiveConnection, chunk: AcceptedChunk): Promise<void> {
    const receivedAt = performance.now()
    const span = startChunkSpan(session, chunk)
    const bytes = chunk.payload.length
    const record = encodeChunkRecord({ ...chunk, session, client, payload: chunk.payload.slice() })
    try {
      await within(span, () => this.#publish('chunks', record))
    } catch (error) {
      endSpan(span, error)
      instruments.chunks.add(1, { outcome: 'failed' })
      throw error
    }
    endSpan(span)
    instruments.chunks.add(1, { outcome: 'acknowledged' })
    instruments.chunkBytes.add(bytes)
    instruments.ackDuration.record((performance.now() - receivedAt) / 1000)
  }

  /** Says what is good to know but not worth more memory than there is. */
  #notice(topic: TopicKey, record: EncodedRecord): void {
    const log = (error: unknown): void => this.#options.logger.warn({ error, session: record.key, kind: record.headers['kind'] }, 'a notice about a client is lost')
    if (!this.#budget.fits(record.value.length)) log('no memory left')
    else this.#publish(topic, record).catch(log)
  }

  #noticeEvent(event: RecordingEvent): void {
    this.#notice('events', encodeEvent(event))
  }

  #sayConnected({ session, client, id }: LiveConnection, at: number): void {
    this.#noticeEvent({ type: 'client-connected', session, at: iso(at), client, gateway: this.#options.instance, connection: id })
  }

  async #publish(topic: TopicKey, record: EncodedRecord): Promise<void> {
    const bytes = record.value.length
    if (topic === 'chunks') this.#backlog.sending(bytes + RECORD_OVERHEAD_BYTES / 2)
    this.#hold(bytes)
    try {
      await this.#options.send({ topic: TOPICS[topic].name, partition: partitionOf(record.key, this.#options.partitions), ...record })
      if (topic === 'chunks') this.#backlog.acknowledged(bytes + RECORD_OVERHEAD_BYTES / 2)
    } finally {
      this.#release(bytes)
    }
  }

  #hold(bytes: number): void {
    this.#budget.take(bytes)
    instruments.inFlightBytes.add(bytes)
    this.#adaptWindows()
  }

  #release(bytes: number): void {
    this.#budget.give(bytes)
    instruments.inFlightBytes.add(-bytes)
    this.#adaptWindows()
  }

  #divide(clients: number): void {
    this.#budget.divide(clients)
    this.#adaptWindows()
  }

  #adaptWindows(): void {
    const windowBytes = this.#backlog.level === 'open' ? this.#budget.windowBytes : 0
    if (windowBytes === this.#windowBytes) return
    this.#windowBytes = windowBytes
    this.#options.logger.info({ windowBytes, inFlightBytes: this.#budget.used }, 'windows change')
    // Read anew for each: sending may end a connection, and that may change windows once more.
    for (const connection of this.#clients.all) connection.resizeWindow(this.#windowBytes)
  }

  // At the end of the tick, so that the chunks of one Kafka batch share an ack.
  #flushSoon(connection: LiveConnection): void {
    if (this.#unflushed.size === 0) setImmediate(() => this.#flush())
    this.#unflushed.add(connection)
  }

  #flush(): void {
    const connections = [...this.#unflushed]
    this.#unflushed.clear()
    for (const connection of connections) this.#flushOne(connection)
  }

  #flushOne(connection: LiveConnection): void {
    connection.flush()
    if (!connection.isPaced || !connection.isOpen) return
    this.#paced.add(connection)
    this.#pacing ??= setTimeout(() => {
      this.#pacing = undefined
      const waiting = [...this.#paced]
      this.#paced.clear()
      for (const paced of waiting) this.#flushOne(paced)
    }, this.#options.limits.pacingMs)
  }

  #tick(): void {
    const { heartbeatMs, connectedEveryMs } = this.#options.limits
    const now = this.#steadyMs()
    const at = Date.now()
    this.#usage.tick(now)
    for (const connection of this.#clients.all) {
      connection.tick(at)
      if (now >= connection.nextPingAt) {
        connection.nextPingAt = now + heartbeatMs
        connection.ping()
      }
      if (now >= connection.nextConnectedAt) {
        connection.nextConnectedAt = now + connectedEveryMs
        this.#sayConnected(connection, at)
      }
    }
  }

  #log({ session, client, id }: LiveConnection): Logger {
    return this.#options.logger.child({ session, client, connection: id })
  }
}

/** Clients may close with any code from 3000 to 4999: as a label these are one. */
const codeLabel = (code: number): number | 'other' => (code < 3000 || CODES.has(code) ? code : 'other')
const CODES: ReadonlySet<number> = new Set(Object.values(ERROR_CODES).flatMap((error) => ('close' in error ? [error.close] : [])))
const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')
const iso = (now: number): string => new Date(now).toISOString()
