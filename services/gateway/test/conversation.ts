import { createHash } from 'node:crypto'
import { encodeChunkFrame, type ServerMessage } from '@longtake/contracts'
import { SESSION_LIMITS } from '../src/limits.ts'
import { SessionUsage } from '../src/session-usage.ts'
import { Connection, type ConnectionSettings, type Shipment, type Step } from '../src/connection.ts'

export const NOW = Date.parse('2026-03-01T12:00:00Z')
export const CLIENT = '6f8a1b54-8f0e-4a5c-9a51-3f1f5f3b7c11'
export const WEBCAM = { track: 'webcam', part: '0a0a0a0a-0000-4000-8000-000000000001' } as const
export const SCREEN = { track: 'screen', part: '0a0a0a0a-0000-4000-8000-000000000002' } as const
/** A whole EBML head of a WebM. */
export const HEAD = Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3, 0x87, 0x42, 0x82, 0x84, 0x77, 0x65, 0x62, 0x6d)

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
export const bytes = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value)

export function frame(handle: number, seq: number, payload: Uint8Array, sha = sha256(payload)): Uint8Array {
  return encodeChunkFrame({ handle, seq, capturedAt: NOW, sha256: Buffer.from(sha, 'hex'), payload })
}

export const openMessage = (handle: number, part: { track: string; part: string }, mimeType = 'video/webm;codecs=vp9,opus'): object => ({
  type: 'open', handle, ...part, mimeType, startedAt: '2026-03-01T11:59:59.5Z',
})

/** One connection and what came of it, told in the order: given `settings`, when the client `says` …, then `sent`. */
export class Conversation {
  readonly connection: Connection
  readonly sent: ServerMessage[] = []
  readonly shipped: Shipment[] = []
  unknown = 0
  closedWith: number | undefined
  now = NOW

  constructor(settings: Partial<ConnectionSettings> = {}) {
    this.connection = new Connection({
      session: 's-1', client: CLIENT, expiresAt: NOW + 3_600_000, maxChunkBytes: 1000, windowBytes: 4000, heartbeatMs: 10_000,
      maxInFlightRecords: 100, windowGraceMs: 60_000, sha256, fits: () => true, isBacklogFull: () => false, usage: new SessionUsage(SESSION_LIMITS, NOW), ...settings,
    })
  }

  /** A conversation in which parts are open and durable on handles 0, 1 … */
  static withOpen(parts: readonly { track: string; part: string }[] = [WEBCAM], settings: Partial<ConnectionSettings> = {}): Conversation {
    const conversation = new Conversation(settings)
    parts.forEach((part, handle) => conversation.says(openMessage(handle, part)))
    for (const shipment of conversation.shipped.splice(0)) conversation.settles(shipment)
    conversation.sent.length = 0
    return conversation
  }

  says(message: object | string): this {
    return this.take(this.connection.receiveText(typeof message === 'string' ? message : JSON.stringify(message), this.now))
  }

  sends(handle: number, seq: number, payload = seq === 0 ? HEAD : bytes(10), sha?: string): this {
    return this.take(this.connection.receiveBinary(frame(handle, seq, payload, sha), this.now))
  }

  sendsBytes(data: Uint8Array): this {
    return this.take(this.connection.receiveBinary(data, this.now))
  }

  settles(shipment: Shipment | undefined, durable = true): this {
    if (shipment === undefined) throw new Error('there is no such shipment')
    return this.take(this.connection.settled(shipment, durable, this.now))
  }

  settlesAll(): this {
    for (const shipment of this.shipped.splice(0)) this.settles(shipment)
    return this
  }

  /** The tick ends: what was settled in it is acknowledged. */
  flushes(): this {
    return this.take(this.connection.takeAcks(this.now))
  }

  take(steps: readonly Step[]): this {
    for (const step of steps) {
      switch (step.do) {
        case 'send': this.sent.push(step.message); break
        case 'publish': this.shipped.push(step.shipment); break
        case 'close': this.closedWith = step.code; break
        case 'count-unknown': this.unknown += 1; break
        default: step satisfies never
      }
    }
    return this
  }

  get error(): string | undefined {
    const last = this.sent.at(-1)
    return last?.type === 'error' ? last.code : undefined
  }

  /** Seqs that were acknowledged on the handle, one by one. */
  acknowledged(handle: number): number[] {
    return this.sent.flatMap((message) => (message.type === 'ack' && message.handle === handle ? Array.from({ length: message.to - message.from + 1 }, (_, i) => message.from + i) : []))
  }
}
