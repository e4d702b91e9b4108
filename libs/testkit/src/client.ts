import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClientOptions, OpenOptions } from './client-options.ts'
import { Connection, ConnectionRefused } from './connection.ts'
import { DeclarationLog, type Declaration } from './declarations.ts'
import { lengthOf, newLedger, type PartLedger } from './ledger.ts'
import { Conditions } from './waiting.ts'
import type { FromServer, LostCause, Refusal, Resend, Welcome } from './wire-client.ts'

/** After these a recorder does not come back with the same token and chunks. */
const FINAL_CODES = new Set([4400, 4401, 4409, 4410, 4413, 4422])
const RESTARTING = 1012

/**
 * A recorder's side of wire protocol v1 for tests. It remembers exactly which chunks were acknowledged, so that a
 * result can be judged by them, and notes in `violations` whatever the server may not do.
 */
export class TestClient {
  readonly #options: Required<ClientOptions>
  readonly #conditions = new Conditions()
  readonly #ledgers = new Map<string, PartLedger>()
  readonly #declarations = new DeclarationLog()
  #connection: Connection | null = null
  #leaving = false
  #reconnecting: Promise<void> | null = null
  readonly #pongs = new Set<number>()

  readonly errors: Refusal[] = []
  readonly resends: Resend[] = []
  readonly violations: string[] = []
  /** Every end of a connection, in order. */
  readonly closes: { code: number; reason: string }[] = []

