import { readAscii, readHead, UNKNOWN_SIZE } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import { readChildren } from './elements.ts';
import { Id } from './ids.ts';

export type Container = 'webm' | 'mp4' | 'unknown' | 'need-more';

const magic = [0x1a, 0x45, 0xdf, 0xa3];
const ftyp = [0x66, 0x74, 0x79, 0x70];
// Real EBML heads have about 31 bytes; what claims far more is no recording.
export const MAX_EBML_HEAD = 4096;

/**
 * What a stream is, by its first bytes (any number of them, from 0 on).
 * `webm` stands for the DocTypes webm and matroska (Chrome's H.264), `need-more` for a prefix that may yet become either.
 */
export function sniff(bytes: Uint8Array): Container {
  if (bytes.length === 0) return 'need-more';
  if (bytes[0] === magic[0]) return sniffEbml(bytes);
  // An ISO box starts with its 32-bit length, and no ftyp box has 2^24 bytes.
  if (bytes[0] !== 0) return 'unknown';
  for (let i = 4; i < 8; i++) {
    if (i >= bytes.length) return 'need-more';
    if (bytes[i] !== ftyp[i - 4]) return 'unknown';
  }
  return 'mp4';
}

function sniffEbml(bytes: Uint8Array): Container {
  for (let i = 0; i < 4; i++) {
    if (i >= bytes.length) return 'need-more';
    if (bytes[i] !== magic[i]) return 'unknown';
  }
  const head: ElementHead = { id: 0, size: 0, length: 0 };
  const outcome = readHead(bytes, 0, bytes.length, head);
  if (outcome > 0) return 'need-more';
  if (outcome < 0 || head.size === UNKNOWN_SIZE || head.size > MAX_EBML_HEAD) return 'unknown';
  const end = head.length + head.size;
  if (bytes.length < end) return 'need-more';
  return isWebmDocType(readDocType(bytes, head.length, end)) ? 'webm' : 'unknown';
}

/** The DocType in an EBML head's payload; null when the payload cannot be read. */
export function readDocType(bytes: Uint8Array, at: number, end: number): string | null {
  const children = readChildren(bytes, at, end);
  if (children === null) return null;
  const docType = children.find((child) => child.id === Id.DocType);
  // RFC 9559 gives no default; a head without one is read by every player as Matroska.
  return docType === undefined ? 'matroska' : readAscii(bytes.subarray(docType.data, docType.end));
}

export function isWebmDocType(docType: string | null): docType is 'webm' | 'matroska' {
  return docType === 'webm' || docType === 'matroska';
}
