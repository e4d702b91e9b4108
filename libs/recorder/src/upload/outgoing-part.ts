import type { ClientMessageOf, SeqRange } from '@longtake/contracts'
import type { LostCause } from '@longtake/contracts/protocol'
import type { Amount } from '../api.ts'
import { ChunkQueue, type SpooledChunk } from './chunk-queue.ts'
import { DelayedChunks, type DelayCause } from './delayed-chunks.ts'
import { addRange, contains } from '../ranges.ts'
import type { RestoredPart } from '../recovery/recovery-plan.ts'

export interface NewPart {
  track: string
  /** UUID. */
  part: string
  mimeType: string
  /** Milliseconds since the epoch by this device's clock. */
  startedAt: number
}

interface Loss {
  from: number
  to: number
  cause: LostCause
  /** `said`: on this connection, and not yet durable. */
  state: 'unsaid' | 'said' | 'durable'
}

/** How often a server may refuse a chunk, or a part, before it is given up: a first refusal may be a fault of the way. */
const REFUSALS = 2

/** One part on its way: what waits, what is in flight, what is durable, what is lost. */
export class OutgoingPart {
  readonly track: string
  readonly part: string
  readonly mimeType: string
  readonly startedAt: number
  readonly recorded: Amount = { chunks: 0, bytes: 0 }
  readonly sent: Amount = { chunks: 0, bytes: 0 }
  readonly acknowledged: Amount = { chunks: 0, bytes: 0 }
  readonly lost: Amount = { chunks: 0, bytes: 0 }
  readonly waiting = new ChunkQueue()
  readonly #delayed = new DelayedChunks()
  readonly #inFlight = new Map<number, SpooledChunk>()
  #inFlightBytes = 0
  /** Bound on this connection. */
  handle: number | null = null
  /** As first said, in the server's time: a part starts once. */
  startedAtSaid: string | null = null
  /** How far the server's clock was ahead when the part was opened by a page that is gone: this device's may have been set since. */
  clockAheadMs: number | null = null
  closed: { chunks: number; clean: boolean } | null = null
  /** The server will not have this part at all. */
  refused = false
  #losses: Loss[] = []
  /** After hours without space they are many, and they are looked for after each chunk. */
  #hasUnsaid = false
  #acknowledgedSeqs: SeqRange[] = []
  #everSent: SeqRange[] = []
  #nextSeq = 0
  #openDurable = false
  #closeDurable = false
  /** `lost` messages of this connection without an answer yet; the answers name no range. */
  #lostUnanswered = 0
  #openRefusals = 0
  readonly #refusals = new Map<number, number>()

  constructor({ track, part, mimeType, startedAt }: NewPart) {
    this.track = track
    this.part = part
    this.mimeType = mimeType
    this.startedAt = startedAt
  }

  /** One that was recorded by a page that is gone; its amounts are of what that one left. */
  static restored({ opened, acknowledged, chunks, lost, closed, ...part }: RestoredPart): OutgoingPart {
    const restored = new OutgoingPart(part)
    restored.startedAtSaid = opened?.startedAt ?? null
    restored.clockAheadMs = opened?.clockAheadMs ?? null
    restored.#acknowledgedSeqs = acknowledged
    restored.#hasUnsaid = true
    restored.#losses = lost.map(({ declared, ...range }) => ({ ...range, state: declared ? 'durable' : 'unsaid' }))
    for (const chunk of chunks) restored.spooled(chunk)
    restored.#nextSeq = closed.chunks
    restored.closed = closed
    const lostChunks = lost.reduce((sum, { from, to }) => sum + to - from + 1, 0)
    restored.recorded.chunks += lostChunks
    restored.lost.chunks += lostChunks
    return restored
  }

  /** Nothing is left to do for it. */
  get settled(): boolean {
    return this.isIdle && this.#delayed.size === 0
  }