  private constructor(options: ClientOptions) {
    this.#options = {
      client: randomUUID(), tokenAs: 'header', transport: 'websocket', timeoutMs: 15_000, livenessMs: Number.POSITIVE_INFINITY, autoReconnect: false, answerResends: 'design', ...options,
    }
  }

  /** Resolves at the server's `welcome`. Rejects with `ConnectionRefused` (its `status`) or a plain error. */
  static async connect(options: ClientOptions): Promise<TestClient> {
    const client = new TestClient(options)
    await client.#connect()
    return client
  }

  get id(): string {
    return this.#options.client
  }

  get connected(): boolean {
    return this.#connection?.isOpen ?? false
  }

  /** Of the present or last connection. */
  get welcome(): Welcome {
    return this.#lastConnection().welcome
  }

  get windowBytes(): number {
    return this.#lastConnection().windowBytes
  }

  /** Every part this client has opened, with what was acknowledged of it. */
  get parts(): readonly PartLedger[] {
    return [...this.#ledgers.values()]
  }

  ledger(part: string): PartLedger {
    const found = this.#ledgers.get(part)
    if (found === undefined) throw new Error(`part ${part} was never opened by this client`)
    return found
  }

  /** Opens a part and resolves with its id once that is durable. */
  async open(options: OpenOptions): Promise<string> {
    const ledger = newLedger({
      track: options.track, part: options.part ?? randomUUID(), mimeType: options.mimeType,
      startedAt: options.startedAt ?? new Date().toISOString(),
    })
    if (!this.#ledgers.has(ledger.part)) this.#ledgers.set(ledger.part, ledger)
    // Without a connection all parts are opened by the next one.
    const { track, part } = ledger
    await this.#durable(this.connected ? this.#declareOpen(this.ledger(part)) : this.#declarations.add({ of: 'open', track, part }, {}))
    return part
  }

  /** Sends one chunk now, whatever the window says; again, out of order, or with a wrong digest if a test wants that. */
  send(part: string, seq: number, bytes: Uint8Array, options: { capturedAt?: number; sha256?: Uint8Array } = {}): void {
    this.ledger(part).made.set(seq, bytes)
    this.#live().sendChunk(part, seq, options.capturedAt ?? Date.now(), bytes, options.sha256)
  }

  /** Sends chunks within the window, in the order given; resolves when the last one is sent (not yet acknowledged). */
  async sendAll(part: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, firstSeq = 0): Promise<void> {
    let seq = firstSeq
    for await (const bytes of chunks) {
      this.ledger(part).made.set(seq, bytes)
      await this.#sendWithinWindow(part, seq)
      seq += 1
    }
  }

  /** Sends a chunk that was sent before once more, within the window; nothing happens while there is no connection. */
  async repeat(part: string, seq: number): Promise<void> {
    const bytes = this.ledger(part).made.get(seq)
    if (bytes === undefined) throw new Error(`chunk ${seq} of ${part} was never made`)
    const hasRoom = (): boolean => (this.#connection?.inFlightBytes ?? 0) + bytes.length <= (this.#connection?.windowBytes ?? 0)
    await this.#until(`room in the window for ${part} chunk ${seq} again`, () => !this.connected || hasRoom())
    if (this.connected && this.#lastConnection().handleOfPart.has(part)) this.#live().sendChunk(part, seq, Date.now(), bytes)
  }

  /** Resolves when the chunk is acknowledged. */
  async acknowledged(part: string, seq: number): Promise<void> {
    const { acknowledged } = this.ledger(part)
    await this.#until(`the ack of ${part} chunk ${seq}`, () => acknowledged.has(seq))
  }

  /** Resolves when everything made so far (of one part, or of all) is acknowledged. */
  async allAcknowledged(part?: string): Promise<void> {
    const of = part === undefined ? this.parts : [this.ledger(part)]
    await this.#until('the ack of all chunks', () => of.every(({ made, acknowledged }) => acknowledged.size >= made.size))
  }

  /** Declares the part's length (by default as many as were made) and waits until that is durable. */
  async close(part: string, options: { chunks?: number; clean?: boolean } = {}): Promise<void> {
    const ledger = this.ledger(part)
    const closed = { chunks: options.chunks ?? lengthOf(ledger.made), clean: options.clean ?? true }
    ledger.closed = closed
    await this.#durable(this.#declare({ of: 'close', track: ledger.track, part }, { type: 'close', track: ledger.track, part, ...closed }))
  }

  /** Declares chunks that can never be sent and waits until that is durable. */
  async lost(part: string, from: number, to: number, cause: LostCause): Promise<void> {
    await this.#durable(this.#declareLost(part, from, to, cause))
  }

  /** Ends the session with these parts (by default all that this client opened) and waits until that is durable. */
  async finish(parts?: Record<string, string[]>): Promise<void> {
    const named: Record<string, string[]> = parts ?? {}
    if (parts === undefined) for (const { track, part } of this.parts) (named[track] ??= []).push(part)
    await this.#durable(this.#declare({ of: 'finish' }, { type: 'finish', parts: named }))
  }

  report(event: string, track?: string): void {
    this.#live().sendJson({ type: 'report', event, ...(track === undefined ? {} : { track }), at: new Date().toISOString() })
  }

  /** Resolves at the matching `pong`. */
  async ping(t = Date.now()): Promise<void> {
    this.#live().sendJson({ type: 'ping', t })
    await this.#until(`pong ${t}`, () => this.#pongs.has(t))
  }

  /** Sends a frame as it is: for what no recorder should send. */
  sendRaw(data: Uint8Array | string): void {
    this.#live().sendRaw(data)
  }

  /** Resolves when the server has asked for this chunk again. */
  async resendAsked(part: string, seq: number): Promise<Resend> {
    const asked = (): Resend | undefined => this.resends.find((one) => one.part === part && one.from <= seq && seq <= one.to)
    await this.#until(`a resend of ${part} chunk ${seq}`, () => asked() !== undefined)
    return asked() as Resend
  }

  /** Resolves with the close code when the present connection ends. */
  async closed(): Promise<number> {
    const connection = this.#connection
    const before = this.closes.length
    if (connection?.isOpen === true) {
      await this.#conditions.until('the end of the connection', () => this.closes.length > before, this.#options.timeoutMs, () => this.#state())
    }
    return this.closes.at(-1)?.code ?? 0
  }

  /** Ends the TCP connection without a word and stays away, as a crashed tab does; `reconnect()` comes back. */
  async crash(): Promise<void> {
    this.#leaving = true
    const connection = this.#connection
    if (connection?.isOpen !== true) return
    const before = this.closes.length
    connection.terminate()
    await this.#conditions.until('the end of the connection', () => this.closes.length > before, this.#options.timeoutMs, () => this.#state())
  }

  /** Leaves in an orderly way. */
  async disconnect(): Promise<void> {
    this.#leaving = true
    await this.#reconnecting?.catch(() => undefined)
    if (this.#connection?.isOpen !== true) return
    this.#connection.close(1000)
    await this.closed()
  }

  /**
   * Connects again as a recorder does: opens its parts, sends every chunk that was not acknowledged, in order and
   * within the window, and then the declarations that were not durable. Resolves when all of that is sent.
   */
  async reconnect(options: { url?: string; token?: string } = {}): Promise<void> {
    Object.assign(this.#options, options)
    this.#leaving = false
    // Two at once would take over from each other.
    if (this.#reconnecting !== null) return this.#reconnecting
    if (this.#connection?.isOpen === true) await this.crash()
    this.#leaving = false
    await this.#comeBack()
  }

  async #connect(): Promise<void> {
    this.#connection = await Connection.open(this.#options, {
      message: (message) => this.#receive(message),
      closed: (code, reason) => this.#lostConnection(code, reason),
      violation: (text) => this.violations.push(text),
    })
    this.#conditions.changed()
  }

  async #comeBack(): Promise<void> {
    await this.#connect()
    const connection = this.#lastConnection()
    const unsaid = this.#declarations.unsaid()
    for (const ledger of this.#ledgers.values()) this.#declareOpen(ledger)
    for (const { part, made, acknowledged } of this.#ledgers.values()) {
      for (const seq of [...made.keys()].toSorted((a, b) => a - b)) {
        if (!acknowledged.has(seq)) await this.#sendWithinWindow(part, seq, connection)
      }
    }
    for (const { message } of unsaid) this.#live().sendJson(message)
  }

  #lostConnection(code: number, reason: string): void {
    this.closes.push({ code, reason })
    const firstWaitMs = code === RESTARTING ? 0 : 50
    if (this.#options.autoReconnect && !this.#leaving && !FINAL_CODES.has(code)) {
      this.#reconnecting ??= this.#keepReconnecting(firstWaitMs).finally(() => {
        this.#reconnecting = null
        this.#conditions.changed()
      })
      // Whoever waits for an ack is told by `#until`; nobody else needs this promise.
      this.#reconnecting.catch((cause: unknown) => this.violations.push(`could not reconnect: ${String(cause)}`))
    }
    this.#conditions.changed()
  }

  async #keepReconnecting(firstWaitMs: number): Promise<void> {
    const until = Date.now() + this.#options.timeoutMs
    for (let waitMs = firstWaitMs; !this.#leaving; waitMs = Math.min(Math.max(50, waitMs * 2), 1000)) {
      await delay(waitMs)
      try {
        await this.#comeBack()
        if (this.connected) return
      } catch (cause) {
        if (cause instanceof ConnectionRefused && cause.status < 500) throw cause
        if (FINAL_CODES.has(this.closes.at(-1)?.code ?? 0)) throw cause
        if (Date.now() > until) throw new Error(`no connection for ${this.#options.timeoutMs} ms`, { cause })
      }
    }
  }

  #receive(message: FromServer): void {
    switch (message.type) {
      case 'ack': this.#acknowledge(message); break
      case 'durable':
        if (!this.#declarations.settle(message)) this.violations.push(`durable ${message.of} of ${message.part ?? 'the session'}, which was not declared`)
        break
      case 'resend': this.resends.push(message); this.#answer(message); break
      case 'window': break
      case 'pong': this.#pongs.add(message.t); break
      case 'error': this.errors.push(message); break
      case 'welcome': this.violations.push('a second welcome'); break
      default: this.violations.push(`unknown message ${JSON.stringify(message satisfies never)}`)
    }
    this.#conditions.changed()
  }

  #acknowledge({ handle, from, to }: { handle: number; from: number; to: number }): void {
    const connection = this.#lastConnection()
    const part = connection.partOfHandle.get(handle)
    if (part === undefined || from > to) return void this.violations.push(`ack of handle ${handle}, ${from}–${to}: never opened here`)
    const ledger = this.ledger(part)
    for (let seq = from; seq <= to; seq += 1) {
      const bytes = ledger.made.get(seq)
      if (bytes === undefined || !connection.hasSent(part, seq)) {
        return void this.violations.push(`ack of ${part} chunk ${seq}, which was not sent on this connection`)
      }
      connection.settled(part, seq)
      ledger.acknowledged.set(seq, bytes)
    }
  }

  #answer({ part, from, to }: Resend): void {
    const ledger = this.#ledgers.get(part)
    if (this.#options.answerResends === 'none') return
    if (ledger === undefined) return void this.violations.push(`a resend of ${part}, which this client never opened`)
    for (let seq = from; seq <= to; seq += 1) {
      const bytes = ledger.made.get(seq)
      if (bytes === undefined) this.#declareLost(part, seq, seq, 'crash')
      else if (this.#options.answerResends === 'design' && ledger.acknowledged.has(seq)) this.#declareLost(part, seq, seq, 'already-acknowledged')
      else this.#live().sendChunk(part, seq, Date.now(), bytes)
    }
  }

  #declareOpen(ledger: PartLedger): Declaration {
    const connection = this.#live()
    const { track, part, mimeType, startedAt } = ledger
    const handle = connection.handleOfPart.get(part) ?? connection.handleOfPart.size
    if (handle > 255) throw new Error('a connection has 256 handles')
    connection.bindHandle(handle, part)
    return this.#declare({ of: 'open', track, part }, { type: 'open', handle, track, part, mimeType, startedAt })
  }

  #declareLost(part: string, from: number, to: number, cause: LostCause): Declaration {
    const { track, lost } = this.ledger(part)
    if (cause !== 'already-acknowledged') lost.push({ from, to, cause })
    return this.#declare({ of: 'lost', track, part }, { type: 'lost', track, part, from, to, cause })
  }

  #declare(what: Pick<Declaration, 'of' | 'track' | 'part'>, message: object): Declaration {
    const declaration = this.#declarations.add(what, message)
    // Without a connection the next one says it.
    if (this.connected) this.#live().sendJson(message)
    return declaration
  }

  async #durable(declaration: Declaration): Promise<void> {
    await this.#until(`durable ${declaration.of} ${declaration.part ?? ''}`, () => declaration.durable)
  }

  /** `only`: fail, rather than wait for another connection, when this one ends. */
  async #sendWithinWindow(part: string, seq: number, only?: Connection): Promise<void> {
    const ledger = this.ledger(part)
    const bytes = ledger.made.get(seq) as Uint8Array
    const settled = (): boolean => ledger.acknowledged.has(seq) || (this.#connection?.hasSent(part, seq) ?? false)
    await this.#until(`room in the window for ${part} chunk ${seq}`, () => {
      if (only?.isOpen === false) throw new Error(`the connection ended before chunk ${seq} of ${part} was sent again`)
      const connection = this.#connection
      if (connection === null || !connection.isOpen || !connection.handleOfPart.has(part)) return false
      return settled() || connection.inFlightBytes === 0 || connection.inFlightBytes + bytes.length <= connection.windowBytes
    })
    if (!settled()) this.#live().sendChunk(part, seq, Date.now(), bytes)
  }

  /** A wait that needs the server: it ends at once when the connection is gone for good. */
  async #until(what: string, holds: () => boolean): Promise<void> {
    const check = (): boolean => {
      if (holds()) return true
      if (!this.connected && this.#reconnecting === null) throw new Error(`the connection ended while waiting for ${what}; ${this.#state()}`)
      return false
    }
    await this.#conditions.until(what, check, this.#options.timeoutMs, () => this.#state())
  }

  #state(): string {
    const parts = this.parts.map(({ track, made, acknowledged }) => `${track}: ${acknowledged.size} of ${made.size} acknowledged`)
    const close = this.closes.at(-1)
    const error = this.errors.at(-1)
    return [
      this.connected ? 'connected' : `closed with ${close?.code ?? 'nothing'} ${close?.reason ?? ''}`.trim(),
      ...parts,
      ...(error === undefined ? [] : [`last error ${error.code}: ${error.message}`]),
      ...this.violations.slice(0, 3),
    ].join('; ')
  }

  #lastConnection(): Connection {
    if (this.#connection === null) throw new Error('never connected')
    return this.#connection
  }

  #live(): Connection {
    const connection = this.#lastConnection()
    if (!connection.isOpen) throw new Error(`not connected; ${this.#state()}`)
    return connection
  }
}
