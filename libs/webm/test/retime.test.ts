import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterWriter, readFrameTimes, StreamReader, WebmError, writeFrameTimes } from '../src/index.ts';
import { assertSame, framesOf, headerOf, readAll, streamOf, webmParts } from './recordings.ts';

for (const part of webmParts) {
  test(`${part}: the frame times of our clusters are read and replaced, and nothing else changes`, () => {
    const items = readAll([streamOf(part)]);
    const { tracks, docType } = headerOf(items);
    const writer = new ClusterWriter(tracks);
    const clusters = [...framesOf(items).map((frame) => writer.add(frame, { track: frame.track, offsetMs: 500 })), writer.flush()].filter((cluster) => cluster !== null);
    const bytes = Buffer.concat(clusters.map((cluster) => cluster.bytes));
    const reread = () => framesOf(StreamReader.resync({ docType, timestampScale: 1_000_000, tracks }, 0).push(bytes));
    const before = reread();
    const frames = readFrameTimes(bytes);
    assertSame(frames.map(({ track, timeMs }) => [track, timeMs]), before.map(({ track, timeMs }) => [track, timeMs]));
    const positions = new Set(frames.map(({ cluster, position }) => `${cluster} ${position}`));
    let clusterAt = 0;
    for (const cluster of clusters) {
      for (const { relativePosition } of cluster.cues) assert.ok(positions.has(`${clusterAt} ${relativePosition}`), 'a cue names a frame by its position');
      clusterAt += cluster.bytes.length;
    }
    // Earlier and closer together: also clusters get another time.
    writeFrameTimes(bytes, frames.map((frame) => ({ ...frame, timeMs: Math.round(frame.timeMs / 2) })));
    const after = reread();
    assertSame(after.map(({ timeMs }) => timeMs), before.map(({ timeMs }) => Math.round(timeMs / 2)));
    assertSame(after.map(({ data, key, track }) => [data.length, data[0], key, track]), before.map(({ data, key, track }) => [data.length, data[0], key, track]));
  });
}

test('bytes that are no clusters of ours are refused', () => {
  assert.throws(() => readFrameTimes(new Uint8Array([0xa3, 0x81, 0])), (error) => error instanceof WebmError && error.code === 'not-own-cluster');
});
