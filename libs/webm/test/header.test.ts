import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildHeader, DEFAULT_HEADER_SIZE, StreamReader, WebmError } from '../src/index.ts';
import type { Cue, HeaderInput, TrackInfo } from '../src/index.ts';
import { readFloat, readUint } from '../src/bytes.ts';
import { readChildren } from '../src/elements.ts';
import type { Child } from '../src/elements.ts';
import { headerOf, readAll } from './recordings.ts';
import { audioEntry, concat, ebml, info, open, tracks, videoEntry } from './streams.ts';

const made: readonly TrackInfo[] = headerOf(readAll([concat([ebml(), open(0x18538067), info(), tracks(videoEntry(), audioEntry())])])).tracks;

function cuesEvery(stepMs: number, count: number): Cue[] {
  return Array.from({ length: count }, (_, i) => ({
    timeMs: i * stepMs,
    track: 1,
    clusterOffset: i * 1_234_567,
    relativePosition: 10 + (i % 50) * 1000,
  }));
}

interface Layout {
  readonly segment: Child;
  readonly segmentSize: number;
  readonly children: readonly Child[];
  readonly child: (id: number) => Child | undefined;
}

/** Walks a header with the general element reader: Segment's size goes beyond it, its children must fill it exactly. */
function layout(header: Uint8Array): Layout {
  const headSize = 5 + ((header[4] as number) & 0x7f);
  assert.equal(readUint(header, headSize, 4), 0x18538067);
  assert.equal(header[headSize + 4], 0x01, 'an 8-byte size');
  const data = headSize + 12;
  const children = readChildren(header, data, header.length);
  assert.ok(children !== null, 'the children fill the header exactly');
  const segmentSize = readUint(header, headSize + 5, 7);
  return {
    segment: { id: 0x18538067, start: headSize, data, end: data + segmentSize },
    segmentSize,
    children,
    child: (id) => children.find((child) => child.id === id),
  };
}

function cuesIn(header: Uint8Array): Cue[] {
  const { child, segment } = layout(header);
  const cues = child(0x1c53bb6b);
  if (cues === undefined) return [];
  const inside = (parent: Child): Child[] => readChildren(header, parent.data, parent.end) ?? assert.fail('malformed');
  const uint = (parent: Child, id: number): number => {
    const found = inside(parent).find((element) => element.id === id) ?? assert.fail(`no ${id}`);
    return readUint(header, found.data, found.end - found.data);
  };
  return inside(cues).map((point) => {
    const positions = inside(point).find((element) => element.id === 0xb7) ?? assert.fail('no positions');
    return {
      timeMs: uint(point, 0xb3),
      track: uint(positions, 0xf7),
      clusterOffset: uint(positions, 0xf1) - (header.length - segment.data),
      relativePosition: uint(positions, 0xf0),
    };
  });
}

const base: HeaderInput = { tracks: made, durationMs: 61_234.5, cues: cuesEvery(2000, 30), mediaBytes: 5_000_000 };

test('the header has exactly its size, says the exact size of the Segment, and leads to its parts', () => {
  for (const size of [1000, 1500, DEFAULT_HEADER_SIZE, 1_000_000]) {
    const header = buildHeader({ ...base, size });
    const { segment, segmentSize, children, child } = layout(header);
    assert.equal(header.length, size);
    assert.equal(segment.data + segmentSize, size + base.mediaBytes);
    assert.deepEqual(children.map(({ id }) => id), [0x114d9b74, 0x1549a966, 0x1654ae6b, 0x1c53bb6b, 0xec]);
    const seeks = readChildren(header, child(0x114d9b74)?.data ?? 0, child(0x114d9b74)?.end ?? 0) ?? [];
    const targets = seeks.map((seek) => (readChildren(header, seek.data, seek.end) ?? []).map((f) => readUint(header, f.data, f.end - f.data)));
    assert.deepEqual(targets, children.slice(1, 4).map(({ id, start }) => [id, start - segment.data]));
    assert.deepEqual(cuesIn(header), base.cues);
  }
});

test('the duration is a 64-bit float of milliseconds', () => {
  const header = buildHeader(base);
  const { child } = layout(header);
  const parts = readChildren(header, child(0x1549a966)?.data ?? 0, child(0x1549a966)?.end ?? 0) ?? [];
  const duration = parts.find(({ id }) => id === 0x4489) ?? assert.fail('no duration');
  assert.equal(duration.end - duration.data, 8);
  assert.equal(readFloat(header, duration.data, 8), 61_234.5);
});

test('our own reader takes it, with the tracks as they were', () => {
  const reader = new StreamReader();
  const items = readAll([buildHeader(base)], reader);
  assert.deepEqual(items.map((item) => item.kind), ['header']);
  assert.deepEqual(headerOf(items), { docType: 'webm', timestampScale: 1_000_000, tracks: made });
  assert.equal(reader.consumedOffset, DEFAULT_HEADER_SIZE);
});

