import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '@longtake/testkit';
import fc from 'fast-check';
import { compatible, findStreamHead, StreamReader, unpackHeader, packHeader } from '../src/index.ts';
import type { Frame, ReaderState, ReadItem } from '../src/index.ts';
import { assertSame, bytewise, cut, framesOf, headerOf, readAll, seeded, streamOf, summary, webmParts } from './recordings.ts';
import { asciiBytes } from '../src/bytes.ts';
import { audioEntry, blockGroup, bytes, concat, ebml, element, info, open, partStart, simpleBlock, timestamp, tracks, uintElement, videoEntry } from './streams.ts';

const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const kinds = (items: readonly ReadItem[]): string[] => items.map((item) => (item.kind === 'damage' ? item.error.code : item.kind));

/** A short recording of two Clusters; `last` follows its last block. */
function recording(number = 1, last: Uint8Array = bytes()): Uint8Array {
  return concat([
    ebml(), open(SEGMENT), info(), tracks(videoEntry(number)),
    open(CLUSTER), timestamp(0), simpleBlock(number, 0), simpleBlock(number, 40),
    open(CLUSTER), timestamp(80), simpleBlock(number, 0), last,
  ]);
}

test('a second EBML head begins another recording with a header of its own', () => {
  const second = recording(3);
  const stream = concat([recording(), second]);
  const items = readAll([stream]);
  assert.deepEqual(kinds(items), [...kinds(readAll([recording()])), 'recording', ...kinds(readAll([second]))]);
  const begins = items.find((item) => item.kind === 'recording');
  assert.equal(begins?.start, stream.length - second.length);
  assert.deepEqual(framesOf(items).map(({ track }) => track), [1, 1, 1, 3, 3, 3]);
  assert.equal(findStreamHead(stream.subarray(5)), stream.length - second.length - 5);
});

test('the second head is found where the first recording broke off: in a block, in an element head, in a Segment of known size', () => {
  const second = recording(2, concat(Array.from({ length: 60 }, (_, i) => simpleBlock(2, 40 * i))));
  const first = recording(1, element(0xa3, bytes(0x81, 0, 40, 0x80), new Uint8Array(400).fill(7)));
  for (const length of [first.length - 300, first.length - 399, first.length - 405, first.length - 406]) {
    const items = readAll([concat([first.subarray(0, length), second])]);
    const at = items.findIndex((item) => item.kind === 'recording');
    assert.ok(at > 0, `broken off after ${length} bytes: ${kinds(items).join()}`);
    assert.deepEqual(kinds(items.slice(at + 1)), kinds(readAll([second])), `broken off after ${length} bytes`);
  }
  const known = concat([ebml(), element(SEGMENT, info(), tracks(videoEntry()), element(CLUSTER, timestamp(0), simpleBlock(1, 0)))]);
  assert.deepEqual(kinds(readAll([concat([known, second])])), [...kinds(readAll([known])), 'recording', ...kinds(readAll([second]))]);
  const lying = concat([ebml(), element(SEGMENT, info(), tracks(videoEntry()), element(CLUSTER, timestamp(0), simpleBlock(1, 0)), new Uint8Array(9_000)).subarray(0, -9_000)]);
  assert.deepEqual(kinds(readAll([concat([lying, second])])), [...kinds(readAll([lying])), 'recording', ...kinds(readAll([second]))]);
});

test('behind a hole a head is found as well as a Cluster, and four magic bytes in a frame are no head', () => {
  const header = headerOf(readAll([recording()]));
  const items = readAll([concat([bytes(1, 2, 0x1a, 0x45, 0xdf, 0xa3, 9, 9), recording(5)])], StreamReader.resync(header, 100));
  assert.deepEqual(kinds(items), ['recording', ...kinds(readAll([recording(5)]))]);
  const frame = simpleBlock(1, 20, 0x80, concat([ebml(), bytes(0x1a, 0x45, 0xdf, 0xa3, 0x9f)]));
  const plain = concat([partStart(), open(CLUSTER), timestamp(0), frame, simpleBlock(1, 40, 0x80, new Uint8Array(60)), simpleBlock(1, 60)]);
  assert.deepEqual(kinds(readAll([plain])), ['header', 'cluster', 'frame', 'frame', 'frame']);
});

test('a second recording whose head is unsound is left out; a third is read', () => {
  const broken = concat([ebml(), open(SEGMENT), info(), tracks(element(0xae, bytes(0, 0, 0))), open(CLUSTER), timestamp(0), simpleBlock(1, 0)]);
  const items = readAll([concat([recording(), broken, recording(2)])]);
  const at = items.findIndex((item) => item.kind === 'damage');
  assert.deepEqual(kinds(items).slice(at), ['invalid-header', 'recording', ...kinds(readAll([recording(2)]))]);
});

