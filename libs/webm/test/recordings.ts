import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { StreamReader } from '../src/index.ts';
import type { Frame, PartHeader, ReadItem } from '../src/index.ts';

const folder = new URL('../../testkit/fixtures/media/', import.meta.url);

/** All recorded parts that are WebM, by folder name. */
export const webmParts = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'chrome-mp4')
  .map((entry) => entry.name);

/** A part's chunks, as its recorder cut them. */
export function chunksOf(part: string): Uint8Array[] {
  const chunks = new URL(`${part}/`, folder);
  return readdirSync(chunks)
    .toSorted()
    .map((name) => new Uint8Array(readFileSync(new URL(name, chunks))));
}

export function streamOf(part: string): Uint8Array {
  return new Uint8Array(Buffer.concat(chunksOf(part)));
}

/** Everything a reader makes of these pushes. */
export function readAll(pushes: Iterable<Uint8Array>, reader: StreamReader = new StreamReader()): ReadItem[] {
  return Array.from(pushes, (bytes) => reader.push(bytes)).flat();
}

export function framesOf(items: readonly ReadItem[]): Frame[] {
  return items.filter((item) => item.kind === 'frame');
}

export function headerOf(items: readonly ReadItem[]): PartHeader {
  const found = items.find((item) => item.kind === 'header');
  if (found === undefined) throw new Error('no header was read');
  return found.header;
}

/** Items in a form that compares by content: byte arrays by digest, errors by code and place. */
export function summary(items: readonly ReadItem[]): unknown[] {
  return items.map((item) => {
    switch (item.kind) {
      case 'frame':
        return { ...item, data: digest(item.data), extras: item.extras === null ? null : digest(item.extras) };
      case 'damage':
        return { ...item, error: { code: item.error.code, offset: item.error.offset } };
      case 'header':
        return { kind: item.kind, tracks: item.header.tracks.map((track) => digest(track.entry)) };
      case 'cluster':
      case 'resynced':
      case 'recording':
        return item;
      default:
        return item satisfies never;
    }
  });
}

/** Like `assert.deepEqual` of two lists, but shows only where they part: a diff of thousands of frames takes minutes. */
export function assertSame(actual: readonly unknown[], expected: readonly unknown[], message?: string): void {
  const parted = Array.from({ length: Math.max(actual.length, expected.length) }).findIndex(
    (_, i) => !isDeepStrictEqual(actual[i], expected[i]),
  );
  if (parted < 0) return;
  assert.deepEqual(actual.slice(parted, parted + 3), expected.slice(parted, parted + 3), message ?? `they part at ${parted}`);
}

export function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('base64url')}`;
}

/** Cuts bytes at these fractions of their length. */
export function cut(bytes: Uint8Array, fractions: readonly number[]): Uint8Array[] {
  const places = fractions.map((f) => Math.floor(f * (bytes.length + 1))).toSorted((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length));
}

/** One byte at a time. */
export function* bytewise(bytes: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

/** A small seeded generator of numbers from 0 to below 1 (mulberry32), so that every run cuts at the same places. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
