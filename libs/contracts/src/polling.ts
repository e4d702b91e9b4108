/**
 * HTTP long polling: wire protocol v1 where WebSockets are blocked. A connection lives over many requests, in one
 * gateway. Every body begins with a line of JSON, its head. Nothing here needs a schema library, so browsers can use it.
 */
export type PollingOperation = 'open' | 'send' | 'receive'

/** All operations are POSTs. */
export const pollingPath = (session: string, client: string, operation: PollingOperation): string =>
  `/v1/ingest/${session}/http/${operation}?client=${client}`

/** What a client sends is one stream of frames; these say what a frame is, as in RFC 6455 §5.2. */
export const OPCODES = { text: 1, binary: 2, close: 8 } as const
export type Opcode = (typeof OPCODES)[keyof typeof OPCODES]

/** `u8 opcode · u32 length` before each frame, big-endian. */
export const FRAME_PREFIX_BYTES = 5

/** Of one `send`, head included: below nginx's default of 1 MiB. A frame may continue in the next request. */
export const MAX_POLLING_BODY_BYTES = 512 * 1024

/** How long a gateway holds a `receive` without frames to answer: proxies cut silent requests after 30 s or more. */
export const POLL_HOLD_MS = 20_000

export interface OpenHead {
  /** As for the WebSocket. */
  token: string
}
export interface SendHead {
  connection: string
  /** Of the first byte behind the head in the client's stream. */
  offset: number
}
export interface ReceiveHead {
  connection: string
  /** Frames received so far. */
  after: number
}

/**
 * Head of an answer. The lines behind it are text frames of the server, from that with number `first` on.
 * `received`: bytes of the client's stream that have arrived. `closed`: as a WebSocket would be, after these frames.
 */
export interface AnswerHead {
  connection?: string
  received?: number
  first?: number
  closed?: { code: number; reason: string }
}

/** Puts a prefix before a frame. */
export function encodeStreamFrame(opcode: Opcode, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_PREFIX_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, opcode)
  view.setUint32(1, payload.length)
  bytes.set(payload, FRAME_PREFIX_BYTES)
  return bytes
}
