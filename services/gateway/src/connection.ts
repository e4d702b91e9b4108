import {
  decodeChunkFrame,
  ERROR_CODES,
  FRAME_HEADER_BYTES,
  isWireFault,
  parseClientMessage,
  type ClientMessage,
  type ClientMessageOf,
  type Declaration,
  type EventOf,
  type ServerMessage,
  type ServerMessageOf,
  type WireErrorCode,
} from '@longtake/contracts'
import { sniff } from '@longtake/webm'
import { Acks } from './acks.ts'
import { isRecordingType } from './recording-type.ts'
import type { SessionUsage } from './session-usage.ts'
import { Window } from './window.ts'

export interface ConnectionSettings {
  session: string
  client: string
  /** When its token runs out, in milliseconds since the epoch. */
  expiresAt: number
  maxChunkBytes: number
  windowBytes: number
  heartbeatMs: number
  /** Chunks and declarations that may be unsettled at once, however small. */
  maxInFlightRecords: number
  windowGraceMs: number
  /** Lower-case hex. */
  sha256(this: void, bytes: Uint8Array): string
  /** Whether the process has memory for another record of this size. */
  fits(this: void, bytes: number): boolean
  /** Whether so much is acknowledged and not yet in storage that no more chunks are taken. */
  isBacklogFull(this: void): boolean
  /** What the session uses, with all its connections. */
  usage: SessionUsage
}

export interface AcceptedChunk {
  handle: number
  track: string
  part: string
  seq: number
  /** Lower-case hex; it is the payload's. */
  sha256: string
  capturedAt: number
  /** A view into the received frame: copy it before that is reused. */
  payload: Uint8Array
}

/** What goes to Kafka. */
type Content =
  | { kind: 'chunk'; bytes: number; chunk: AcceptedChunk }
  | { kind: 'declaration'; bytes: number; declaration: Declaration; answer: ServerMessageOf<'durable'> }
  | { kind: 'report'; bytes: number; event: EventOf<'client-reported'>; answer: ServerMessageOf<'durable'> | null }

/** Given back to `settled` once its fate is known. `answerAt`: when it may be answered at the earliest, as `now` counts. */
export type Shipment = Content & { answerAt: number }

/** What the connection's edge has to do, in this order. */
export type Step =
  | { do: 'send'; message: ServerMessage }
  | { do: 'publish'; shipment: Shipment }
  | { do: 'close'; code: number; reason: WireErrorCode }
  | { do: 'count-unknown' }

interface BoundPart {
  track: string
  part: string
}
type ErrorPlace = Pick<ServerMessageOf<'error'>, 'track' | 'part' | 'seq'>

/**
 * One connection of wire protocol v1, as pure rules: frames, Kafka's outcomes and the time go in, steps come out.
 * Times are milliseconds: `at` since the epoch, `now` of a clock that is never set, by which rates and answers are paced.
 * Once closed it answers nothing any more.
 */
export class Connection {
  readonly #settings: ConnectionSettings
  readonly #window: Window
  readonly #acks = new Acks()
  readonly #handles = new Map<number, BoundPart>()
  /** The latest unsettled chunk of each handle and seq. */
  readonly #chunks = new Map<number, Shipment>()
  /** By handle the seq behind the highest that was accepted. */
  readonly #nextSeqs = new Map<number, number>()
  /** Durable, but to be answered later: until then they count as in flight. */
  #paced: Shipment[] = []
  #inFlight = 0
  #state: 'open' | 'draining' | 'closed' = 'open'

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
    this.#window = new Window(settings.windowBytes, settings.windowGraceMs)
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Whether something durable is answered only later. */
  get isPaced(): boolean {
    return this.#paced.length > 0
  }

  /** Chunks and declarations that are neither answered nor failed. */
  get inFlight(): number {
    return this.#inFlight
  }

  hasOpened(part: string): boolean {
    return this.#handles.values().some((bound) => bound.part === part)
  }

