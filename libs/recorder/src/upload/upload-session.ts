import type { ClientMessage, ServerMessage, ServerMessageOf } from '@longtake/contracts'
import { CLOSE_CODES, DEFAULT_MAX_CHUNK_BYTES, MAX_HANDLE, type LostCause } from '@longtake/contracts/protocol'
import type { RecorderProgress, Report } from '../api.ts'
import type { SpooledChunk } from './chunk-queue.ts'
import { ServerClock } from './clock.ts'
import type { DelayCause } from './delayed-chunks.ts'
import { Liveness } from './liveness.ts'
import { OutgoingPart, type NewPart } from './outgoing-part.ts'
import { progressByTrack } from '../progress.ts'
import { runsOf } from '../ranges.ts'
import type { RestoredPart } from '../recovery/recovery-plan.ts'

/** What the session's edge has to do, in this order. */
export type Action =
  | { do: 'send'; message: ClientMessage }
  /** Read it from the spool and send it, on this connection only. `capturedAt` is in the server's time. */
  | { do: 'send-chunk'; handle: number; part: string; seq: number; capturedAt: number }
  /** These leave the spool: they are durable on the server or, durably declared there, lost. */
  | { do: 'forget-chunks'; part: string; from: number; to: number; outcome: 'acknowledged' | LostCause }
  /** For a page that comes after this one: how the part's start was told. */
  | { do: 'note-opened'; part: string; startedAt: string; clockAheadMs: number }
  | { do: 'disconnect' }
  /** From the next connection on this recorder goes by another name. */
  | { do: 'rename-client' }
  /** The connection is gone; `fruitless` counts those in a row by which nothing became durable. */
  | { do: 'reconnect'; code: number | null; fruitless: number }
  | { do: 'refusal'; message: ServerMessageOf<'error'> }
  /** No connection may be made any more. */
  | { do: 'end'; cause: 'taken-over' | 'deleted' }
  /** Nothing more comes, and everything is durable. */
  | { do: 'settled' }

/** From the start of a connection to `welcome`. */
export const CONNECT_TIMEOUT_MS = 20_000
/** A welcome cannot say 0, so a window of one byte says it: nothing may be sent. Wider ones let a chunk pass alone. */
const CLOSED_WINDOW_BYTES = 1
/** Servers bound the number of unsettled messages, too, whatever their size. */
const MAX_IN_FLIGHT_CHUNKS = 1024
const MAX_QUEUED_REPORTS = 100
/** Codes that are about one chunk or part, not about the connection. */
const REFUSALS: ReadonlySet<string> = new Set(['REC_DIGEST_MISMATCH', 'REC_NOT_A_RECORDING', 'REC_TOO_LARGE'])

type Link =
  | { state: 'down' }
  | { state: 'connecting'; since: number }
  | { state: 'up'; liveness: Liveness; fruitful: boolean }

/**
 * The client's half of wire protocol v1 as pure rules: what the recorder made, what the server says, the state of the
 * connection and the time go in; actions come out. Times are milliseconds since the epoch by this device's clock.
 */
export class UploadSession {
  readonly #parts = new Map<string, OutgoingPart>()
  readonly #clock = new ServerClock()
  #link: Link = { state: 'down' }
  #handles = new Map<number, OutgoingPart>()
  #windowBytes = 0
  #maxChunkBytes = DEFAULT_MAX_CHUNK_BYTES
  #fruitless = 0
  #reports: Report[] = []
  #ending: 'open' | 'finish-asked' | 'over' = 'open'
  #over = false
  readonly #ownsClient: boolean

  /** @param ownsClient the client's name was made here, for what is recorded here: nobody can rightly take it over */
  constructor({ ownsClient = false }: { ownsClient?: boolean } = {}) {
    this.#ownsClient = ownsClient
  }

  /** Chunks must not be larger. */
  get maxChunkBytes(): number {
    return this.#maxChunkBytes
  }

  get isUp(): boolean {
    return this.#link.state === 'up'
  }

