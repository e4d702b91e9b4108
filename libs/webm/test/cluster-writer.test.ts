import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterWriter, patchClusterTimestamps, placeCues, StreamReader, WebmError } from '../src/index.ts';
import type { ClusterWriterState, FinishedCluster, Frame, PartHeader } from '../src/index.ts';
import { assertSame, framesOf, headerOf, readAll, streamOf, webmParts } from './recordings.ts';
import { audioEntry, blockGroup, bytes, concat, ebml, element, info, open, partStart, simpleBlock, timestamp, tracks, uintElement, videoEntry } from './streams.ts';

const CLUSTER = 0x1f43b675;

/** Frames of a made stream: video on track 1, audio on track 2. */
function made(...blocks: Uint8Array[]): { header: PartHeader; frames: Frame[] } {
  const items = readAll([concat([partStart(), open(CLUSTER), timestamp(0), ...blocks])]);
  return { header: headerOf(items), frames: framesOf(items) };
}

function write(writer: ClusterWriter, frames: readonly Frame[], offsetMs = 0, map?: ReadonlyMap<number, number>): FinishedCluster[] {
  const clusters = frames.map((frame) => writer.add(frame, { track: map?.get(frame.track) ?? frame.track, offsetMs }));
  return [...clusters, writer.flush()].filter((cluster) => cluster !== null);
}

/** Reads our own clusters back. */
function reread(clusters: readonly FinishedCluster[]): Frame[] {
  return framesOf(readAll([partStart(), ...clusters.map((cluster) => cluster.bytes)]));
}

const content = ({ track, timeMs, key, form, data, extras }: Frame): object => ({ track, timeMs, key, form, data, extras });
const key = (relative: number, size = 3): Uint8Array => simpleBlock(1, relative, 0x80, new Uint8Array(size));
const delta = (relative: number, size = 3): Uint8Array => simpleBlock(1, relative, 0, new Uint8Array(size));
const audio = (relative: number): Uint8Array => simpleBlock(2, relative, 0);

for (const part of webmParts) {
  test(`${part}: every frame comes out as it went in, moved in time, in the same order`, () => {
    const items = readAll([streamOf(part)]);
    const header = headerOf(items);
    const isAudio = new Set(header.tracks.filter((track) => track.type === 'audio').map((track) => track.number));
    const frames = framesOf(items);
    const clusters = write(new ClusterWriter(header.tracks), frames, 12_345);
    const reader = new StreamReader();
    const start = streamOf(part).subarray(0, (items.find((item) => item.kind === 'cluster')?.start ?? 0));
    const out = framesOf(readAll([start, ...clusters.map((cluster) => cluster.bytes)], reader));
    assertSame(
      out.map(content),
      frames.map((frame) => content({ ...frame, timeMs: frame.timeMs + 12_345, key: frame.key || isAudio.has(frame.track) })),
    );
    assert.equal(clusters.reduce((sum, cluster) => sum + cluster.frames, 0), frames.length);
    for (const cluster of clusters) {
      const within = framesOf(readAll([start, cluster.bytes]));
      assert.equal(cluster.startMs, Math.min(...within.map((frame) => frame.timeMs)));
      assert.ok(cluster.endMs >= Math.max(...within.map((frame) => frame.timeMs)));
    }
  });

  test(`${part}: cues point to frames that can be jumped to`, () => {
    const items = readAll([streamOf(part)]);
    const { tracks: all } = headerOf(items);
    const clusters = write(new ClusterWriter(all), framesOf(items));
    const cueTrack = all.find((track) => track.type === 'video') ?? all[0];
    const start = streamOf(part).subarray(0, (items.find((item) => item.kind === 'cluster')?.start ?? 0));
    let media = 0;
    let last = -Infinity;
    for (const cluster of clusters) {
      const frames = framesOf(readAll([start, cluster.bytes]));
      for (const cue of placeCues(cluster.cues, media)) {
        const at = start.length + 8 + cue.relativePosition;
        const target = frames.find((frame) => frame.start === at);
        assert.equal(target?.timeMs, cue.timeMs);
        assert.equal(target?.key, true);
        assert.equal(target?.track, cueTrack?.number);
        assert.equal(cue.track, cueTrack?.number);
        assert.equal(cue.clusterOffset, media);
        assert.ok(cue.timeMs - last >= (cueTrack?.type === 'video' ? 500 : 5000));
        last = cue.timeMs;
      }
      media += cluster.bytes.length;
    }
    assert.ok(last > -Infinity);
  });
}

