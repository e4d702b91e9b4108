import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, mapTracks, packHeader, unpackHeader } from '../src/index.ts';
import type { PartHeader } from '../src/index.ts';
import { chunksOf, headerOf, readAll } from './recordings.ts';
import { audioEntry, bytes, concat, ebml, info, open, tracks, uintElement, videoEntry } from './streams.ts';

const header = (...entries: Uint8Array[]): PartHeader => headerOf(readAll([concat([ebml(), open(0x18538067), info(), tracks(...entries)])]));
const recorded = (part: string): PartHeader => headerOf(readAll(chunksOf(part)));

test('parts that number their tracks the other way round can be joined', () => {
  const first = header(videoEntry(1), audioEntry(2));
  const next = header(audioEntry(1), videoEntry(2));
  assert.deepEqual(compatible(first, next), { compatible: true });
  assert.deepEqual(mapTracks(first, next), new Map([[2, 1], [1, 2]]));
});

test('two runs of the same browser can be joined', () => {
  const a = recorded('chrome-webcam-paused');
  const b = recorded('chrome-webcam-vp9-keyframe-2s');
  assert.deepEqual(compatible(a, b), { compatible: true });
  assert.deepEqual(mapTracks(a, b), new Map([[1, 2], [2, 1]]));
});

test('another resolution is no obstacle', () => {
  assert.deepEqual(compatible(header(videoEntry(1)), header(videoEntry(1, uintElement(0x54b0, 1280)))), { compatible: true });
  const screen = recorded('chrome-screen-vp9');
  const webcam = recorded('chrome-webcam-vp9-opus');
  const videoOnly = { ...webcam, tracks: webcam.tracks.filter((track) => track.type === 'video') };
  assert.notDeepEqual(videoOnly.tracks[0]?.video, screen.tracks[0]?.video);
  assert.deepEqual(compatible(screen, videoOnly), { compatible: true });
});

test('other tracks, codecs or settings are, each with its reason', () => {
  const base = header(videoEntry(1), audioEntry(2));
  const opus = base.tracks[1];
  assert.ok(opus?.audio);
  const withAudio = (change: object): PartHeader => ({ ...base, tracks: base.tracks.map((t) => (t.type === 'audio' ? { ...t, ...change } : t)) });
  const cases: [string, PartHeader][] = [
    ['tracks', header(videoEntry(1))],
    ['tracks', header(videoEntry(1), videoEntry(2))],
    ['codec', withAudio({ codecId: 'A_VORBIS' })],
    ['codec-private', header(videoEntry(1), audioEntry(2, bytes(1, 2)))],
    ['codec-private', withAudio({ codecDelayNs: 6_500_000 })],
    ['audio-format', withAudio({ audio: { ...opus.audio, sampleRate: 44_100 } })],
    ['audio-format', withAudio({ audio: { ...opus.audio, channels: 2 } })],
    ['alpha', header(videoEntry(1, uintElement(0x53c0, 1)), audioEntry(2))],
    ['encoding', withAudio({ contentEncodings: bytes(1) })],
  ];
  for (const [reason, other] of cases) assert.deepEqual(compatible(base, other), { compatible: false, reason });
  assert.equal(mapTracks(base, header(videoEntry(1))), null);
  assert.deepEqual(compatible(recorded('firefox-webcam-vp8'), recorded('chrome-webcam-vp9-keyframe-2s')), { compatible: false, reason: 'alpha' });
});

test('a header survives a checkpoint', () => {
  for (const part of ['chrome-webcam-vp9-opus', 'firefox-webcam-vp8']) {
    const before = recorded(part);
    const after = unpackHeader(JSON.parse(JSON.stringify(packHeader(before))));
    assert.deepEqual(after, before);
  }
});
