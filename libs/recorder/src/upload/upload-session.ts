import type { ServerMessage, ServerMessageOf } from '@longtake/contracts'
import { CLOSE_CODES, type LostCause } from '@longtake/contracts/protocol'
import type { RecorderProgress } from '../api.ts'
import { runsOf } from '../ranges.ts'
import type { RestoredPart } from '../recovery/recovery-plan.ts'
import type { Action } from './action.ts'
import type { SpooledChunk } from './chunk-queue.ts'
import { ServerClock } from './clock.ts'
import type { DelayCause } from './delayed-chunks.ts'
import { Link } from './link.ts'
import { OutgoingPart, type NewPart } from './outgoing-part.ts'
import { OutgoingParts } from './outgoing-parts.ts'
import { OutgoingReports, type OutgoingReport } from './outgoing-reports.ts'

/** How many ticks the end waits for the last reports: servers of before their ids do not answer them. */
const REPORT_TICKS = 2
/** After each chunk the line is left free for so many times as long as that took. */
const REST = 4
const LONGEST_REST_MS = 60_000
/** Codes that are about one chunk or part, not about the connection. */
const REFUSALS: ReadonlySet<string> = new Set(['REC_DIGEST_MISMATCH', 'REC_NOT_A_RECORDING', 'REC_TOO_LARGE'])

/**
 * The client's half of wire protocol v1 as pure rules: what the recorder made, what the server says, the state of the
 * connection and the time go in; actions come out. Times are milliseconds since the epoch by this device's clock.
 */
export class UploadSession {
  readonly #clock = new ServerClock()
  readonly #parts = new OutgoingParts(this.#clock)
  readonly #link = new Link()
  readonly #reports = new OutgoingReports()
  #ticksAtEnd = 0
  #ending: 'open' | 'finish-asked' | 'over' = 'open'
  #scope: 'session' | undefined
  /** Sent on this connection, and not known to be durable. */
  #finishesInFlight = 0
  #over = false
  #yields = false
  /** Of the chunk that was sent last while it yields, and until when none follows. */
  #sentAt = 0
  #restUntil = 0
  readonly #ownsClient: boolean

  /** @param ownsClient the client's name was made here, for what is recorded here: nobody can rightly take it over */
  constructor({ ownsClient = false }: { ownsClient?: boolean } = {}) {
    this.#ownsClient = ownsClient
  }

  /** Chunks must not be larger. */
  get maxChunkBytes(): number {
    return this.#parts.maxChunkBytes
  }

