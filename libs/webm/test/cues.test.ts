import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packCues, unpackCues } from '../src/index.ts';
import type { Cue } from '../src/index.ts';

/** Three hours of a webcam with a keyframe every 2 s at 2.5 Mbit/s. */
export const threeHours: readonly Cue[] = Array.from({ length: 5400 }, (_, i) => ({
  timeMs: i * 2000 + ((i * 37) % 40),
  track: 2,
  clusterOffset: i * 625_000 + ((i * 7919) % 100_000),
  relativePosition: i % 3 === 0 ? 10 : 10 + ((i * 977) % 60_000),
}));

test('any cues come back as they were', () => {
  const cue = fc.record(
    {
      timeMs: fc.maxSafeNat().map((n) => n % 864e9),
      track: fc.integer({ min: 1, max: 1000 }),
      clusterOffset: fc.maxSafeNat().map((n) => n % 2 ** 43),
      relativePosition: fc.nat(),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(fc.array(cue), (cues) => assert.deepEqual(unpackCues(packCues(cues)), cues)));
});

test('three hours of cues take less than 45 KB', () => {
  const packed = packCues(threeHours);
  assert.deepEqual(unpackCues(packed), threeHours);
  assert.ok(packed.length < 45_000, `${packed.length} bytes`);
});