fuzz(
  'recordings in a row are read like each alone, wherever the first broke off, however it is cut, over any restart',
  150,
  fc.record({
    names: fc.array(fc.constantFrom(...webmParts), { minLength: 2, maxLength: 3 }),
    lengths: fc.array(fc.integer({ min: 12_000, max: 40_000 }), { minLength: 3, maxLength: 3 }),
    fractions: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
  }),
  ({ names, lengths, fractions }) => {
    const streams = names.map((name, i) => streamOf(name).subarray(0, lengths[i]));
    const whole = readAll([concat(streams)]);
    let reader = new StreamReader();
    const items = cut(concat(streams), fractions).flatMap((piece) => {
      const made = reader.push(piece);
      const { state, tail } = reader.state();
      reader = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail);
      return [...made];
    });
    assertSame(summary(items), summary(whole));
    const contents = (read: readonly ReadItem[]): unknown[] => framesOf(read).map(({ track, timeMs, key, data }) => [track, timeMs, key, data.length, data[0], data.at(-1)]);
    // A block that lacks no more than three bytes gets them from the head behind it.
    const ends = streams.map((_, i) => concat(streams.slice(0, i + 1)).length);
    const sound = whole.filter((item) => item.kind !== 'frame' || !ends.some((end) => item.start < end && end < item.end));
    assertSame(contents(sound), streams.flatMap((stream) => contents(readAll([stream]))));
  },
);

test('relative times that wrap around after 32.767 s go on rising', () => {
  const times = Array.from({ length: 200 }, (_, i) => i * 1000);
  const blocks = times.map((ms) => simpleBlock(1, (ms << 16) >> 16, ms === 0 ? 0x80 : 0));
  const stream = concat([partStart(), open(CLUSTER), timestamp(500), ...blocks, open(CLUSTER), timestamp(200_500), simpleBlock(1, -20)]);
  const expected = [...times.map((ms) => ms + 500), 200_480];
  assert.deepEqual(framesOf(readAll([stream])).map(({ timeMs }) => timeMs), expected);
  let reader = new StreamReader();
  const random = seeded(9);
  const resumed = cut(stream, Array.from({ length: 30 }, random)).flatMap((piece) => {
    const made = reader.push(piece);
    const { state, tail } = reader.state();
    reader = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail);
    return framesOf(made);
  });
  assert.deepEqual(resumed.map(({ timeMs }: Frame) => timeMs), expected);
});

test('reordered pictures within a Cluster keep the times that were written', () => {
  const relative = [0, 120, 40, 80, 32_000, 31_900, -100];
  const stream = concat([partStart(), open(CLUSTER), timestamp(1000), ...relative.map((ms) => simpleBlock(1, ms))]);
  assert.deepEqual(framesOf(readAll([stream])).map(({ timeMs }) => timeMs), relative.map((ms) => ms + 1000));
});

const subtitles = (number: number): Uint8Array =>
  element(0xae, uintElement(0xd7, number), uintElement(0x83, 0x11), element(0x86, asciiBytes('D_WEBVTT/SUBTITLES')));

test('a track of another kind is left out with its blocks, the others are kept', () => {
  const text = new Uint8Array(3000).fill(65);
  const stream = concat([
    ebml(), open(SEGMENT), info(), tracks(subtitles(1), videoEntry(2), subtitles(4), audioEntry(3)),
    open(CLUSTER), timestamp(0), blockGroup(1, 0, uintElement(0x9b, 500)), simpleBlock(2, 0), simpleBlock(3, 0), simpleBlock(4, 10, 0x80, text),
    open(CLUSTER), timestamp(900), simpleBlock(4, 10), simpleBlock(2, 0), blockGroup(3, 20),
  ]);
  for (const items of [readAll([stream]), readAll(bytewise(stream))]) {
    assert.deepEqual(kinds(items).filter((kind) => kind !== 'cluster'), ['header', 'frame', 'frame', 'frame', 'frame']);
    assert.deepEqual(framesOf(items).map(({ track }) => track), [2, 3, 2, 3]);
  }
  const header = headerOf(readAll([stream]));
  assert.deepEqual(unpackHeader(packHeader(header)), header);
  assert.equal(compatible(header, headerOf(readAll([partStart()]))).compatible, true);
  const behindHole = readAll([stream.subarray(stream.length - 60)], StreamReader.resync(unpackHeader(packHeader(header)), 0));
  assert.deepEqual(kinds(behindHole), ['resynced', 'cluster', 'frame', 'frame']);
});

test('without a video or audio track nothing can be played, and the reader names the reason', () => {
  const reader = new StreamReader();
  reader.push(concat([ebml(), open(SEGMENT), info(), tracks(subtitles(1))]));
  assert.equal(reader.failed?.message, 'there is neither a video nor an audio track');
});