test('a Cluster has a 4-byte size and an 8-byte Timestamp, and no relative time is negative', () => {
  const { header, frames } = made(key(40), audio(33), delta(73));
  const [cluster] = write(new ClusterWriter(header.tracks), frames, 1000);
  assert.deepEqual(
    cluster?.bytes,
    concat([
      bytes(0x1f, 0x43, 0xb6, 0x75, 0x10, 0, 0, 10 + 27, 0xe7, 0x88, 0, 0, 0, 0, 0, 0, 0x04, 0x09),
      bytes(0xa3, 0x87, 0x81, 0, 7, 0x80, 0, 0, 0),
      bytes(0xa3, 0x87, 0x82, 0, 0, 0x80, 1, 2, 3),
      bytes(0xa3, 0x87, 0x81, 0, 40, 0, 0, 0, 0),
    ]),
  );
});

test('a keyframe starts a new Cluster once the open one is a second old', () => {
  const { header, frames } = made(key(0), audio(10), key(990), delta(1010), audio(1020), key(2000), audio(2010));
  const clusters = write(new ClusterWriter(header.tracks), frames);
  assert.deepEqual(clusters.map(({ startMs, frames: count }) => [startMs, count]), [[0, 5], [2000, 2]]);
  assert.deepEqual(clusters.map(({ cues }) => cues.map((cue) => [cue.timeMs, cue.relativePosition])), [[[0, 10], [990, 28]], [[2000, 10]]]);
});

test('a Cluster is at most five seconds long and about a megabyte large', () => {
  const audioOnly = made(...Array.from({ length: 300 }, (_, i) => audio(i * 60)));
  const tracksOfAudio = audioOnly.header.tracks.filter((track) => track.type === 'audio');
  const long = write(new ClusterWriter(tracksOfAudio), audioOnly.frames);
  assert.deepEqual(long.map((cluster) => cluster.startMs), [0, 5040, 10_080, 15_120]);
  assert.deepEqual(long.flatMap((cluster) => cluster.cues.map((cue) => cue.timeMs)), [0, 5040, 10_080, 15_120]);

  const { header, frames } = made(key(0, 1000), ...Array.from({ length: 9 }, (_, i) => delta(10 + i, 1000)), delta(30, 9000), delta(31, 10));
  const small = write(new ClusterWriter(header.tracks, { maxBytes: 5000 }), frames);
  assert.deepEqual(small.map((cluster) => cluster.frames), [4, 4, 2, 1, 1]);
  assert.deepEqual(reread(small).map(content), frames.map(content));
});

test('frames of every size around the steps of a size field come back', () => {
  const sizes = [0, 121, 122, 123, 124, 125, 16_377, 16_378, 16_379, 16_380, 16_381, 2_097_147, 2_097_148];
  const { header, frames } = made(...sizes.map((size, i) => key(i, size)));
  assert.deepEqual(frames.map((frame) => frame.data.length), sizes);
  assert.deepEqual(reread(write(new ClusterWriter(header.tracks), frames)).map((frame) => frame.data.length), sizes);
});

test('relative times never overflow, forwards or backwards', () => {
  const { header, frames } = made(key(0));
  const frame = frames[0] as Frame;
  const writer = new ClusterWriter(header.tracks, { maxMs: 1e9, keyframeMs: 1e9 });
  const times = [0, 32_767, 32_768, 70_000, 100, 0, 40_000];
  const clusters = write(writer, times.map((timeMs) => ({ ...frame, timeMs })));
  assert.deepEqual(reread(clusters).map((out) => out.timeMs), times);
  assert.deepEqual(clusters.map((cluster) => cluster.startMs), [0, 32_768, 70_000, 0, 40_000]);
});

test('a frame before the file begins is put to its start', () => {
  const { header, frames } = made(audio(5), audio(65));
  const clusters = write(new ClusterWriter(header.tracks), frames, -20);
  assert.deepEqual(reread(clusters).map((frame) => frame.timeMs), [0, 45]);
});

test('BlockGroups keep additions, references and padding under another track number', () => {
  const additions = element(0x75a1, element(0xa6, uintElement(0xee, 1), element(0xa5, bytes(5, 5))));
  const reference = element(0xfb, bytes(0xdf));
  const { header, frames } = made(blockGroup(1, 0, additions), blockGroup(1, 33, reference, additions), blockGroup(2, 40, uintElement(0x9b, 60)));
  const swapped = new Map([[1, 2], [2, 300]]);
  const writer = new ClusterWriter(header.tracks.map((track) => ({ ...track, number: swapped.get(track.number) ?? 0 })));
  const clusters = write(writer, frames, 0, swapped);
  // Track 300 takes two bytes in a block.
  const start = concat([ebml(), open(0x18538067), info(), tracks(videoEntry(2), audioEntry(300))]);
  const out = framesOf(readAll([start, ...clusters.map((cluster) => cluster.bytes)]));
  assert.deepEqual(out.map(content), frames.map((frame) => content({ ...frame, track: swapped.get(frame.track) ?? 0 })));
  assert.equal(writer.durationMs, 100);
});