  /** When the oldest chunk was captured that only this computer has; null if there is none. */
  get oldestWaitingAt(): number | null {
    const oldest = [...this.#parts.values()].flatMap(({ oldestWaitingAt }) => oldestWaitingAt ?? [])
    return oldest.length === 0 ? null : Math.min(...oldest)
  }

  get isConnecting(): boolean {
    return this.#link.state === 'connecting'
  }

  openPart(part: NewPart): Action[] {
    this.#parts.set(part.part, new OutgoingPart(part))
    return this.#goOn()
  }

  /** A part of a page that is gone; before the first connection. */
  restorePart(part: RestoredPart): void {
    this.#parts.set(part.part, OutgoingPart.restored(part))
  }

  /** The chunk is in the spool; chunks of a part come in the order of their seq. */
  chunkSpooled(part: string, chunk: SpooledChunk): Action[] {
    this.#known(part).spooled(chunk)
    return this.#goOn()
  }

  /** The chunk could not be put into the spool. */
  chunkNotKept(part: string, chunk: SpooledChunk, cause: LostCause): Action[] {
    this.#known(part).notKept(chunk, cause)
    return this.#goOn()
  }

  /** The spool does not give a chunk now that was to be sent: the others go on, and it is read again later. */
  chunkDelayed(part: string, seq: number, cause: DelayCause, now: number): Action[] {
    this.#known(part).delay(seq, cause, now)
    return this.#goOn()
  }

  /** The spool does not have a chunk that was to be sent, or not as it was. */
  chunkUnreadable(part: string, seq: number, cause: 'spool-cleared' | 'corrupt'): Action[] {
    this.#known(part).giveUp(seq, cause)
    return this.#goOn()
  }

  /** The part has exactly the chunks 0 … chunks-1. */
  closePart(part: string, chunks: number, clean: boolean): Action[] {
    const closing = this.#known(part)
    closing.close(chunks, clean)
    const message = closing.closeMessage()
    return this.isUp && message !== null ? [{ do: 'send', message }, ...this.#goOn()] : this.#goOn()
  }

  /** The session is over, with the parts opened here. Nothing may be opened afterwards. */
  finish(): Action[] {
    this.#ending = 'finish-asked'
    return this.isUp ? [this.#finishMessage(), ...this.#goOn()] : this.#goOn()
  }

  /** Nothing more comes from here, but the session goes on without. */
  leave(): Action[] {
    this.#ending = 'over'
    return this.#goOn()
  }

  report(report: Report): Action[] {
    if (this.isUp) return [this.#reportMessage(report)]
    this.#reports = [...this.#reports, report].slice(-MAX_QUEUED_REPORTS)
    return []
  }

  connecting(now: number): void {
    this.#link = { state: 'connecting', since: now }
  }

  /** A text frame of the server, read. */
  message(message: ServerMessage, now: number): Action[] {
    if (this.#link.state === 'down' || this.#over) return []
    if (message.type === 'welcome') return this.#welcome(message, now)
    if (this.#link.state !== 'up') return message.type === 'error' ? this.#error(message) : []
    this.#link.liveness.sign(now)
    switch (message.type) {
      case 'window':
        this.#windowBytes = message.windowBytes
        return this.#goOn()
      case 'ack':
        return this.#ack(message)
      case 'durable':
        return this.#durable(message)
      case 'resend': {
        // What is not of this recorder is for another one to answer.
        const part = this.#parts.get(message.part)
        const answers = part?.track === message.track ? part.answer(message.from, message.to) : []
        return answers.map((answer) => ({ do: 'send', message: answer }))
      }
      case 'pong':
        this.#link.liveness.pong(now)
        return []
      case 'error':
        return this.#error(message)
      default:
        return message satisfies never
    }
  }

  /** @param code the WebSocket's close code; null when no socket came about */
  disconnected(code: number | null): Action[] {
    if (this.#link.state === 'down' || this.#over) return []
    this.#fruitless = this.#link.state === 'up' && this.#link.fruitful ? 0 : this.#fruitless + 1
    this.#down()
    const reconnect: Action = { do: 'reconnect', code, fruitless: this.#fruitless }
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
    const due = [...this.#parts.values()].filter((part) => part.retryDelayed(now))
    return [...(due.length > 0 ? this.#goOn() : []), ...this.#checkLink(now, bufferedBytes)]
  }

  #checkLink(now: number, bufferedBytes: number): Action[] {
    if (this.#link.state === 'connecting') {
      // A clock that was set back must not make it last.
      this.#link.since = Math.min(this.#link.since, now)
      return now - this.#link.since >= CONNECT_TIMEOUT_MS ? this.#abandon() : []
    }
    if (this.#link.state === 'down') return []
    const verdict = this.#link.liveness.check(now, bufferedBytes)
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
    if (this.#link.state !== 'up') return []
    this.#link.liveness.doubt(now)
    return this.#checkLink(now, bufferedBytes)
  }

  /** What `welcome` told of this device's clock holds no longer: another connection tells it anew. */
  clockMoved(): Action[] {
    return this.isUp ? this.#abandon() : []
  }

  progress(): RecorderProgress {
    return progressByTrack(this.#parts.values())
  }

  /** The parts of each track, in the order in which they were opened. */
  partsByTrack(): Record<string, string[]> {
    const tracks: Record<string, string[]> = {}
    for (const { track, part } of this.#parts.values()) (tracks[track] ??= []).push(part)
    return tracks
  }

  #welcome({ serverTime, maxChunkBytes, windowBytes, heartbeatMs }: ServerMessageOf<'welcome'>, now: number): Action[] {
    if (this.#link.state !== 'connecting') return []
    this.#clock.learn(serverTime, now)
    this.#maxChunkBytes = maxChunkBytes
    this.#windowBytes = windowBytes
    this.#link = { state: 'up', liveness: new Liveness(heartbeatMs, now), fruitful: false }
    const closes = [...this.#parts.values()].flatMap((part) => part.closeMessage() ?? [])
    const reports = this.#reports.splice(0)
    // Chunks first need their handles, and those who declare early let the server know what it waits for.
    return [
      ...this.#openParts(),
      ...closes.map((message): Action => ({ do: 'send', message })),
      ...(this.#ending === 'finish-asked' ? [this.#finishMessage()] : []),
      ...reports.map((report) => this.#reportMessage(report)),
      ...this.#goOn(),
    ]
  }

  #ack({ handle, from, to }: ServerMessageOf<'ack'>): Action[] {
    const part = this.#handles.get(handle)
    const chunks = part?.acknowledge(from, to) ?? []
    if (part === undefined || chunks.length === 0) return []
    this.#fruitful()
    const forget = runsOf(chunks.map(({ seq }) => seq)).map(([first, last]): Action => ({ do: 'forget-chunks', part: part.part, from: first, to: last, outcome: 'acknowledged' }))
    return [...forget, ...this.#goOn()]
  }

  #durable({ of, part: name }: ServerMessageOf<'durable'>): Action[] {
    this.#fruitful()
    if (of === 'finish') {
      if (this.#ending === 'finish-asked') this.#ending = 'over'
      return this.#goOn()
    }
    const part = this.#parts.get(name ?? '')
    const lost = part?.durable(of) ?? []
    return [...lost.map(({ from, to, cause }): Action => ({ do: 'forget-chunks', part: name ?? '', from, to, outcome: cause })), ...this.#goOn()]
  }

  /** Said just before a close, which decides what becomes of the connection. */
  #error(message: ServerMessageOf<'error'>): Action[] {
    if (REFUSALS.has(message.code)) this.#parts.get(message.part ?? '')?.refuse(message.seq)
    return [{ do: 'refusal', message }]
  }

  #goOn(): Action[] {
    if (this.#over) return []
    const actions = this.isUp ? [...this.#openParts(), ...this.#sendChunks(), ...this.#sayLosses()] : []
    if (this.#ending === 'over' && this.#allSettled()) {
      this.#over = true
      return [...actions, { do: 'settled' }]
    }
    return this.isUp && this.#outOfHandles() ? [...actions, ...this.#abandon()] : actions
  }

  #openParts(): Action[] {
    const actions: Action[] = []
    for (const part of this.#parts.values()) {
      if (!part.wantsHandle || this.#handles.size > MAX_HANDLE) continue
      const handle = this.#handles.size
      this.#handles.set(handle, part)
      const isFirst = part.startedAtSaid === null
      const message = part.openMessage(handle, this.#clock.toServerIso(part.startedAt))
      if (isFirst) actions.push({ do: 'note-opened', part: part.part, startedAt: message.startedAt, clockAheadMs: this.#clock.aheadMs })
      actions.push({ do: 'send', message })
    }
    return actions
  }

  /** Oldest first, over all tracks, as far as the window goes. */
  #sendChunks(): Action[] {
    const actions: Action[] = []
    for (let part = this.#oldest(); part !== undefined; part = this.#oldest()) {
      const next = part.waiting.first()!
      if (next.bytes > this.#maxChunkBytes) {
        part.giveUp(next.seq, 'too-large')
        continue
      }
      if (!this.#fits(next.bytes)) break
      part.send()
      actions.push({ do: 'send-chunk', handle: part.handle!, part: part.part, seq: next.seq, capturedAt: this.#clock.toServer(next.capturedAt, part.clockAheadMs) })
    }
    return actions
  }

  #oldest(): OutgoingPart | undefined {
    let oldest: OutgoingPart | undefined
    for (const part of this.#handles.values()) {
      const first = part.waiting.first()
      if (first !== undefined && first.capturedAt < (oldest?.waiting.first()?.capturedAt ?? Infinity)) oldest = part
    }
    return oldest
  }

  #fits(bytes: number): boolean {
    const inFlight = [...this.#handles.values()].map((part) => part.inFlight)
    const chunks = inFlight.reduce((sum, amount) => sum + amount.chunks, 0)
    if (this.#windowBytes <= CLOSED_WINDOW_BYTES || chunks >= MAX_IN_FLIGHT_CHUNKS) return false
    return chunks === 0 || inFlight.reduce((sum, amount) => sum + amount.bytes, bytes) <= this.#windowBytes
  }

  #sayLosses(): Action[] {
    return [...this.#parts.values()].flatMap((part) => part.lostMessages()).map((message) => ({ do: 'send', message }))
  }

  #fruitful(): void {
    this.#fruitless = 0
    if (this.#link.state === 'up') this.#link.fruitful = true
  }

  /** Handles are bound for a connection's life: when all are used up by parts that are done, another connection has new ones. */
  #outOfHandles(): boolean {
    if (this.#handles.size <= MAX_HANDLE) return false
    const wanting = [...this.#parts.values()].some((part) => part.wantsHandle)
    const bound = [...this.#handles.values()]
    // All that can be done on this connection is done first: what is in flight when it ends is sent once more.
    return wanting && bound.some((part) => part.isIdle) && bound.every((part) => part.isIdle || part.closed === null)
  }

  #allSettled(): boolean {
    return [...this.#parts.values()].every((part) => part.settled)
  }

  #abandon(): Action[] {
    return [{ do: 'disconnect' }, ...this.disconnected(null)]
  }

  #down(): void {
    this.#link = { state: 'down' }
    this.#handles = new Map()
    for (const part of this.#parts.values()) part.disconnected()
  }

  #end(cause: 'taken-over' | 'deleted'): Action[] {
    this.#over = true
    return [{ do: 'end', cause }]
  }

  #finishMessage(): Action {
    return { do: 'send', message: { type: 'finish', parts: this.partsByTrack() } }
  }

  #reportMessage({ at, ...report }: Report): Action {
    return { do: 'send', message: { type: 'report', ...report, at: this.#clock.toServerIso(at) } }
  }

  #known(part: string): OutgoingPart {
    const known = this.#parts.get(part)
    if (known === undefined) throw new Error(`part ${part} was never opened`)
    return known
  }
}
