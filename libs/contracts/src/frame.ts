/** The binary frame of wire protocol v1: a 48-byte big-endian header, then the payload. */
export const FRAME_HEADER_BYTES = 48
export const FRAME_KIND_CHUNK = 1
export const DIGEST_BYTES = 32

export interface ChunkFrame {
  /** 0–255, bound by `open` on this connection. */
  handle: number
  seq: number
  /** Milliseconds since the epoch, by the server's clock as far as the client knows it. */
  capturedAt: number
  /** SHA-256 of the payload; 32 bytes. */
  sha256: Uint8Array
  payload: Uint8Array
}

export type FrameFault = 'too-short' | 'unknown-kind' | 'reserved-not-zero' | 'empty-payload' | 'captured-at-out-of-range' | 'seq-out-of-range'

export function encodeChunkFrame(frame: ChunkFrame): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + frame.payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, FRAME_KIND_CHUNK)
  view.setUint8(1, frame.handle)
  view.setUint32(4, frame.seq)
  view.setBigUint64(8, BigInt(frame.capturedAt))
  bytes.set(frame.sha256, 16)
  bytes.set(frame.payload, FRAME_HEADER_BYTES)
  return bytes
}

/** Views into `bytes`, nothing is copied: copy before the buffer is reused. Returns the fault's name instead of throwing. */
export function decodeChunkFrame(bytes: Uint8Array): ChunkFrame | FrameFault {
  if (bytes.length < FRAME_HEADER_BYTES) return 'too-short'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint8(0) !== FRAME_KIND_CHUNK) return 'unknown-kind'
  if (view.getUint16(2) !== 0) return 'reserved-not-zero'
  if (bytes.length === FRAME_HEADER_BYTES) return 'empty-payload'
  const seq = view.getUint32(4)
  if (seq === 0xffff_ffff) return 'seq-out-of-range'
  const capturedAt = view.getBigUint64(8)
  // Above this, Date cannot hold it (ECMA-262, time values).
  if (capturedAt > 8_640_000_000_000_000n) return 'captured-at-out-of-range'
  return {
    handle: view.getUint8(1),
    seq,
    capturedAt: Number(capturedAt),
    sha256: bytes.subarray(16, FRAME_HEADER_BYTES),
    payload: bytes.subarray(FRAME_HEADER_BYTES),
  }
}
