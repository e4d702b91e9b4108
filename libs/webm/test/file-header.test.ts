import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildHeader, readFileHeader } from '../src/index.ts';
import { makeFile } from './files.ts';
import { chunksOf } from './recordings.ts';

const { header, cues, durationMs } = makeFile([{ pushes: chunksOf('chrome-webcam-vp9-keyframe-2s') }]);
const made = (size?: number): Uint8Array => buildHeader({ tracks: header.tracks, durationMs, cues, mediaBytes: 5_000, ...(size === undefined ? {} : { size }) });

test('a header is read as it was built: duration, tracks, cues and the length of the file', () => {
  const read = readFileHeader(made())!;
  assert.equal(read.durationMs, durationMs);
  assert.deepEqual(read.tracks, header.tracks);
  assert.ok(cues.length > 2);
  assert.deepEqual(read.cues, cues);
  assert.equal(read.fileBytes, 65_536 + 5_000);
});

test('what is no header, or not all of one, is null', () => {
  const bytes = made(4_096);
  assert.equal(readFileHeader(new Uint8Array(0)), null);
  assert.equal(readFileHeader(new Uint8Array(4_096).fill(7)), null);
  assert.equal(readFileHeader(bytes.subarray(0, 1_000)), null);
  for (let at = 0; at < 400; at++) {
    const broken = bytes.slice();
    broken[at] = broken[at]! ^ 0xff;
    const read = readFileHeader(broken);
    assert.ok(read === null || Array.isArray(read.cues), `a flipped byte ${at} crashes nothing`);
  }
});
