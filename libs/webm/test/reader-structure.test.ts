import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamReader, WebmError } from '../src/index.ts';
import type { ReaderState, ReadItem } from '../src/index.ts';
import { bytewise, framesOf, headerOf, readAll, summary } from './recordings.ts';
import {
  audioEntry,
  blockGroup,
  bytes,
  concat,
  ebml,
  element,
  info,
  open,
  partStart,
  simpleBlock,
  timestamp,
  tracks,
  uintElement,
  videoEntry,
} from './streams.ts';

const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const CUES = 0x1c53bb6b;
const TAGS = 0x1254c367;
const SEEK_HEAD = 0x114d9b74;
const VOID = 0xec;
const CRC32 = 0xbf;

/** Reads in one piece and byte by byte, and wants the same of both. */
function read(stream: Uint8Array): ReadItem[] {
  const items = readAll([stream]);
  assert.deepEqual(summary(readAll(bytewise(stream))), summary(items));
  return items;
}

function kinds(items: readonly ReadItem[]): string[] {
  return items.map((item) => (item.kind === 'damage' ? item.error.code : item.kind));
}

test('Segment and Clusters may know their size, end unknown, or be mixed', () => {
  const frames = [timestamp(100), simpleBlock(1, 0), simpleBlock(2, -5)];
  const head = [info(), tracks(videoEntry(), audioEntry())];
  const variants = {
    'all known': concat([ebml(), element(SEGMENT, ...head, element(CLUSTER, ...frames), element(CLUSTER, ...frames))]),
    'all unknown': concat([ebml(), open(SEGMENT), ...head, open(CLUSTER), ...frames, open(CLUSTER), ...frames]),
    'known in unknown': concat([ebml(), open(SEGMENT), ...head, element(CLUSTER, ...frames), element(CLUSTER, ...frames)]),
    'unknown, then known': concat([ebml(), open(SEGMENT), ...head, open(CLUSTER), ...frames, element(CLUSTER, ...frames)]),
  };
  for (const [name, stream] of Object.entries(variants)) {
    const items = read(stream);
    assert.deepEqual(kinds(items), ['header', 'cluster', 'frame', 'frame', 'cluster', 'frame', 'frame'], name);
    assert.deepEqual(framesOf(items).map((frame) => frame.timeMs), [100, 95, 100, 95], name);
  }
});

test("the recorder's own SeekHead, Cues, Tags, Void and CRC-32 are dropped wherever they stand", () => {
  const stream = concat([
    ebml(),
    open(SEGMENT),
    element(SEEK_HEAD),
    element(CRC32, bytes(1, 2, 3, 4)),
    tracks(videoEntry(), audioEntry()),
    element(VOID, new Uint8Array(300)),
    info(),
    open(CLUSTER),
    element(CRC32, bytes(1, 2, 3, 4)),
    timestamp(7),
    uintElement(0xab, 1234),
    simpleBlock(1, 0),
    element(VOID, new Uint8Array(3)),
    simpleBlock(1, 33),
    element(CUES, new Uint8Array(100_000)),
    element(TAGS, new Uint8Array(20)),
  ]);
  const reader = new StreamReader();
  assert.deepEqual(kinds(readAll([stream], reader)), ['header', 'cluster', 'frame', 'frame']);
  assert.equal(reader.consumedOffset, stream.length);
  read(stream);
});

test('small elements that a later browser may add are passed over', () => {
  const stream = concat([partStart(), element(0x5abc, new Uint8Array(40)), open(CLUSTER), timestamp(0), element(0x7f55, bytes(1)), simpleBlock(1, 0)]);
  assert.deepEqual(kinds(read(stream)), ['header', 'cluster', 'frame']);
});

test('a BlockGroup keeps its additions, is a keyframe without references, and says its duration', () => {
  const additions = element(0x75a1, element(0xa6, uintElement(0xee, 1), element(0xa5, bytes(5, 5))));
  const reference = element(0xfb, bytes(0xdf));
  const duration = uintElement(0x9b, 40);
  const padding = element(0x75a2, bytes(1, 2));
  const stream = concat([
    partStart(),
    open(CLUSTER),
    timestamp(1000),
    blockGroup(1, 0, additions),
    blockGroup(1, 33, additions, reference),
    blockGroup(2, 40, duration, padding),
  ]);
  const [key, delta, audio] = framesOf(read(stream));
  assert.equal(key?.key, true);
  assert.deepEqual(key?.extras, additions);
  assert.equal(delta?.key, false);
  assert.deepEqual(delta?.extras, concat([additions, reference]));
  assert.equal(audio?.durationMs, 40);
  assert.deepEqual(audio?.extras, concat([duration, padding]));
  assert.deepEqual(audio?.data, bytes(7, 8, 9));
});

