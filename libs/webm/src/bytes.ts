/** Reading and writing of EBML's numbers, on plain byte arrays. */

/** Size of an element whose end is not written (RFC 8794 §6.2). */
export const UNKNOWN_SIZE = -1;

/** An element's id and size as `readHead` found them. */
export interface ElementHead {
  id: number;
  /** Payload bytes, or `UNKNOWN_SIZE`. */
  size: number;
  /** Bytes of id and size themselves. */
  length: number;
}

/** Bytes of the variable-size integer that starts with this byte; 9 when none does. */
export function vintLength(first: number): number {
  return Math.clz32(first) - 23;
}

/** A variable-size integer's value without its marker; above 2^53 it is only approximate. */
export function readVint(bytes: Uint8Array, at: number, length: number): number {
  let value = (bytes[at] as number) & (0xff >> length);
  for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}

function isUnknownSize(bytes: Uint8Array, at: number, length: number): boolean {
  const mask = 0xff >> length;
  if (((bytes[at] as number) & mask) !== mask) return false;
  for (let i = 1; i < length; i++) if (bytes[at + i] !== 0xff) return false;
  return true;
}

/**
 * Reads the element head at `at` into `head`.
 * Returns 0 when done, -1 when no element can start so, or else how many bytes from `at` must be there to decide.
 */
export function readHead(bytes: Uint8Array, at: number, end: number, head: ElementHead): number {
  if (at >= end) return 1;
  const idLength = vintLength(bytes[at] as number);
  if (idLength > 4) return -1;
  if (end - at <= idLength) return idLength + 1;
  let id = bytes[at] as number;
  for (let i = 1; i < idLength; i++) id = id * 256 + (bytes[at + i] as number);
  const sizeAt = at + idLength;
  const sizeLength = vintLength(bytes[sizeAt] as number);
  if (sizeLength > 8) return -1;
  const length = idLength + sizeLength;
  if (end - at < length) return length;
  head.id = id;
  head.size = isUnknownSize(bytes, sizeAt, sizeLength) ? UNKNOWN_SIZE : readVint(bytes, sizeAt, sizeLength);
  head.length = length;
  return 0;
}

/** Big-endian unsigned integer of 0 to 8 bytes; above 2^53 it is only approximate. */
export function readUint(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}

/** Big-endian signed integer of 0 to 8 bytes. */
export function readInt(bytes: Uint8Array, at: number, length: number): number {
  const value = readUint(bytes, at, length);
  return length > 0 && (bytes[at] as number) >= 0x80 ? value - 2 ** (8 * length) : value;
}

/** IEEE float of 4 or 8 bytes (0 bytes is 0); NaN for any other length. */
export function readFloat(bytes: Uint8Array, at: number, length: number): number {
  if (length === 0) return 0;
  if (length !== 4 && length !== 8) return Number.NaN;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
  return length === 4 ? view.getFloat32(0) : view.getFloat64(0);
}

export function readAscii(bytes: Uint8Array): string {
  let text = '';
  // EBML strings may be padded with zero bytes (RFC 8794 §7.4).
  for (const byte of bytes) {
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** Fewest bytes that hold this size as a variable-size integer. */
export function sizeLength(size: number): number {
  let length = 1;
  // All ones means "unknown", so the largest value of each length is not a size.
  while (size >= 2 ** (7 * length) - 1) length++;
  return length;
}

/** Fewest bytes that hold this unsigned integer (at least 1). */
export function uintLength(value: number): number {
  if (value < 0x1_00_00) return value < 0x1_00 ? 1 : 2;
  if (value < 0x1_00_00_00_00) return value < 0x1_00_00_00 ? 3 : 4;
  let length = 5;
  while (value >= 2 ** (8 * length)) length++;
  return length;
}

export function idLength(id: number): number {
  return id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1;
}

/** Writes a big-endian unsigned integer; returns the position behind it. */
export function writeUint(bytes: Uint8Array, at: number, value: number, length: number): number {
  let i = at + length - 1;
  let rest = value;
  // Bit operations know 32 bits.
  for (; rest > 0xffffffff && i >= at; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  for (; i >= at; i--) {
    bytes[i] = rest & 0xff;
    rest >>>= 8;
  }
  return at + length;
}

/** Writes a size (or track number) in exactly `length` bytes; returns the position behind it. */
export function writeSize(bytes: Uint8Array, at: number, size: number, length: number = sizeLength(size)): number {
  writeUint(bytes, at, size, length);
  bytes[at] = (bytes[at] as number) | (0x80 >> (length - 1));
  return at + length;
}

/** Writes an element's id and size; returns the position behind them. */
export function writeHead(bytes: Uint8Array, at: number, id: number, size: number, sizeBytes?: number): number {
  const behindId = writeUint(bytes, at, id, idLength(id));
  return writeSize(bytes, behindId, size, sizeBytes);
}

/** Bytes of a whole element with a payload of `size`. */
export function elementLength(id: number, size: number): number {
  return idLength(id) + sizeLength(size) + size;
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** The bytes of a hex string; null when it is none. */
export function fromHex(text: string): Uint8Array | null {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
