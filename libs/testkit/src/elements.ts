import { concat } from './bytes.ts'

/** Builds EBML for synthetic recordings and the checker's own tests; the checker never uses it to read. */
export const unknownSize = Uint8Array.of(0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)

export function elementId(id: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = id; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Uint8Array.from(bytes)
}

/** An EBML size of `width` bytes (the shortest when not given). */
export function elementSize(size: number, width?: number): Uint8Array {
  let bytes = width ?? 1
  if (width === undefined) while (size >= 2 ** (7 * bytes) - 1) bytes += 1
  const out = new Uint8Array(bytes)
  let rest = size
  for (let at = bytes - 1; at >= 0; at -= 1) {
    out[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
  out[0] = (out[0] ?? 0) | (0x80 >> (bytes - 1))
  return out
}

export function element(id: number, body: Uint8Array, sizeWidth?: number): Uint8Array {
  return concat([elementId(id), elementSize(body.length, sizeWidth), body])
}

export function master(id: number, children: readonly Uint8Array[], sizeWidth?: number): Uint8Array {
  return element(id, concat(children), sizeWidth)
}

/** An unsigned integer element, as wide as asked or as needed. */
export function uint(id: number, value: number, width?: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.unshift(rest % 256)
    rest = Math.floor(rest / 256)
  } while (width === undefined ? rest > 0 : bytes.length < width)
  return element(id, Uint8Array.from(bytes))
}

export function float(id: number, value: number): Uint8Array {
  const body = new Uint8Array(8)
  new DataView(body.buffer).setFloat64(0, value)
  return element(id, body)
}

export function text(id: number, value: string): Uint8Array {
  return element(id, new TextEncoder().encode(value))
}

/** The body of a SimpleBlock or Block: track (1–126), time relative to its cluster (ms), flags, frame. */
export function blockBody(track: number, relativeMs: number, flags: number, frame: Uint8Array): Uint8Array {
  const body = new Uint8Array(4 + frame.length)
  body[0] = 0x80 | track
  new DataView(body.buffer).setInt16(1, relativeMs)
  body[3] = flags
  body.set(frame, 4)
  return body
}
