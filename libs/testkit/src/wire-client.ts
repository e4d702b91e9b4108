import { createHash } from 'node:crypto'

/**
 * Wire protocol v1 as this kit's client speaks it: written from the protocol's text, not taken from the code under
 * test, so that a mistake there does not cancel itself out here.
 */
export interface Welcome {
  type: 'welcome'
  session: string
  serverTime: string
  maxChunkBytes: number
  windowBytes: number
  heartbeatMs: number
}

export interface Resend {
  type: 'resend'
  track: string
  part: string
  from: number
  to: number
}

export interface Refusal {
  type: 'error'
  code: string
  message: string
  track?: string
  part?: string
  seq?: number
}

export type DeclarationKind = 'open' | 'close' | 'lost' | 'finish'

export type FromServer =
  | Welcome
  | { type: 'window'; windowBytes: number }
  | { type: 'ack'; handle: number; from: number; to: number }
  | { type: 'durable'; of: DeclarationKind; track?: string; part?: string }
  | Resend
  | { type: 'pong'; t: number }
  | Refusal

export type LostCause = 'quota' | 'store-failed' | 'spool-cleared' | 'corrupt' | 'crash' | 'too-large' | 'already-acknowledged'

/** A chunk as it goes over the wire. `sha256` is told only to lie about it. */
export function chunkMessage(handle: number, seq: number, capturedAt: number, payload: Uint8Array, sha256?: Uint8Array): Buffer {
  const message = Buffer.alloc(48 + payload.length)
  message.writeUInt8(1, 0)
  message.writeUInt8(handle, 1)
  message.writeUInt32BE(seq, 4)
  message.writeBigUInt64BE(BigInt(capturedAt), 8)
  message.set(sha256 ?? createHash('sha256').update(payload).digest(), 16)
  message.set(payload, 48)
  return message
}
