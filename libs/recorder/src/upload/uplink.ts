import type { ServerMessageOf } from '@longtake/contracts'
import { encodeChunkFrame } from '@longtake/contracts/frame'
import { RecorderError, type ConnectionFailure, type ConnectionState, type RecorderOptions, type TransportKind } from '../api.ts'
import { bothClocks, haveParted } from '../clocks.ts'
import { ConnectionFailures } from './connection-failures.ts'
import { withClient } from './ingest-url.ts'
import { ReadFaults } from './read-faults.ts'
import { retryDelay } from './retry-policy.ts'
import { parseServerMessage } from './server-message.ts'
import type { Spool } from '../spool/spool.ts'
import { openTransport, type Transport } from './transport.ts'
import { TransportChoice } from './transport-choice.ts'
import { webSocketWorks } from './web-socket-probe.ts'
import type { Action } from './action.ts'
import type { UploadSession } from './upload-session.ts'
import type { Cancel, WorkerTimers } from '../worker-timers.ts'

const TICK_MS = 2000
const SAY_AWAY_EVERY_MS = 60_000
const LAST_TRIAL_WITHIN_MS = 6000

export interface UplinkOptions {
  /** With session and client. */
  url: string
  token: RecorderOptions['ingest']['token']
  session: UploadSession
  spool: Spool
  timers: WorkerTimers
}

export interface UplinkEvents {
  /** @param transport while connected */
  connection(state: ConnectionState, transport: TransportKind | null): void
  /** Something was sent, acknowledged or lost. */
  progressed(): void
  error(error: RecorderError): void
  settled(): void
  ended(cause: 'taken-over' | 'deleted'): void
  /** An attempt at a connection failed. Why is looked for only where somebody listens. */
  failed?(failure: ConnectionFailure): void
}

type ChunkJob = Extract<Action, { do: 'send-chunk' }> & { connection: number }