test('the duration ends with the last frame of any track, by its frame distance', () => {
  const { header, frames } = made(key(0), audio(0), delta(40), audio(60), delta(80), audio(120));
  const writer = new ClusterWriter(header.tracks);
  assert.equal(writer.durationMs, 0);
  write(writer, frames.slice(0, 2));
  assert.equal(writer.durationMs, 33);
  write(writer, frames.slice(2));
  assert.equal(writer.durationMs, 180);
});

test('a pause is not taken for a frame length', () => {
  const { header, frames } = made(audio(0), audio(60), audio(30_000));
  const writer = new ClusterWriter(header.tracks);
  write(writer, frames);
  assert.equal(writer.durationMs, 30_060);
});

test('a writer goes on from its stored state as if nothing had happened', () => {
  const items = readAll([streamOf('chrome-webcam-vp9-keyframe-2s')]);
  const { tracks: all } = headerOf(items);
  const frames = framesOf(items);
  const one = new ClusterWriter(all);
  const through = [...write(one, frames.slice(0, 301)), ...write(one, frames.slice(301))];
  const first = new ClusterWriter(all);
  const begun = write(first, frames.slice(0, 301));
  const second = new ClusterWriter(all, {}, JSON.parse(JSON.stringify(first.state())) as ClusterWriterState);
  assert.ok(first.durationMs > 0);
  assert.equal(second.durationMs, first.durationMs);
  assert.deepEqual([...begun, ...write(second, frames.slice(301))], through);
  assert.equal(second.durationMs, one.durationMs);
});

test('cues keep their distance over a stored state', () => {
  const { header, frames } = made(key(0), key(300), key(600));
  const first = new ClusterWriter(header.tracks);
  write(first, frames.slice(0, 1));
  const second = new ClusterWriter(header.tracks, {}, first.state());
  assert.deepEqual(write(second, frames.slice(1)).flatMap((cluster) => cluster.cues.map((cue) => cue.timeMs)), [600]);
});

test('frames are copied: what was pushed may be reused once it is added', () => {
  const { header, frames } = made(key(0));
  const frame = frames[0] as Frame;
  const data = bytes(1, 2, 3);
  const writer = new ClusterWriter(header.tracks);
  writer.add({ ...frame, data }, { track: 1, offsetMs: 0 });
  data.fill(9);
  assert.deepEqual(writer.flush()?.bytes.slice(-3), bytes(1, 2, 3));
});

test('timestamps of whole blocks of clusters can be moved in place', () => {
  const items = readAll([streamOf('chrome-webcam-vp9-opus')]);
  const { tracks: all } = headerOf(items);
  const clusters = write(new ClusterWriter(all), framesOf(items));
  const moved = write(new ClusterWriter(all), framesOf(items), 3_600_000);
  const block = concat(clusters.map((cluster) => cluster.bytes));
  assert.equal(patchClusterTimestamps(block, 3_600_000), clusters.length);
  assert.deepEqual(block, concat(moved.map((cluster) => cluster.bytes)));
  patchClusterTimestamps(block, -3_600_000);
  assert.deepEqual(block, concat(clusters.map((cluster) => cluster.bytes)));
});

test('what is not wholly ours is not touched when timestamps are moved', () => {
  const { header, frames } = made(key(0));
  const [cluster] = write(new ClusterWriter(header.tracks), frames, 50);
  assert.ok(cluster !== undefined);
  const refused: [string, Uint8Array, number][] = [
    ['not-own-cluster', cluster.bytes.subarray(0, -1), 5],
    ['not-own-cluster', concat([cluster.bytes, bytes(0)]), 5],
    ['not-own-cluster', concat([cluster.bytes, element(CLUSTER, timestamp(1))]), 5],
    ['not-own-cluster', concat([cluster.bytes, bytes(0x1f, 0x43, 0xb6, 0x75, 0x10, 0, 0, 12, 0xe7, 0x81, 1), new Uint8Array(9)]), 5],
    ['invalid-timestamp', cluster.bytes, -51],
  ];
  for (const [code, block, by] of refused) {
    const before = block.slice();
    assert.throws(() => patchClusterTimestamps(block, by), (error) => error instanceof WebmError && error.code === code);
    assert.deepEqual(block, before);
  }
});