test('other timestamp scales become milliseconds, references and durations too', () => {
  // 48,000 ticks a second, as other muxers write it.
  const stream = concat([
    partStart(20_833),
    open(CLUSTER),
    timestamp(48_000),
    simpleBlock(1, 480),
    blockGroup(1, 960, element(0xfb, bytes(0xfe, 0x20)), uintElement(0x9b, 480)),
  ]);
  const items = read(stream);
  assert.equal(headerOf(items).timestampScale, 20_833);
  assert.deepEqual(items.find((item) => item.kind === 'cluster')?.timeMs, 1000);
  const [simple, group] = framesOf(items);
  assert.equal(simple?.timeMs, 1010);
  assert.equal(group?.timeMs, 1020);
  assert.equal(group?.durationMs, 10);
  const minusTen = element(0xfb, bytes(255, 255, 255, 255, 255, 255, 255, 0xf6));
  assert.deepEqual(group?.extras, concat([minusTen, uintElement(0x9b, 10)]));
});

test('an unsound block is reported with its range, and its neighbours are read', () => {
  const stream = concat([
    partStart(),
    open(CLUSTER),
    simpleBlock(1, 0),
    timestamp(0),
    simpleBlock(1, 10),
    element(0xa3, bytes(0x81, 0)),
    element(0xa3),
    element(0xa0, bytes(0xff, 0xff, 0xff)),
    element(0xa0, uintElement(0x9b, 3)),
    blockGroup(5, 20),
    simpleBlock(2, 30),
    open(CLUSTER),
    simpleBlock(2, 40),
  ]);
  const items = read(stream);
  assert.deepEqual(kinds(items), [
    'header',
    'invalid-timestamp',
    'cluster',
    'frame',
    'invalid-block',
    'invalid-block',
    'invalid-block',
    'invalid-block',
    'unknown-track',
    'frame',
    'invalid-timestamp',
  ]);
  const damages = items.filter((item) => item.kind === 'damage');
  assert.ok(damages.every((damage) => !damage.error.retryable && damage.end !== null && damage.end > damage.start));
});

test('lost structure is reported once, then reading goes on at the next Cluster', () => {
  const cluster = concat([open(CLUSTER), timestamp(900), simpleBlock(1, 0)]);
  const breaks = {
    'invalid-element': bytes(0, 0, 0, 0),
    'element-too-large': concat([bytes(0xa3, 0x08, 0xff, 0xff, 0xff, 0xff)]),
    'unexpected-element': open(SEGMENT),
    'unknown-track': simpleBlock(5, 20),
    'exceeds-parent': concat([element(CLUSTER, timestamp(5)).subarray(0, 4), bytes(0x84), timestamp(5), bytes(0xa3, 0x90)]),
  };
  for (const [code, broken] of Object.entries(breaks)) {
    const stream = concat([partStart(), open(CLUSTER), timestamp(0), simpleBlock(1, 0), broken, cluster, cluster]);
    const items = read(stream);
    const damage = items.findIndex((item) => item.kind === 'damage');
    assert.equal(kinds(items)[damage], code);
    assert.deepEqual(kinds(items).slice(damage + 1), ['resynced', 'cluster', 'frame', 'cluster', 'frame'], code);
    const resynced = items[damage + 1] as ReadItem & { kind: 'resynced' };
    assert.equal(resynced.start, stream.length - 2 * cluster.length, code);
  }
});

test('a large element of an unknown kind, or one that is no block in a Cluster, is taken for noise', () => {
  const inCluster = concat([partStart(), open(CLUSTER), timestamp(0), element(VOID, new Uint8Array(65_537))]);
  assert.deepEqual(kinds(read(inCluster)), ['header', 'cluster', 'unexpected-element']);
  const stream = concat([partStart(), bytes(0x5a, 0xbc, 0x10, 0, 0x10, 1), new Uint8Array(50)]);
  assert.deepEqual(kinds(read(stream)), ['header', 'unexpected-element']);
});

test('behind the end of a known Segment only padding may stand', () => {
  const cluster = element(CLUSTER, timestamp(0), simpleBlock(1, 0));
  const segment = element(SEGMENT, info(), tracks(videoEntry()), cluster);
  const padded = concat([ebml(), segment, element(VOID, new Uint8Array(9))]);
  assert.deepEqual(kinds(read(padded)), ['header', 'cluster', 'frame']);
  // A Segment that ended too early has lied about its size: its clusters are read all the same.
  assert.deepEqual(kinds(read(concat([padded, cluster, cluster]))), [
    'header',
    'cluster',
    'frame',
    'unexpected-element',
    'resynced',
    'cluster',
    'frame',
    'cluster',
    'frame',
  ]);
  const tooLong = concat([bytes(0x1f, 0x43, 0xb6, 0x75, 0x10, 0, 1, 0), timestamp(0), simpleBlock(1, 0)]);
  assert.deepEqual(kinds(read(concat([partStart(), tooLong, cluster]))), [
    'header',
    'cluster',
    'frame',
    'unexpected-element',
    'resynced',
    'cluster',
    'frame',
  ]);
});