  welcome(at: number): Step[] {
    const { session, maxChunkBytes, heartbeatMs } = this.#settings
    // A window of 0 cannot be said in a welcome: of 1 byte it stops a client as well.
    const windowBytes = Math.max(1, this.#window.bytes)
    return [{ do: 'send', message: { type: 'welcome', session, serverTime: iso(at), maxChunkBytes, windowBytes, heartbeatMs } }]
  }

  receiveText(text: string, now: number, at: number = now): Step[] {
    if (this.#state !== 'open') return []
    const refusal = this.#settings.usage.receive(text.length, now) ?? this.#settings.usage.text(now)
    if (refusal !== undefined) return this.end(refusal)
    const message = parseClientMessage(text)
    if (!isWireFault(message)) return this.#receive(message, text.length, now, iso(at))
    if (message.fault === 'unknown-type') return [{ do: 'count-unknown' }]
    return this.end('REC_MALFORMED', message.details)
  }

  /** @param frame may be reused by the caller after the steps are taken */
  receiveBinary(frame: Uint8Array, now: number): Step[] {
    if (this.#state !== 'open') return []
    const refusal = this.#settings.usage.receive(frame.length, now)
    if (refusal !== undefined) return this.end(refusal)
    const decoded = decodeChunkFrame(frame)
    if (typeof decoded === 'string') return this.end('REC_MALFORMED', `a binary frame is no chunk: ${decoded}`)
    const { handle, seq, payload, capturedAt } = decoded
    const bound = this.#handles.get(handle)
    if (bound === undefined) return this.end('REC_UNKNOWN_HANDLE', `handle ${handle} was not opened on this connection`, { seq })
    const place = { ...bound, seq }
    if (payload.length > this.#settings.maxChunkBytes) return this.#tooLarge(frame.length, place)
    const claimed = Buffer.from(decoded.sha256.buffer, decoded.sha256.byteOffset, decoded.sha256.byteLength).toString('hex')
    const key = chunkKey(handle, seq)
    const known = this.#chunks.get(key)
    const repeated = known?.kind === 'chunk' && known.chunk.sha256 === claimed
    const refused = repeated ? undefined : this.#settings.usage.chunk(now)
    if (refused !== undefined) return this.end(refused, undefined, place)
    if (!repeated && this.#settings.isBacklogFull()) return this.end('REC_BACKLOG_FULL', undefined, place)
    if (!repeated && !this.#window.admits(payload.length, now)) return this.end('REC_WINDOW_EXCEEDED', `the window is ${this.#window.bytes} bytes`, place)
    if (this.#settings.sha256(payload) !== claimed) return this.end('REC_DIGEST_MISMATCH', 'the payload does not hash to its digest', place)
    // Already on its way to Kafka: the ack of the first one holds for both.
    if (repeated) return []
    if (seq === 0 && sniff(payload) === 'unknown') return this.end('REC_NOT_A_RECORDING', 'chunk 0 does not begin like WebM, Matroska or MP4', place)
    const next = this.#nextSeqs.get(handle) ?? 0
    const tooManyHoles = seq > next ? this.#settings.usage.hole(now) : undefined
    if (tooManyHoles !== undefined) return this.end(tooManyHoles, undefined, place)
    this.#nextSeqs.set(handle, Math.max(next, seq + 1))
    const chunk = { handle, ...bound, seq, sha256: claimed, capturedAt, payload }
    const steps = this.#publish({ kind: 'chunk', bytes: payload.length, chunk }, now)
    const shipment = steps[0]
    if (shipment?.do === 'publish') {
      this.#window.hold(payload.length)
      this.#chunks.set(key, shipment.shipment)
    }
    return steps
  }

  /** An HTTP request, where there is no WebSocket. */
  receiveRequest(now: number): Step[] {
    if (this.#state !== 'open') return []
    const refusal = this.#settings.usage.request(now)
    return refusal === undefined ? [] : this.end(refusal)
  }

  /** Bytes that are sent again: they cost as much as new ones. */
  receiveRepeated(bytes: number, now: number): Step[] {
    if (this.#state !== 'open') return []
    const refusal = this.#settings.usage.receive(bytes, now)
    return refusal === undefined ? [] : this.end(refusal)
  }

  /** A frame that is longer than the edge hands over. */
  receiveTooLarge(bytes: number): Step[] {
    return this.#state === 'open' ? this.#tooLarge(bytes) : []
  }

  /** Kafka has it, or finally not. Acks wait for `takeAcks`, so that those of one batch go out together. */
  settled(shipment: Shipment, durable: boolean, now: number): Step[] {
    if (durable && this.#state === 'open' && shipment.answerAt > now) {
      this.#paced.push(shipment)
      return []
    }
    this.#release(shipment)
    if (this.#state === 'closed') return []
    return durable ? this.#answer(shipment) : this.end('REC_OVERLOADED', 'Kafka did not take it')
  }

  #answer(shipment: Shipment): Step[] {
    switch (shipment.kind) {
      case 'chunk':
        this.#acks.add(shipment.chunk.handle, shipment.chunk.seq)
        return []
      case 'declaration':
        return [{ do: 'send', message: shipment.answer }]
      case 'report':
        return shipment.answer === null ? [] : [{ do: 'send', message: shipment.answer }]
      default:
        return shipment satisfies never
    }
  }

  /**
   * The acks of what has settled since the last call, and answers whose time has come; the end, too, of a connection
   * that drains and is empty now.
   */
  takeAcks(now: number): Step[] {
    if (this.#state === 'closed') return []
    const answers = this.#takePaced(this.#state === 'draining' ? Infinity : now)
    const steps: Step[] = [...answers, ...this.#acks.take().map((message) => ({ do: 'send' as const, message }))]
    return this.#state === 'draining' && this.#inFlight === 0 ? [...steps, ...this.end('REC_RESTARTING')] : steps
  }

  resizeWindow(bytes: number, now: number): Step[] {
    if (this.#state !== 'open' || bytes === this.#window.bytes) return []
    this.#window.resize(bytes, now)
    return [{ do: 'send', message: { type: 'window', windowBytes: bytes } }]
  }

  askAgain({ track, part, from, to }: Omit<ServerMessageOf<'resend'>, 'type'>): Step[] {
    return this.#state === 'open' ? [{ do: 'send', message: { type: 'resend', track, part, from, to } }] : []
  }

  /** To be called about once a second. */
  tick(at: number): Step[] {
    return at >= this.#settings.expiresAt ? this.end('REC_EXPIRED') : []
  }

  /** Takes nothing new, and ends with 1012 as soon as everything in flight is settled. */
  drain(): Step[] {
    if (this.#state !== 'open') return []
    this.#state = 'draining'
    return this.takeAcks(Infinity)
  }

  /** Acks what is durable, says the error and closes with its code. */
  end(code: WireErrorCode, message: string = ERROR_CODES[code].means, place: ErrorPlace = {}): Step[] {
    if (this.#state === 'closed') return []
    const answers = this.#takePaced(Infinity)
    this.#state = 'closed'
    const acks: Step[] = this.#acks.take().map((ack) => ({ do: 'send', message: ack }))
    return [...answers, ...acks, { do: 'send', message: { type: 'error', code, message, ...place } }, { do: 'close', code: ERROR_CODES[code].close, reason: code }]
  }

  /** The socket is gone. */
  lost(): void {
    this.#state = 'closed'
  }

  #receive(message: ClientMessage, bytes: number, now: number, at: string): Step[] {
    const { session, client } = this.#settings
    switch (message.type) {
      case 'ping':
        return [{ do: 'send', message: { type: 'pong', t: message.t } }]
      case 'open':
        return this.#open(message, bytes, now, at)
      case 'close': {
        const { track, part, chunks, clean } = message
        const refusal = this.#settings.usage.namePart(track, part, now)
        if (refusal !== undefined) return this.end(refusal, undefined, { track, part })
        return this.#declare({ type: 'part-closed', session, track, part, chunks, clean, at }, bytes, now, { type: 'durable', of: 'close', track, part })
      }
      case 'lost': {
        const { track, part, from, to, cause } = message
        if (from > to) return this.end('REC_MALFORMED', 'lost: from is above to', { track, part })
        const refusal = this.#settings.usage.namePart(track, part, now) ?? this.#settings.usage.hole(now)
        if (refusal !== undefined) return this.end(refusal, undefined, { track, part })
        return this.#declare({ type: 'chunks-lost', session, track, part, from, to, cause, at }, bytes, now, { type: 'durable', of: 'lost', track, part })
      }
      case 'finish': {
        const lists = Object.values(message.parts)
        const refusal = this.#settings.usage.finish(lists.flat().length, lists.length, now)
        if (refusal !== undefined) return this.end(refusal)
        const { parts, scope } = message
        return this.#declare({ type: 'session-finished', session, parts, ...(scope === undefined ? {} : { scope }), at }, bytes, now, { type: 'durable', of: 'finish' })
      }
      case 'report': {
        const refusal = this.#settings.usage.report(now)
        if (refusal !== undefined) return this.end(refusal)
        const { event, track = null, detail = null, id } = message
        const reported: EventOf<'client-reported'> = { type: 'client-reported', session, client, at, report: { event, track, detail, ...(id === undefined ? {} : { id }) }, reportedAt: message.at }
        return this.#publish({ kind: 'report', bytes, event: reported, answer: id === undefined ? null : { type: 'durable', of: 'report', id } }, now)
      }
      default:
        return message satisfies never
    }
  }

  #open(message: ClientMessageOf<'open'>, bytes: number, now: number, at: string): Step[] {
    const { handle, track, part, mimeType, startedAt } = message
    const bound = this.#handles.get(handle)
    if (bound !== undefined && (bound.part !== part || bound.track !== track)) {
      return this.end('REC_HANDLE_TAKEN', `handle ${handle} stands for another part`, { track, part })
    }
    if (!isRecordingType(mimeType)) return this.end('REC_NOT_A_RECORDING', 'the MIME type is not one of a WebM, Matroska or MP4 recording', { track, part })
    const refusal = this.#settings.usage.namePart(track, part, now)
    if (refusal !== undefined) return this.end(refusal, undefined, { track, part })
    this.#handles.set(handle, { track, part })
    const { session, client } = this.#settings
    return this.#declare({ type: 'part-opened', session, track, part, client, mimeType, startedAt, at }, bytes, now, { type: 'durable', of: 'open', track, part })
  }

  #declare(declaration: Declaration, bytes: number, now: number, answer: ServerMessageOf<'durable'>): Step[] {
    return this.#publish({ kind: 'declaration', bytes, declaration, answer }, now)
  }

  #publish(content: Content, now: number): Step[] {
    if (this.#inFlight >= this.#settings.maxInFlightRecords) {
      return this.end('REC_WINDOW_EXCEEDED', `more than ${this.#settings.maxInFlightRecords} chunks and declarations at once`)
    }
    if (!this.#settings.fits(content.bytes)) return this.end('REC_OVERLOADED')
    this.#inFlight += 1
    return [{ do: 'publish', shipment: { ...content, answerAt: this.#settings.usage.record(now) } }]
  }

  /** Answers to what is durable, from those that may be given by `now`. */
  #takePaced(now: number): Step[] {
    if (this.#paced.length === 0) return []
    const due = this.#paced.filter(({ answerAt }) => answerAt <= now)
    this.#paced = this.#paced.filter(({ answerAt }) => answerAt > now)
    return due.flatMap((shipment) => {
      this.#release(shipment)
      return this.#answer(shipment)
    })
  }

  /** It is in flight no more. */
  #release(shipment: Shipment): void {
    this.#inFlight -= 1
    if (shipment.kind !== 'chunk') return
    this.#window.release(shipment.bytes)
    const key = chunkKey(shipment.chunk.handle, shipment.chunk.seq)
    if (this.#chunks.get(key) === shipment) this.#chunks.delete(key)
  }

  #tooLarge(bytes: number, place: ErrorPlace = {}): Step[] {
    const most = this.#settings.maxChunkBytes + FRAME_HEADER_BYTES
    return this.end('REC_TOO_LARGE', `a frame has at most ${most} bytes, this one has ${bytes}`, place)
  }
}

const iso = (at: number): string => new Date(at).toISOString()
/** Handles have 8 bits, seqs 32. */
const chunkKey = (handle: number, seq: number): number => handle * 2 ** 32 + seq