  /**
   * Leaves most of the line to others: one chunk at a time, each followed by a rest four times as long. TCP alone would give a
   * recovery as much of the line as a recording that is going on.
   */
  yieldLine(yields: boolean): Action[] {
    if (yields === this.#yields) return []
    this.#yields = yields
    this.#parts.pace = yields ? 'one' : 'window'
    return this.#goOn()
  }

  get isUp(): boolean {
    return this.#link.isUp
  }

  /** When the oldest chunk was captured that only this computer has; null if there is none. */
  get oldestWaitingAt(): number | null {
    return this.#parts.oldestWaitingAt
  }

  get isConnecting(): boolean {
    return this.#link.isConnecting
  }

  openPart(part: NewPart): Action[] {
    this.#parts.add(new OutgoingPart(part))
    return this.#goOn()
  }

  /** A part of a page that is gone; before the first connection. */
  restorePart(part: RestoredPart): void {
    this.#parts.add(OutgoingPart.restored(part))
  }

  /** The chunk is in the spool; chunks of a part come in the order of their seq. */
  chunkSpooled(part: string, chunk: SpooledChunk): Action[] {
    this.#parts.find(part)?.spooled(chunk)
    return this.#goOn()
  }

  /** The chunk could not be put into the spool. */
  chunkNotKept(part: string, chunk: SpooledChunk, cause: LostCause): Action[] {
    this.#parts.find(part)?.notKept(chunk, cause)
    return this.#goOn()
  }

  /** The spool does not give a chunk now that was to be sent: the others go on, and it is read again later. */
  chunkDelayed(part: string, seq: number, cause: DelayCause, now: number): Action[] {
    this.#parts.find(part)?.delay(seq, cause, now)
    return this.#goOn()
  }

  /** The spool does not have a chunk that was to be sent, or not as it was. */
  chunkUnreadable(part: string, seq: number, cause: 'spool-cleared' | 'corrupt'): Action[] {
    this.#parts.find(part)?.giveUp(seq, cause)
    return this.#goOn()
  }

  /** The part has exactly the chunks 0 … chunks-1. */
  closePart(part: string, chunks: number, clean: boolean): Action[] {
    const closing = this.#parts.find(part)
    closing?.close(chunks, clean)
    const message = closing?.closeMessage() ?? null
    return this.isUp && message !== null ? [{ do: 'send', message }, ...this.#goOn()] : this.#goOn()
  }

  /** No more comes from here. Nothing may be opened afterwards. @param scope the session is over for all clients, too */
  finish(scope?: 'session'): Action[] {
    this.#ending = 'finish-asked'
    this.#scope = scope
    return this.isUp ? [this.#finishMessage(), ...this.#goOn()] : this.#goOn()
  }

  /** Another page has this client's parts now, and sends them. What is still said of them here is ignored. */
  dropParts(): Action[] {
    this.#parts.drop()
    return this.reconnect()
  }

  has(part: string): boolean {
    return this.#parts.find(part) !== undefined
  }

  /** Nothing more comes from here, but the session goes on without. */
  leave(): Action[] {
    this.#ending = 'over'
    return this.#goOn()
  }

  /** With an id it is kept, and sent again on other connections, until it is durable; without one it is sent once. */
  report(report: OutgoingReport): Action[] {
    if (this.#over) return []
    const isKept = report.id !== undefined
    if (!isKept && this.isUp) return [this.#reportMessage(report)]
    const added = this.#reports.add(report)
    return [...(isKept ? [this.#noteReports()] : []), ...(this.isUp ? [this.#reportMessage(added)] : [])]
  }

  connecting(now: number): void {
    this.#link.connecting(now)
  }

  /** A text frame of the server, read. */
  message(message: ServerMessage, now: number): Action[] {
    if (this.#link.isDown || this.#over) return []
    if (message.type === 'welcome') return this.#welcome(message, now)
    if (!this.isUp) return message.type === 'error' ? this.#error(message) : []
    this.#link.sign(now)
    switch (message.type) {
      case 'window':
        this.#parts.windowBytes = message.windowBytes
        return this.#goOn()
      case 'ack':
        return this.#ack(message, now)
      case 'durable':
        return this.#durable(message)
      case 'resend': {
        // What is not of this recorder is for another one to answer.
        const part = this.#parts.find(message.part)
        const answers = part?.track === message.track ? part.answer(message.from, message.to) : []
        return answers.map((answer) => ({ do: 'send', message: answer }))
      }
      case 'pong':
        this.#link.pong(now)
        return []
      case 'error':
        return this.#error(message)
      default:
        return message satisfies never
    }
  }

  /** @param code the WebSocket's close code; null when no socket came about */
  disconnected(code: number | null): Action[] {
    if (this.#link.isDown || this.#over) return []
    this.#link.ended()
    this.#parts.disconnected()
    this.#finishesInFlight = 0
    const reconnect: Action = { do: 'reconnect', code, fruitless: this.#link.fruitless }
    switch (code) {
      case CLOSE_CODES.takenOver:
        // A ghost of an earlier connection is no reason to record no more. By another name none is in the other's way.
        return this.#ownsClient ? [{ do: 'rename-client' }, reconnect] : this.#end('taken-over')
      case CLOSE_CODES.deleted:
        return this.#end('deleted')
      default:
        return [reconnect]
    }
  }

  /**
   * To be called every few seconds: tries again what was delayed, keeps the connection alive and finds out that it is dead.
   * @param bufferedBytes what the socket has not yet handed to the network
   */
  tick(now: number, bufferedBytes: number): Action[] {
    if (this.isUp && this.#ending === 'over' && this.#parts.allSettled && ++this.#ticksAtEnd >= REPORT_TICKS) this.#reports.clear()
    const isRested = this.#yields && this.#parts.pace === 'none' && (now >= this.#restUntil || this.#restUntil - now > LONGEST_REST_MS)
    if (isRested) {
      this.#parts.pace = 'one'
      this.#sentAt = now
    }
    const isMore = this.#parts.retryDelayed(now) || isRested || this.#ticksAtEnd >= REPORT_TICKS
    return [...(isMore ? this.#goOn() : []), ...this.#checkLink(now, bufferedBytes)]
  }

  #checkLink(now: number, bufferedBytes: number): Action[] {
    const verdict = this.#link.check(now, bufferedBytes, this.#parts.largestInFlight)
    switch (verdict) {
      case 'alive':
        return []
      case 'ping':
        return [{ do: 'send', message: { type: 'ping', t: now } }]
      case 'dead':
        return this.#abandon()
      default:
        return verdict satisfies never
    }
  }

  /** The network has changed: an open connection may be dead. */
  doubt(now: number, bufferedBytes: number): Action[] {
    if (!this.isUp) return []
    this.#link.doubt(now)
    return this.#checkLink(now, bufferedBytes)
  }

  /** What `welcome` told of this device's clock holds no longer: another connection tells it anew. */
  clockMoved(): Action[] {
    return this.reconnect()
  }

  /** Another connection is to take the place of the one that is up. */
  reconnect(): Action[] {
    return this.isUp ? this.#abandon() : []
  }

  progress(): RecorderProgress {
    return this.#parts.progress
  }

  #welcome({ serverTime, maxChunkBytes, windowBytes, heartbeatMs }: ServerMessageOf<'welcome'>, now: number): Action[] {
    if (!this.#link.isConnecting) return []
    this.#clock.learn(serverTime, now)
    this.#parts.maxChunkBytes = maxChunkBytes
    this.#parts.windowBytes = windowBytes
    this.#link.welcomed(heartbeatMs, now)
    this.#sentAt = now
    // Chunks first need their handles, and those who declare early let the server know what it waits for.
    return [
      ...this.#parts.open(),
      ...this.#parts.sayCloses(),
      ...this.#reports.connected().map((report) => this.#reportMessage(report)),
      ...(this.#ending === 'finish-asked' ? [this.#finishMessage()] : []),
      ...this.#goOn(),
    ]
  }

  #ack({ handle, from, to }: ServerMessageOf<'ack'>, now: number): Action[] {
    const part = this.#parts.ofHandle(handle)
    const chunks = part?.acknowledge(from, to) ?? []
    if (part === undefined || chunks.length === 0) return []
    this.#link.fruitful()
    if (this.#yields) {
      this.#parts.pace = 'none'
      this.#restUntil = now + Math.min(LONGEST_REST_MS, REST * (now - this.#sentAt))
    }
    const forget = runsOf(chunks.map(({ seq }) => seq)).map(([first, last]): Action => ({ do: 'forget-chunks', part: part.part, from: first, to: last, outcome: 'acknowledged' }))
    return [...forget, ...this.#goOn()]
  }

  #durable({ of, part: name, id }: ServerMessageOf<'durable'>): Action[] {
    this.#link.fruitful()
    if (of === 'report') return [...this.#reports.durable(id).map((report) => this.#reportMessage(report)), this.#noteReports(), ...this.#goOn()]
    if (of === 'finish') {
      this.#finishesInFlight--
      if (this.#ending === 'finish-asked' && this.#finishesInFlight <= 0) this.#ending = 'over'
      return this.#goOn()
    }
    const part = this.#parts.find(name ?? '')
    const lost = part?.durable(of) ?? []
    return [...lost.map(({ from, to, cause }): Action => ({ do: 'forget-chunks', part: name ?? '', from, to, outcome: cause })), ...this.#goOn()]
  }

  /** Said just before a close, which decides what becomes of the connection. */
  #error(message: ServerMessageOf<'error'>): Action[] {
    if (REFUSALS.has(message.code)) this.#parts.find(message.part ?? '')?.refuse(message.seq)
    return [{ do: 'refusal', message }]
  }

  #goOn(): Action[] {
    if (this.#over) return []
    const actions = this.isUp ? [...this.#parts.open(), ...this.#parts.sendChunks(), ...this.#parts.sayLosses()] : []
    if (this.#ending === 'over' && this.#parts.allSettled && this.#reports.spooled.length === 0) {
      this.#over = true
      return [...actions, { do: 'settled' }]
    }
    return this.isUp && this.#parts.isOutOfHandles ? [...actions, ...this.#abandon()] : actions
  }

  #abandon(): Action[] {
    return [{ do: 'disconnect' }, ...this.disconnected(null)]
  }

  #end(cause: 'taken-over' | 'deleted'): Action[] {
    this.#over = true
    return [{ do: 'end', cause }]
  }

  #finishMessage(): Action {
    this.#finishesInFlight++
    return { do: 'send', message: { type: 'finish', parts: this.#parts.byTrack, ...(this.#scope === undefined ? {} : { scope: this.#scope }) } }
  }

  #noteReports(): Action {
    return { do: 'note-reports', reports: this.#reports.spooled }
  }

  #reportMessage({ at, ...report }: OutgoingReport): Action {
    return { do: 'send', message: { type: 'report', ...report, at: this.#clock.toServerIso(at) } }
  }
}
