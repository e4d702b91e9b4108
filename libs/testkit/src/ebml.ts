/**
 * Reads EBML (RFC 8794) from bytes that are all there. This is the judge's own reader: it shares nothing with the code
 * that writes the files, so that one mistake cannot be on both sides.
 */

/** A variable-length integer: its value and width, or null when it is cut off or malformed. */
interface Vint {
  value: number
  width: number
  /** All value bits set: as a size, "unknown". */
  allOnes: boolean
}

function readVint(bytes: Uint8Array, at: number, end: number, widest: number, keepMarker: boolean): Vint | null {
  const first = bytes[at]
  if (first === undefined || at >= end || first === 0) return null
  const width = Math.clz32(first) - 23
  if (width > widest || at + width > end) return null
  let value = keepMarker ? first : first & (0xff >> width)
  let allOnes = (first | (0xff << (8 - width)) & 0xff) === 0xff
  for (let index = 1; index < width; index += 1) {
    const byte = bytes[at + index] as number
    value = value * 256 + byte
    allOnes &&= byte === 0xff
  }
  return { value, width, allOnes }
}

export interface ElementHead {
  id: number
  /** Offset of the id. */
  at: number
  /** Offset of the content. */
  dataAt: number
  /** Size of the content; null when unknown. */
  size: number | null
}

/** The head of the element at `at`, or null when it is cut off by `end` or is none. */
export function readHead(bytes: Uint8Array, at: number, end: number): ElementHead | null {
  const id = readVint(bytes, at, end, 4, true)
  if (id === null) return null
  const size = readVint(bytes, at + id.width, end, 8, false)
  if (size === null) return null
  return { id: id.value, at, dataAt: at + id.width + size.width, size: size.allOnes ? null : size.value }
}

/** A block's track number and how many bytes it takes. */
export function readTrackNumber(bytes: Uint8Array, at: number, end: number): { track: number; width: number } | null {
  const vint = readVint(bytes, at, end, 8, false)
  return vint === null ? null : { track: vint.value, width: vint.width }
}

export function readUint(bytes: Uint8Array): number {
  let value = 0
  for (const byte of bytes) value = value * 256 + byte
  return value
}

/** A float of 0, 4 or 8 bytes; NaN for any other length. */
export function readFloat(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length === 0) return 0
  if (bytes.length === 4) return view.getFloat32(0)
  return bytes.length === 8 ? view.getFloat64(0) : Number.NaN
}

export function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

/** Offset of the next Cluster that looks like one (id, size, and a Timestamp among its first elements), or -1. */
export function findCluster(bytes: Uint8Array, from: number): number {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const clusterId = Buffer.of(0x1f, 0x43, 0xb6, 0x75)
  for (let at = haystack.indexOf(clusterId, from); at >= 0; at = haystack.indexOf(clusterId, at + 1)) {
    const cluster = readHead(bytes, at, bytes.length)
    if (cluster === null) continue
    const first = readHead(bytes, cluster.dataAt, bytes.length)
    if (first !== null && firstInCluster.has(first.id) && first.size !== null && first.size <= 8) return at
  }
  return -1
}

/** Timestamp, Position, PrevSize and CRC-32. */
const firstInCluster = new Set([0xe7, 0xa7, 0xab, 0xbf])