/** Carries out what the upload session says: connects, sends from the spool, and connects again. */
export class Uplink {
  readonly #options: UplinkOptions
  readonly #events: UplinkEvents
  #url: string
  /** Of the current connection, or of the attempt at one; what belongs to an older one is void. */
  #connection = 0
  #transport: Transport | null = null
  readonly #choice = new TransportChoice()
  readonly #failures: ConnectionFailures | null
  /** Of the current connection, or of the attempt at one. */
  #token: string | null = null
  #wasWelcomed = false
  #isProbing = false
  /** The token function was asked, and has not answered. */
  #awaitsToken = false
  /** When the server's time was last learned. */
  #learned = bothClocks()
  #cancelRetry: Cancel | null = null
  #cancelTick: Cancel | null = null
  readonly #outbox: ChunkJob[] = []
  #sending = false
  readonly #readFaults = new ReadFaults()
  /** By `performance.now()`. */
  #saidAwayAt = -Infinity
  readonly #onOnline = (): void => {
    this.#choice.networkChanged(performance.now())
    // An attempt that began without a network would be given up late.
    if (this.#cancelRetry !== null || this.#options.session.isConnecting) this.#connectNow()
    else this.perform(this.#options.session.doubt(Date.now(), this.#transport?.bufferedBytes ?? 0))
  }
  readonly #onVisibility = (): void => {
    if (document.visibilityState === 'visible' && this.#cancelRetry !== null) this.#connectNow()
  }

  constructor(options: UplinkOptions, events: UplinkEvents) {
    this.#options = options
    this.#url = options.url
    this.#events = events
    this.#failures = events.failed === undefined ? null : new ConnectionFailures((failure) => events.failed?.(failure), options.timers)
  }

  start(): void {
    this.#cancelTick = this.#options.timers.every(TICK_MS, () => this.#tick())
    addEventListener('online', this.#onOnline)
    document.addEventListener('visibilitychange', this.#onVisibility)
    void this.#connect()
  }

  /** Ends the connection for good. */
  stop(): void {
    removeEventListener('online', this.#onOnline)
    document.removeEventListener('visibilitychange', this.#onVisibility)
    this.#cancelTick?.()
    this.#cancelRetry?.()
    this.#cancelRetry = null
    this.#dropConnection()
  }

  /** The next connection is another client's. */
  rename(client: string): void {
    this.#url = withClient(this.#url, client)
  }

  /** Where this device's clock was set, or may have been while it slept, another connection learns how far it is off. */
  checkClock(): void {
    if (haveParted(this.#learned, bothClocks())) this.perform(this.#options.session.clockMoved())
  }

  #tick(): void {
    this.checkClock()
    this.perform(this.#options.session.tick(Date.now(), this.#transport?.bufferedBytes ?? 0))
    if (!this.#isProbing && this.#choice.isProbeDue(performance.now())) void this.#probe()
  }

  /** While polling: as soon as a WebSocket works the next connection uses one. */
  async #probe(): Promise<void> {
    this.#isProbing = true
    const { token, timers, session } = this.#options
    try {
      const url = withClient(this.#url, crypto.randomUUID())
      const works = await webSocketWorks(url, typeof token === 'function' ? await token() : token, timers)
      this.#choice.probed(works, performance.now())
      if (works && this.#transport !== null) this.perform(session.reconnect())
    } catch {
      // Without a token nothing is learned; a connection that needs one reports it.
      this.#choice.probed(false, performance.now())
    } finally {
      this.#isProbing = false
    }
  }

  perform(actions: Action[]): void {
    for (const action of actions) this.#perform(action)
    if (actions.length > 0) this.#events.progressed()
  }

  #perform(action: Action): void {
    const { spool } = this.#options
    switch (action.do) {
      case 'send':
        return this.#transport?.send(JSON.stringify(action.message))
      case 'send-chunk':
        this.#outbox.push({ ...action, connection: this.#connection })
        return void this.#sendOutbox()
      case 'forget-chunks':
        return void this.#orReport(spool.forgetChunks(action.part, action.from, action.to, action.outcome), 'durable chunks could not be removed from the spool')
      case 'note-opened':
        return void this.#orReport(spool.noteOpened(action.part, { startedAt: action.startedAt, clockAheadMs: action.clockAheadMs }), 'the spool does not take the start of a part')
      case 'note-reports':
        return void this.#orReport(spool.noteReports(action.reports), 'the spool does not take a report')
      case 'disconnect':
        return this.#dropConnection()
      case 'rename-client':
        return this.rename(crypto.randomUUID())
      case 'reconnect': {
        if (this.#awaitsToken) this.#events.error(new RecorderError('token-failed', 'the token function does not answer'))
        this.#awaitsToken = false
        const isAtOnce = this.#choice.ended(action.code, action.fruitless === 0, performance.now())
        this.#dropConnection()
        this.#events.connection('offline', null)
        const delayMs = isAtOnce ? 0 : retryDelay(action, Math.random())
        this.#cancelRetry = this.#options.timers.after(delayMs, () => void this.#connect())
        // The end of one that was of use is no failure.
        if (action.fruitless > 0) void this.#failures?.failed({ code: action.code, wasWelcomed: this.#wasWelcomed, url: this.#url, token: this.#token, retryAt: performance.now() + delayMs })
        return
      }
      case 'refusal':
        return this.#events.error(new RecorderError('refused', describeRefusal(action.message)))
      case 'end':
        return this.#events.ended(action.cause)
      case 'settled':
        return this.#events.settled()
      default:
        return action satisfies never
    }
  }

  async #connect(): Promise<void> {
    this.#cancelRetry = null
    this.#dropConnection()
    const connection = this.#connection
    const { token, session } = this.#options
    this.#token = null
    this.#wasWelcomed = false
    session.connecting(Date.now())
    this.#events.connection('connecting', null)
    try {
      this.#awaitsToken = typeof token === 'function'
      const current = typeof token === 'function' ? await token() : token
      if (connection !== this.#connection) return
      this.#awaitsToken = false
      this.#token = current
      const events = {
        text: (frame: string) => this.#receive(frame),
        closed: (code: number) => this.perform(session.disconnected(code)),
      }
      this.#choice.connecting(performance.now())
      this.#transport = openTransport(this.#choice.kind, this.#url, current, events, this.#options.timers)
      if (this.#choice.isLastTrial) this.#options.timers.after(LAST_TRIAL_WITHIN_MS, () => this.#endTrial(connection))
    } catch (cause) {
      if (connection !== this.#connection) return
      this.#awaitsToken = false
      this.#events.error(new RecorderError('token-failed', 'there is no token to connect with', { cause }))
      this.perform(session.disconnected(null))
    }
  }

  /** Polling has just been answered: a WebSocket that does not open soon is blocked. */
  #endTrial(connection: number): void {
    if (connection !== this.#connection || !this.#options.session.isConnecting) return
    this.#dropConnection()
    this.perform(this.#options.session.disconnected(null))
  }

  #receive(frame: string): void {
    const { session } = this.#options
    const message = parseServerMessage(frame)
    if (message === 'unknown') return
    if (message === 'malformed') {
      this.#events.error(new RecorderError('refused', 'the server sent a frame that is not of the protocol'))
      this.#dropConnection()
      return this.perform(session.disconnected(null))
    }
    const now = bothClocks()
    if (message.type === 'welcome' && this.#choice.welcomed(now.steady) === 'try-other') return this.#connectNow()
    if (message.type === 'welcome') {
      this.#learned = now
      this.#wasWelcomed = true
    }
    this.perform(session.message(message, now.wall))
    if (message.type !== 'welcome') return
    this.#events.connection('connected', this.#choice.kind)
  }

  /** One chunk at a time, so that memory holds what the socket buffers and one more. */
  async #sendOutbox(): Promise<void> {
    if (this.#sending) return
    this.#sending = true
    for (let job = this.#outbox.shift(); job !== undefined; job = this.#outbox.shift()) await this.#sendChunk(job)
    this.#sending = false
  }

  async #sendChunk({ connection, handle, part, seq, capturedAt }: ChunkJob): Promise<void> {
    if (connection !== this.#connection) return
    const { session, spool } = this.#options
    try {
      const chunk = await spool.readChunk(part, seq)
      if (connection !== this.#connection) return
      if (chunk === 'unreadable') return this.perform(session.chunkDelayed(part, seq, this.#readFaults.failed(part, seq, performance.now()), Date.now()))
      if (typeof chunk === 'string') return this.perform(session.chunkUnreadable(part, seq, chunk))
      this.#readFaults.read()
      this.#transport?.send(encodeChunkFrame({ handle, seq, capturedAt, sha256: chunk.sha256, payload: new Uint8Array(chunk.payload) }))
    } catch (cause) {
      if (connection !== this.#connection) return
      this.#sayAway(cause)
      this.perform(session.chunkDelayed(part, seq, 'store-away', Date.now()))
    }
  }

  /** Every chunk that waits may meet it, again and again. */
  #sayAway(cause: unknown): void {
    if (performance.now() - this.#saidAwayAt < SAY_AWAY_EVERY_MS) return
    this.#saidAwayAt = performance.now()
    this.#events.error(new RecorderError('spool-failed', 'the spool cannot be read now', { cause }))
  }

  /** What only a later page needs: recording goes on without. */
  async #orReport(written: Promise<void>, what: string): Promise<void> {
    try {
      await written
    } catch (cause) {
      this.#events.error(new RecorderError('spool-failed', what, { cause }))
    }
  }

  #dropConnection(): void {
    this.#connection += 1
    this.#transport?.close()
    this.#transport = null
  }

  /** Waits no longer for the next try, or for an answer to this one. */
  #connectNow(): void {
    this.#cancelRetry?.()
    void this.#connect()
  }
}

function describeRefusal({ code, message, track, seq }: ServerMessageOf<'error'>): string {
  const place = track === undefined ? '' : ` (${track}${seq === undefined ? '' : `, chunk ${seq}`})`
  return `${code}: ${message}${place}`
}