  /** Nothing can be done for it now. */
  get isIdle(): boolean {
    return (
      this.closed !== null &&
      this.#closeDurable &&
      (this.#openDurable || this.refused) &&
      this.waiting.size === 0 &&
      this.#inFlight.size === 0 &&
      this.#losses.every(({ state }) => state === 'durable')
    )
  }

  get inFlight(): Amount {
    return { chunks: this.#inFlight.size, bytes: this.#inFlightBytes }
  }

  /** Of those in flight. */
  get largestInFlight(): number {
    return [...this.#inFlight.values()].reduce((largest, { bytes }) => Math.max(largest, bytes), 0)
  }

  /** When the oldest chunk was captured that is neither durable nor given up, by this device's clock; null if there is none. */
  get oldestWaitingAt(): number | null {
    const first = this.waiting.first()
    const waiting = [...this.#inFlight.values(), ...this.#delayed.chunks, ...(first === undefined ? [] : [first])]
    // Not by arguments of a call, of which an engine takes some ten thousands.
    return waiting.reduce<number | null>((oldest, { capturedAt }) => Math.min(oldest ?? capturedAt, capturedAt), null)
  }

  /** Whether it must be bound to a handle. */
  get wantsHandle(): boolean {
    return this.handle === null && !this.refused && (this.closed === null || this.waiting.size > 0 || !this.#openDurable)
  }

  spooled(chunk: SpooledChunk): void {
    add(this.recorded, chunk)
    this.#nextSeq = chunk.seq + 1
    this.waiting.push(chunk)
    if (this.refused) this.#lose(chunk, 'corrupt')
  }

  /** A chunk that could not be kept, so that it never came into the queue. */
  notKept(chunk: SpooledChunk, cause: LostCause): void {
    add(this.recorded, chunk)
    this.#nextSeq = chunk.seq + 1
    this.#lose(chunk, cause)
  }

  /** Takes the first waiting chunk into flight. */
  send(): SpooledChunk | undefined {
    const chunk = this.waiting.first()
    if (chunk === undefined) return undefined
    this.waiting.shift()
    this.#inFlight.set(chunk.seq, chunk)
    this.#inFlightBytes += chunk.bytes
    if (!contains(this.#everSent, chunk.seq)) {
      this.#everSent = addRange(this.#everSent, chunk.seq, chunk.seq)
      add(this.sent, chunk)
    }
    return chunk
  }

  /** @returns those of them that really are in flight: only these may be forgotten */
  acknowledge(from: number, to: number): SpooledChunk[] {
    const chunks = [...this.#inFlight.values()].filter(({ seq }) => from <= seq && seq <= to).toSorted((a, b) => a.seq - b.seq)
    for (const chunk of chunks) {
      this.#land(chunk.seq)
      this.#refusals.delete(chunk.seq)
      this.#delayed.forget(chunk.seq)
      this.#acknowledgedSeqs = addRange(this.#acknowledgedSeqs, chunk.seq, chunk.seq)
      add(this.acknowledged, chunk)
    }
    return chunks
  }

  disconnected(): void {
    this.handle = null
    this.waiting.restore(this.#inFlight.values())
    this.#inFlight.clear()
    this.#inFlightBytes = 0
    this.#lostUnanswered = 0
    this.#hasUnsaid = true
    for (const range of this.#losses) if (range.state === 'said') range.state = 'unsaid'
  }

  /** A chunk that is in flight for the server, but which the spool did not give. */
  delay(seq: number, cause: DelayCause, now: number): void {
    const chunk = this.#land(seq)
    if (chunk !== undefined && !this.#delayed.delay(chunk, cause, now)) this.#lose(chunk, 'corrupt')
  }

  /** @returns whether chunks wait again that were delayed */
  retryDelayed(now: number): boolean {
    const due = this.#delayed.due(now)
    if (due.length > 0) this.waiting.restore(due)
    return due.length > 0
  }

  /** Gives up a chunk that waits, is delayed or in flight; anything else is left alone. */
  giveUp(seq: number, cause: LostCause): void {
    const chunk = this.#land(seq) ?? this.waiting.remove(seq) ?? this.#delayed.remove(seq)
    if (chunk !== undefined) this.#lose(chunk, cause)
  }

  /** The server refused a chunk, or the part itself. */
  refuse(seq: number | undefined): void {
    if (seq !== undefined) {
      const refusals = (this.#refusals.get(seq) ?? 0) + 1
      this.#refusals.set(seq, refusals)
      if (refusals >= REFUSALS) this.giveUp(seq, 'corrupt')
      return
    }
    this.#openRefusals += 1
    if (this.#openRefusals < REFUSALS) return
    this.refused = true
    for (const each of [...this.#inFlight.values(), ...this.#delayed.chunks]) this.giveUp(each.seq, 'corrupt')
    for (let chunk = this.waiting.first(); chunk !== undefined; chunk = this.waiting.first()) this.giveUp(chunk.seq, 'corrupt')
  }

  close(chunks: number, clean: boolean): void {
    this.closed = { chunks, clean }
  }

  openMessage(handle: number, startedAt: string): ClientMessageOf<'open'> {
    this.handle = handle
    this.startedAtSaid ??= startedAt
    return { type: 'open', handle, track: this.track, part: this.part, mimeType: this.mimeType, startedAt: this.startedAtSaid }
  }

  closeMessage(): ClientMessageOf<'close'> | null {
    if (this.closed === null || this.#closeDurable) return null
    return { type: 'close', track: this.track, part: this.part, ...this.closed }
  }

  /** Losses that this connection has not been told. */
  lostMessages(): ClientMessageOf<'lost'>[] {
    if (!this.#hasUnsaid) return []
    this.#hasUnsaid = false
    const unsaid = this.#losses.filter(({ state }) => state === 'unsaid')
    return unsaid.map((range) => {
      range.state = 'said'
      return this.#lostMessage(range)
    })
  }

  /** What to say of chunks that are asked for again and that are not to be sent anyway. Not of those that were never made. */
  answer(from: number, to: number): ClientMessageOf<'lost'>[] {
    const answers: { from: number; to: number; cause: LostCause }[] = []
    for (let seq = from; seq <= Math.min(to, this.#nextSeq - 1); seq += 1) {
      if (this.#inFlight.has(seq) || this.waiting.has(seq) || this.#delayed.has(seq)) continue
      const cause = contains(this.#acknowledgedSeqs, seq) ? 'already-acknowledged' : (this.#losses.find((range) => range.from <= seq && seq <= range.to)?.cause ?? 'spool-cleared')
      const last = answers.at(-1)
      if (last?.to === seq - 1 && last.cause === cause) last.to = seq
      else answers.push({ from: seq, to: seq, cause })
    }
    return answers.map((range) => this.#lostMessage(range))
  }

  /** @returns losses that have become durable by this: their chunks may be forgotten */
  durable(of: 'open' | 'close' | 'lost'): Pick<Loss, 'from' | 'to' | 'cause'>[] {
    switch (of) {
      case 'open':
        this.#openDurable = true
        return []
      case 'close':
        this.#closeDurable = true
        return []
      case 'lost': {
        this.#lostUnanswered = Math.max(0, this.#lostUnanswered - 1)
        if (this.#lostUnanswered > 0) return []
        const durable = this.#losses.filter(({ state }) => state === 'said')
        for (const range of durable) range.state = 'durable'
        return durable
      }
      default:
        return of satisfies never
    }
  }

  #lose(chunk: SpooledChunk, cause: LostCause): void {
    this.waiting.remove(chunk.seq)
    this.#refusals.delete(chunk.seq)
    this.#delayed.forget(chunk.seq)
    add(this.lost, chunk)
    this.#hasUnsaid = true
    const last = this.#losses.at(-1)
    if (last?.state === 'unsaid' && last.cause === cause && last.to === chunk.seq - 1) last.to = chunk.seq
    else this.#losses.push({ from: chunk.seq, to: chunk.seq, cause, state: 'unsaid' })
  }

  #land(seq: number): SpooledChunk | undefined {
    const chunk = this.#inFlight.get(seq)
    if (chunk === undefined) return undefined
    this.#inFlight.delete(seq)
    this.#inFlightBytes -= chunk.bytes
    return chunk
  }

  #lostMessage({ from, to, cause }: Pick<Loss, 'from' | 'to' | 'cause'>): ClientMessageOf<'lost'> {
    this.#lostUnanswered += 1
    return { type: 'lost', track: this.track, part: this.part, from, to, cause }
  }
}

function add(amount: Amount, { bytes }: SpooledChunk): void {
  amount.chunks += 1
  amount.bytes += bytes
}
