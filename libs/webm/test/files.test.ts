import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamReader } from '../src/index.ts';
import type { PartHeader } from '../src/index.ts';
import { decodeWarnings, makeFile, probe, withFile } from './files.ts';
import type { MadeFile, Packet, Probe } from './files.ts';
import { assertSame, chunksOf, framesOf, headerOf, readAll, streamOf, webmParts } from './recordings.ts';

/** ffprobe numbers streams by their place in Tracks. */
function streamOfTrack(header: PartHeader): (track: number) => number {
  return (track) => header.tracks.findIndex((candidate) => candidate.number === track);
}

function probeClean(file: MadeFile): Probe {
  return withFile(file.bytes, (path) => {
    const found = probe(path);
    assert.equal(found.warnings, '');
    assert.equal(found.durationMs, Math.round(file.durationMs));
    assert.equal(decodeWarnings(path), '');
    return found;
  });
}

const inOrder = (packets: readonly Packet[]): Packet[] => packets.toSorted((a, b) => a.stream - b.stream || a.timeMs - b.timeMs);

/** Opus has a pre-skip, by which ffprobe shows audio earlier than its blocks stand. */
function preSkipOf(packets: readonly Packet[], stream: number, firstMs: number): number {
  return firstMs - (packets.find((packet) => packet.stream === stream)?.timeMs ?? 0);
}

for (const part of webmParts) {
  test(`${part}: ffprobe reads the same frames from the recording as our reader`, () => {
    const items = readAll(chunksOf(part));
    const streamIndex = streamOfTrack(headerOf(items));
    const frames = framesOf(items);
    const { packets } = withFile(streamOf(part), (path) => probe(path));
    const shift = headerOf(items).tracks.map((track, i) => preSkipOf(packets, i, frames.find((frame) => frame.track === track.number)?.timeMs ?? 0));
    assertSame(
      frames.map((frame) => {
        const stream = streamIndex(frame.track);
        return { stream, timeMs: frame.timeMs - (shift[stream] ?? 0), size: frame.data.length };
      }),
      packets.map(({ stream, timeMs, size }) => ({ stream, timeMs, size })),
    );
    assert.ok(shift.every((ms) => ms >= 0 && ms <= 10));
  });

  test(`${part}: the file is clean, as long as it says, and holds every frame`, () => {
    const file = makeFile([{ pushes: chunksOf(part) }]);
    const found = probeClean(file);
    const raw = withFile(streamOf(part), (path) => probe(path));
    assert.deepEqual(found.codecs, raw.codecs);
    // ffprobe takes every audio packet for a keyframe in the recording only where its flag says so (not in Firefox's).
    const isAudio = file.header.tracks.map((track) => track.type === 'audio');
    const withKeys = raw.packets.map((packet) => ({ ...packet, key: packet.key || isAudio[packet.stream] === true }));
    assertSame(inOrder(found.packets), inOrder(withKeys));
    assert.equal(file.droppedFrames, 0);
    const last = Math.max(...found.packets.map((packet) => packet.timeMs));
    assert.ok(file.durationMs > last && file.durationMs <= last + 200);
  });

  test(`${part}: our own reader finds known sizes to the last byte`, () => {
    const file = makeFile([{ pushes: chunksOf(part) }]);
    const reader = new StreamReader();
    const items = readAll([file.bytes], reader);
    assert.equal(reader.consumedOffset, file.bytes.length);
    assert.equal(items.filter((item) => item.kind === 'cluster').length, file.clusters.length);
    assert.ok(items.every((item) => item.kind !== 'damage'));
    const { state } = reader.state();
    assert.equal(state.segmentEnd, file.bytes.length);
    assert.equal(state.clusterEnd, file.bytes.length);
  });
}

test('a seek lands on the keyframe that a cue names', () => {
  const file = makeFile([{ pushes: chunksOf('chrome-webcam-vp9-keyframe-2s') }]);
  assert.ok(file.cues.length >= 7);
  const video = streamOfTrack(file.header)(file.cues[0]?.track ?? 0);
  withFile(file.bytes, (path) => {
    for (const cue of file.cues.slice(1)) {
      const target = (cue.timeMs + 400) / 1000;
      const { packets } = probe(path, '-select_streams', String(video), '-read_intervals', `${target}%+#1`);
      assert.deepEqual(packets.map(({ timeMs, key }) => ({ timeMs, key })), [{ timeMs: cue.timeMs, key: true }]);
    }
  });
});

test('two parts with swapped track numbers join into one clean file', () => {
  const first = chunksOf('chrome-webcam-paused');
  const next = chunksOf('chrome-webcam-vp9-keyframe-2s');
  const apart = [first, next].map((pushes) => makeFile([{ pushes }]));
  assert.notDeepEqual(
    apart[0]?.header.tracks.map((track) => track.type),
    apart[1]?.header.tracks.map((track) => track.type),
  );
  const file = makeFile([{ pushes: first }, { pushes: next }]);
  const found = probeClean(file);
  assert.equal(file.durationMs, (apart[0]?.durationMs ?? 0) + (apart[1]?.durationMs ?? 0));
  assert.equal(found.packets.length, framesOf(readAll(first)).length + framesOf(readAll(next)).length);
  for (const stream of [0, 1]) {
    const times = found.packets.filter((packet) => packet.stream === stream).map((packet) => packet.timeMs);
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.equal(new Set(times).size, times.length);
  }
});

test('a part may start minutes after the one before', () => {
  const pushes = chunksOf('chrome-webcam-vp9-opus');
  const file = makeFile([{ pushes }, { pushes, offsetMs: 600_000 }]);
  probeClean(file);
  assert.equal(file.durationMs, 600_000 + makeFile([{ pushes }]).durationMs);
});

test('a file with a hole decodes without an error, whatever was lost', () => {
  for (const [part, lost] of [
    ['chrome-webcam-vp9-keyframe-2s', [3]],
    ['chrome-webcam-vp9-keyframe-2s', [5, 6, 9]],
    ['chrome-webcam-vp9-opus', [1]],
    ['firefox-webcam-vp8', [4]],
    ['chrome-screen-vp9', [2]],
    ['chrome-audio-only', [6]],
  ] as const) {
    const pushes = chunksOf(part);
    const file = makeFile([{ pushes, lost }]);
    const whole = makeFile([{ pushes }]);
    const found = probeClean(file);
    assert.ok(found.packets.length > 0 && found.packets.length < framesOf(readAll(pushes)).length, part);
    assert.ok(file.durationMs <= whole.durationMs, part);
  }
});
