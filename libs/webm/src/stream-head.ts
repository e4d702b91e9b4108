import { readHead, UNKNOWN_SIZE } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import { readChildren } from './elements.ts';
import { Id } from './ids.ts';
import { isWebmDocType, MAX_EBML_HEAD, readDocType } from './sniff.ts';

const magic = [0x1a, 0x45, 0xdf, 0xa3];
const head: ElementHead = { id: 0, size: 0, length: 0 };

/**
 * Whether another WebM or Matroska stream starts at `at`: an EBML head that names its DocType, then a Segment. Four magic
 * bytes inside a frame do not pass. A positive number is how many bytes from `at` would decide.
 */
export function proveStreamHead(bytes: Uint8Array, at: number, end: number): 'head' | 'none' | number {
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return 4;
    if (bytes[at + i] !== magic[i]) return 'none';
  }
  let missing = readHead(bytes, at, end, head);
  if (missing !== 0) return missing < 0 ? 'none' : missing;
  if (head.size === UNKNOWN_SIZE || head.size > MAX_EBML_HEAD) return 'none';
  const data = at + head.length;
  const segment = data + head.size;
  if (segment > end) return segment - at;
  const children = readChildren(bytes, data, segment);
  if (children?.some(({ id }) => id === Id.DocType) !== true || !isWebmDocType(readDocType(bytes, data, segment))) return 'none';
  missing = readHead(bytes, segment, end, head);
  if (missing !== 0) return missing < 0 ? 'none' : segment - at + missing;
  return head.id === Id.Segment ? 'head' : 'none';
}

/** Where the four bytes that an EBML head starts with are, at or behind `from`; -1 when nowhere before `end`. */
export function findMagic(bytes: Uint8Array, from: number, end: number): number {
  for (let at = bytes.indexOf(0x1a, from); at >= 0 && at + 4 <= end; at = bytes.indexOf(0x1a, at + 1)) {
    if (bytes[at + 1] === 0x45 && bytes[at + 2] === 0xdf && bytes[at + 3] === 0xa3) return at;
  }
  return -1;
}

/** How many bytes at the end of these are the start of an EBML head's id: 0 to 3. */
export function magicAtEnd(bytes: Uint8Array, end: number): number {
  for (let count = 3; count > 0; count--) {
    if (magic.slice(0, count).every((byte, i) => bytes[end - count + i] === byte)) return count;
  }
  return 0;
}

/**
 * Whether the first `before` bytes of an EBML head, which are gone, are followed by the rest of it at `at`: what it holds then,
 * and where it ends, in bytes from `at`. A positive number is how many bytes from `at` would decide.
 */
export function proveRestOfHead(before: number, bytes: Uint8Array, at: number, end: number): { readonly docType: 'webm' | 'matroska'; readonly length: number } | 'none' | number {
  const rest = bytes.subarray(at, Math.min(end, at + MAX_EBML_HEAD + 24));
  const whole = new Uint8Array(before + rest.length);
  whole.set(magic.slice(0, before));
  whole.set(rest, before);
  const verdict = proveStreamHead(whole, 0, whole.length);
  if (verdict !== 'head') return verdict === 'none' ? verdict : verdict - before;
  readHead(whole, 0, whole.length, head);
  const docType = readDocType(whole, head.length, head.length + head.size);
  return isWebmDocType(docType) ? { docType, length: head.length + head.size - before } : 'none';
}

/** Offset of the first WebM or Matroska stream that starts anywhere in these bytes; -1 when none does. */
export function findStreamHead(bytes: Uint8Array): number {
  for (let at = findMagic(bytes, 0, bytes.length); at >= 0; at = findMagic(bytes, at + 1, bytes.length)) {
    if (proveStreamHead(bytes, at, bytes.length) === 'head') return at;
  }
  return -1;
}
