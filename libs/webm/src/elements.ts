import { concat, elementLength, readHead, UNKNOWN_SIZE, uintLength, writeHead, writeUint } from './bytes.ts';
import type { ElementHead } from './bytes.ts';

/** A child element inside bytes that are held whole. */
export interface Child {
  readonly id: number;
  /** Where the element starts, its payload starts, and both end. */
  readonly start: number;
  readonly data: number;
  readonly end: number;
}

/** The children of a payload that is held whole, or null when they do not fill it exactly. */
export function readChildren(bytes: Uint8Array, at: number, end: number): Child[] | null {
  const children: Child[] = [];
  const head: ElementHead = { id: 0, size: 0, length: 0 };
  let start = at;
  while (start < end) {
    if (readHead(bytes, start, end, head) !== 0 || head.size === UNKNOWN_SIZE) return null;
    const data = start + head.length;
    if (head.size > end - data) return null;
    children.push({ id: head.id, start, data, end: data + head.size });
    start = data + head.size;
  }
  return children;
}

/** A whole element around this payload, with the shortest size field. */
export function element(id: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const size = payload.reduce((sum, piece) => sum + piece.length, 0);
  const head = new Uint8Array(elementLength(id, size) - size);
  writeHead(head, 0, id, size);
  return concat([head, ...payload]);
}

/** An unsigned integer element, in as few bytes as hold it unless told otherwise. */
export function uintElement(id: number, value: number, length: number = uintLength(value)): Uint8Array {
  const payload = new Uint8Array(length);
  writeUint(payload, 0, value, length);
  return element(id, payload);
}

export function floatElement(id: number, value: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setFloat64(0, value);
  return element(id, payload);
}
