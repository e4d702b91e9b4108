import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamReader } from '../src/index.ts';
import type { ReaderState } from '../src/index.ts';
import { assertSame, bytewise, chunksOf, cut, framesOf, headerOf, readAll, seeded, streamOf, summary, webmParts } from './recordings.ts';

for (const part of webmParts) {
  const stream = streamOf(part);
  const whole = readAll([stream]);
  const expected = summary(whole);

  test(`${part}: is read to its last byte without damage`, () => {
    const reader = new StreamReader();
    const items = readAll(chunksOf(part), reader);
    assertSame(summary(items), expected);
    assert.equal(reader.consumedOffset, stream.length);
    assert.equal(reader.tailLength, 0);
    assert.deepEqual(new Set(items.map((item) => item.kind)), new Set(['header', 'cluster', 'frame']));
    assert.ok(framesOf(items).length > 100);
  });

  test(`${part}: frames lie where they say`, () => {
    let before = 0;
    for (const frame of framesOf(whole)) {
      assert.ok(frame.start >= before && frame.end > frame.start && frame.end <= stream.length);
      assert.equal(stream[frame.start], 0xa3);
      assert.deepEqual(frame.data, stream.subarray(frame.end - frame.data.length, frame.end));
      before = frame.end;
    }
  });

  test(`${part}: where it is cut means nothing`, () => {
    const random = seeded(part.length);
    for (const cuts of [1, 7, 100, 3000]) {
      assertSame(summary(readAll(cut(stream, Array.from({ length: cuts }, random)))), expected);
    }
  });

  test(`${part}: byte by byte`, () => {
    const prefix = stream.subarray(0, 60_000);
    assertSame(summary(readAll(bytewise(prefix))), summary(readAll([prefix])));
  });

  test(`${part}: a reader resumed from a stored state goes on the same`, () => {
    const random = seeded(part.length + 1);
    let reader = new StreamReader();
    const items = [];
    for (const piece of cut(stream, Array.from({ length: 60 }, random))) {
      items.push(...reader.push(piece));
      const { state, tail } = reader.state();
      assert.equal(state.offset, reader.consumedOffset);
      reader = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail);
      assert.equal(reader.consumedOffset, state.offset);
      assert.equal(reader.tailLength, tail.length);
    }
    assertSame(summary(items), expected);
  });

  test(`${part}: consumedOffset and tail always add up to what was pushed`, () => {
    const reader = new StreamReader();
    let pushed = 0;
    for (const chunk of chunksOf(part)) {
      reader.push(chunk);
      pushed += chunk.length;
      const { tail } = reader.state();
      assert.equal(reader.consumedOffset + tail.length, pushed);
      assert.deepEqual(tail, stream.slice(reader.consumedOffset, pushed));
    }
  });
}

test('headers say what the recorders declared', () => {
  const seen = Object.fromEntries(
    webmParts.map((part) => [
      part,
      headerOf(readAll(chunksOf(part))).tracks.map(({ number, codecId, video, audio }) =>
        video === null ? `${number} ${codecId} ${audio?.sampleRate}×${audio?.channels}` : `${number} ${codecId} ${video.width}×${video.height}`,
      ),
    ]),
  );
  assert.deepEqual(seen, {
    'chrome-audio-only': ['1 A_OPUS 48000×1'],
    'chrome-requestdata-one-byte-chunks': ['1 A_OPUS 48000×1', '2 V_VP8 640×480'],
    'chrome-screen-vp9': ['1 V_VP9 1280×720'],
    'chrome-webcam-paused': ['1 A_OPUS 48000×1', '2 V_VP8 640×480'],
    'chrome-webcam-vp9-keyframe-2s': ['1 V_VP8 640×480', '2 A_OPUS 48000×1'],
    'chrome-webcam-vp9-opus': ['1 A_OPUS 48000×1', '2 V_VP9 640×480'],
    'firefox-webcam-vp8': ['1 V_VP8 640×480', '2 A_OPUS 44100×1'],
  });
});

test('an MP4 fails at once, with a code', () => {
  const reader = new StreamReader();
  const items = readAll(chunksOf('chrome-mp4'), reader);
  assertSame(summary(items), [{ kind: 'damage', error: { code: 'not-webm', offset: 0 }, start: 0, end: null }]);
  assert.equal(reader.failed?.code, 'not-webm');
});