test('what is to be dropped or kept of the header is bounded as well', () => {
  const limits = { maxElementBytes: 1000 };
  const dropped = concat([partStart(), element(CUES, new Uint8Array(1001))]);
  assert.deepEqual(kinds(readAll([dropped], new StreamReader(limits))), ['header', 'element-too-large']);
  const header = concat([ebml(), open(SEGMENT), info(), tracks(audioEntry(2, new Uint8Array(1001)))]);
  assert.deepEqual(kinds(readAll([header], new StreamReader(limits))), ['element-too-large']);
});

test('without a header nothing can be read, and the reader says why', () => {
  const cluster = concat([open(CLUSTER), timestamp(0), simpleBlock(1, 0)]);
  const failures: [string, Uint8Array][] = [
    ['not-webm', concat([ebml('mp3'), open(SEGMENT)])],
    ['not-webm', concat([open(SEGMENT), cluster])],
    ['not-webm', element(0x1a45dfa3, element(VOID, new Uint8Array(5000)))],
    ['unexpected-element', concat([ebml(), cluster])],
    ['header-missing', concat([ebml(), open(SEGMENT), info(), cluster])],
    ['invalid-header', concat([ebml(), open(SEGMENT), tracks()])],
    ['invalid-header', concat([ebml(), open(SEGMENT), tracks(videoEntry(1), audioEntry(1))])],
    ['invalid-header', concat([ebml(), open(SEGMENT), element(0x1654ae6b, bytes(0xff, 0xff))])],
    ['invalid-header', concat([ebml(), open(SEGMENT), info(0)])],
    ['invalid-element', concat([ebml(), open(SEGMENT), open(0x1654ae6b)])],
  ];
  for (const [code, stream] of failures) {
    const reader = new StreamReader();
    assert.deepEqual(kinds(readAll([stream, cluster], reader)), [code]);
    assert.equal(reader.failed?.code, code);
    assert.deepEqual(reader.push(partStart()), []);
    const { state, tail } = reader.state();
    const resumed = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail);
    assert.equal(resumed.failed?.code, code);
    assert.deepEqual(resumed.push(partStart()), []);
    assert.deepEqual(kinds(read(stream)), [code]);
  }
});

test('Tracks without Info are enough: milliseconds are the default', () => {
  const stream = concat([ebml(), open(SEGMENT), tracks(videoEntry()), open(CLUSTER), timestamp(5), simpleBlock(1, 1)]);
  assert.equal(headerOf(read(stream)).timestampScale, 1_000_000);
});

test('a reader can be stored between Tracks and a late Info', () => {
  const start = concat([ebml(), open(SEGMENT), tracks(videoEntry())]);
  const before = new StreamReader();
  before.push(start);
  const { state, tail } = before.state();
  const reader = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail);
  const items = reader.push(concat([info(2_000_000), open(CLUSTER), timestamp(5), simpleBlock(1, 1)]));
  assert.deepEqual(kinds(items), ['header', 'cluster', 'frame']);
  assert.equal(framesOf(items)[0]?.timeMs, 12);
});

test('alpha and codec details are read from Tracks', () => {
  const stream = concat([ebml(), open(SEGMENT), info(), tracks(videoEntry(3, uintElement(0x53c0, 1)), audioEntry(4))]);
  const [video, audio] = headerOf(read(stream)).tracks;
  assert.deepEqual(video?.video, { width: 640, height: 480, alphaMode: 1 });
  assert.equal(video?.number, 3);
  assert.deepEqual(audio?.audio, { sampleRate: 48000, outputSampleRate: 48000, channels: 1, bitDepth: 0 });
  assert.equal(new TextDecoder().decode(audio?.codecPrivate ?? bytes()), 'OpusHead');
});

test('a state of another version is refused', () => {
  const { state, tail } = new StreamReader().state();
  const other = { ...state, version: 2 } as unknown as ReaderState;
  assert.throws(() => StreamReader.resume(other, tail), (error) => error instanceof WebmError && error.code === 'invalid-state');
});

test('a frame of one megabyte may come byte by byte', () => {
  const large = new Uint8Array(1_000_000).map((_, i) => i % 251);
  const stream = concat([partStart(), open(CLUSTER), timestamp(0), simpleBlock(1, 0, 0x80, large), simpleBlock(2, 0)]);
  const frames = framesOf(readAll(bytewise(stream)));
  assert.equal(frames.length, 2);
  assert.deepEqual(frames[0]?.data, large);
});

test('a block at the limit is read, one byte more is damage', () => {
  const cluster = (size: number): Uint8Array =>
    concat([partStart(), open(CLUSTER), timestamp(0), simpleBlock(1, 0, 0x80, new Uint8Array(size - 4)), simpleBlock(2, 0)]);
  const readWith = (size: number): string[] => kinds(readAll([cluster(size)], new StreamReader({ maxElementBytes: 1000 })));
  assert.deepEqual(readWith(1000), ['header', 'cluster', 'frame', 'frame']);
  assert.deepEqual(readWith(1001), ['header', 'cluster', 'element-too-large']);
});
