import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sniff, StreamReader, unpackCues, WebmError } from '../src/index.ts';
import type { ReaderState, ReadItem } from '../src/index.ts';
import { assertSame, cut, streamOf, summary } from './recordings.ts';
import { blockGroup, bytes, concat, ebml, element, info, open, partStart, simpleBlock, timestamp, tracks, videoEntry } from './streams.ts';

const maxElementBytes = 4000;
const prefix = streamOf('chrome-webcam-vp9-opus').subarray(0, 40_000);
const fractions = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 30 });

/** Pieces of streams, sound and broken, that meet in any order. */
const piece = fc.oneof(
  fc.constantFrom(
    partStart(),
    ebml(),
    open(0x18538067),
    open(0x1f43b675),
    open(0xa3),
    info(),
    tracks(videoEntry()),
    timestamp(3),
    simpleBlock(1, 5),
    simpleBlock(200, 5),
    blockGroup(1, 7),
    element(0x1f43b675, timestamp(9), simpleBlock(1, 0)),
    element(0xec, new Uint8Array(20)),
    bytes(0x1f, 0x43),
    bytes(0xa3, 0x08, 0xff, 0xff, 0xff, 0xff),
    bytes(0xa0, 0x4f, 0x00),
  ),
  fc.uint8Array({ maxLength: 40 }),
);
const madeStream = fc.array(piece, { maxLength: 30 }).map(concat);

/** A recording with bytes overwritten, cut out or doubled. */
const brokenRecording = fc
  .array(fc.record({ at: fc.nat(prefix.length - 1), length: fc.nat(600), how: fc.constantFrom('noise', 'cut', 'double'), noise: fc.nat(255) }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((wounds) =>
    wounds.reduce<Uint8Array>((stream, { at, length, how, noise }) => {
      const inside = stream.subarray(at, at + length);
      const middle = { noise: inside.map((byte, i) => (byte + noise * (i + 1)) & 0xff), cut: bytes(), double: concat([inside, inside]) }[how];
      return concat([stream.subarray(0, at), middle, stream.subarray(at + length)]);
    }, prefix),
  );

function check(stream: Uint8Array, cuts: readonly number[], restart: boolean): void {
  const whole = new StreamReader({ maxElementBytes }).push(stream);
  let reader = new StreamReader({ maxElementBytes });
  const items: ReadItem[] = [];
  let pushed = 0;
  for (const part of cut(stream, cuts)) {
    const pushedItems = reader.push(part);
    pushed += part.length;
    items.push(...pushedItems);
    assert.ok(reader.tailLength <= maxElementBytes + 12, 'the tail is bounded');
    if (reader.failed === null) assert.equal(reader.consumedOffset + reader.tailLength, pushed);
    if (!restart) continue;
    const { state, tail } = reader.state();
    reader = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail, { maxElementBytes });
  }
  assertSame(summary(items), summary(whole), 'where it is cut means nothing');
  let before = 0;
  for (const item of items) {
    if (item.kind === 'header' || item.kind === 'cluster') continue;
    assert.ok(item.start >= before, 'items come in stream order');
    before = item.kind === 'resynced' || item.kind === 'recording' ? item.start : Math.max(before, item.end ?? item.start);
    if (item.kind === 'damage') assert.ok(item.error instanceof WebmError);
  }
  assert.ok(before <= stream.length);
}

test('made-up streams never crash, hang, or depend on where they are cut', () => {
  fc.assert(fc.property(madeStream, fractions, fc.boolean(), check), { numRuns: 1500 });
});

test('broken recordings never crash, hang, or depend on where they are cut', () => {
  fc.assert(fc.property(brokenRecording, fractions, fc.boolean(), check), { numRuns: 300 });
});

test('noise behind a sound start never crashes', () => {
  const start = concat([partStart(), open(0x1f43b675), timestamp(0)]);
  const noisy = fc.uint8Array({ maxLength: 2000 }).map((noise) => concat([start, noise]));
  fc.assert(fc.property(noisy, fractions, fc.boolean(), check), { numRuns: 500 });
});

test('a broken recording is read on behind every wound', () => {
  fc.assert(
    fc.property(fc.nat({ max: 9000 }), fc.nat(250), (at, noise) => {
      // All wounds lie in the first of three clusters, so the other two must come out whole.
      const stream = prefix.slice();
      for (let i = 0; i < 40; i++) stream[2500 + at + i] = (noise * 7 + i * 31) & 0xff;
      const lastTwo = (items: readonly ReadItem[]): unknown[] => summary(items.filter((item) => item.kind === 'frame' && item.start > 32_007));
      const sound = lastTwo(new StreamReader().push(prefix));
      const items = new StreamReader().push(stream);
      assertSame(lastTwo(items), sound);
    }),
    // Noise may by chance look like one large element that swallows a Cluster, so these are chosen wounds.
    { numRuns: 200, seed: 1 },
  );
});

test('sniffing never crashes', () => {
  fc.assert(fc.property(fc.oneof(madeStream, fc.uint8Array()), (stream) => {
    assert.ok(['webm', 'mp4', 'unknown', 'need-more'].includes(sniff(stream)));
  }));
});

test('packed cues that are noise give cues or a WebmError', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
    try {
      unpackCues(noise);
    } catch (error) {
      assert.ok(error instanceof WebmError && error.code === 'invalid-cues');
    }
  }));
});