test('codecs that WebM does not know make it Matroska', () => {
  const h264 = made.map((track) => (track.type === 'video' ? { ...track, codecId: 'V_MPEG4/ISO/AVC' } : track));
  assert.equal(headerOf(readAll([buildHeader({ ...base, tracks: h264 })])).docType, 'matroska');
});

test('cues that outgrow the header are thinned evenly, first and last kept', () => {
  const cues = cuesEvery(2000, 5400);
  const chosen = cuesIn(buildHeader({ ...base, cues, mediaBytes: 7e9 }));
  assert.ok(chosen.length < cues.length && chosen.length > 2500, `${chosen.length} cues`);
  assert.deepEqual(chosen[0], cues[0]);
  assert.deepEqual(chosen.at(-1), cues.at(-1));
  const all = new Set(cues.map((cue) => JSON.stringify(cue)));
  assert.ok(chosen.every((cue) => all.has(JSON.stringify(cue))));
  const steps = new Set(chosen.slice(1).map((cue, i) => (cue.timeMs - (chosen[i] as Cue).timeMs) / 2000));
  assert.ok([...steps].every((step) => step === 1 || step === 2), 'even steps');
  assert.deepEqual(cuesIn(buildHeader({ ...base, cues, mediaBytes: 7e9, size: 200_000 })), cues);
});

test('every size in which something fits is filled exactly', () => {
  const cues = cuesEvery(2000, 40);
  let fitted = 0;
  for (let size = 100; size < 1400; size++) {
    try {
      const header = buildHeader({ ...base, cues, size });
      assert.equal(header.length, size);
      assert.ok(cuesIn(header).length >= 2);
      fitted++;
    } catch (error) {
      if (!(error instanceof WebmError)) throw error;
      assert.equal(error.code, 'header-too-small');
      assert.equal(fitted, 0, 'a larger size never fits worse');
    }
  }
  assert.ok(fitted > 900);
});

test('a file without cues yet has none, and names none', () => {
  const { children } = layout(buildHeader({ ...base, cues: [] }));
  assert.deepEqual(children.map(({ id }) => id), [0x114d9b74, 0x1549a966, 0x1654ae6b, 0xec]);
});

test('a single cue is kept', () => {
  assert.deepEqual(cuesIn(buildHeader({ ...base, cues: base.cues.slice(0, 1) })), base.cues.slice(0, 1));
});

test('Tracks that do not fit are an error that says so, and fit into a larger header', () => {
  const huge = headerOf(readAll([concat([ebml(), open(0x18538067), info(), tracks(videoEntry(), audioEntry(2, new Uint8Array(70_000)))])])).tracks;
  assert.throws(() => buildHeader({ ...base, tracks: huge }), (error) => error instanceof WebmError && error.code === 'header-too-small');
  assert.equal(buildHeader({ ...base, tracks: huge, size: 131_072 }).length, 131_072);
});

test('a tiny header, byte for byte', () => {
  const video = made.filter((track) => track.type === 'video');
  const cues = [
    { timeMs: 0, track: 1, clusterOffset: 0, relativePosition: 10 },
    { timeMs: 2000, track: 1, clusterOffset: 70_000, relativePosition: 300 },
  ];
  const golden = `
    1a45dfa3 9f  4286 81 01  42f7 81 01  42f2 81 04  42f3 81 08  4282 84 7765626d  4287 81 04  4285 81 02
    18538067 0100000000011338
    114d9b74 b3
      4dbb 8e  53ab 84 1549a966  53ac 84 00000038
      4dbb 8e  53ab 84 1654ae6b  53ac 84 00000065
      4dbb 8e  53ab 84 1c53bb6b  53ac 84 00000083
    1549a966 a8  2ad7b1 83 0f4240  4489 88 409fc40000000000  4d80 88 6c6f6e6774616b65  5741 88 6c6f6e6774616b65
    1654ae6b 99  ae 97  d7 81 01  83 81 01  86 85 565f565039  e0 88  b0 82 0280  ba 82 01e0
    1c53bb6b 10000024
      bb 8e  b3 81 00  b7 89  f7 81 01  f1 81 d4  f0 81 0a
      bb 92  b3 82 07d0  b7 8c  f7 81 01  f1 83 011244  f0 82 012c
    ec 010000000000001c ${'00'.repeat(28)}`;
  const header = buildHeader({ tracks: video, durationMs: 2033, cues, mediaBytes: 70_244, size: 260 });
  assert.equal(Buffer.from(header).toString('hex'), golden.replaceAll(/\s/g, ''));
});
