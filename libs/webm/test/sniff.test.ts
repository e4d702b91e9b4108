import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sniff } from '../src/index.ts';
import { chunksOf, webmParts } from './recordings.ts';
import { bytes, ebml } from './streams.ts';

test('every recording is known by its first chunk, and no shorter prefix is misjudged', () => {
  for (const part of [...webmParts, 'chrome-mp4']) {
    const expected = part === 'chrome-mp4' ? 'mp4' : 'webm';
    const first = chunksOf(part)[0] as Uint8Array;
    const verdicts = Array.from({ length: 101 }, (_, length) => sniff(first.subarray(0, length)));
    const decided = verdicts.indexOf(expected);
    assert.ok(decided > 0, part);
    assert.ok(verdicts.slice(0, decided).every((verdict) => verdict === 'need-more'), part);
    assert.ok(verdicts.slice(decided).every((verdict) => verdict === expected), part);
  }
});

test('Matroska counts as WebM, as Chrome records H.264', () => {
  assert.equal(sniff(ebml('matroska')), 'webm');
});

test('what is neither is said as soon as it is clear', () => {
  assert.equal(sniff(bytes()), 'need-more');
  assert.equal(sniff(bytes(0x47)), 'unknown');
  assert.equal(sniff(bytes(0x1a, 0x45, 0xdf)), 'need-more');
  assert.equal(sniff(bytes(0x1a, 0x45, 0xdf, 0xa4)), 'unknown');
  assert.equal(sniff(bytes(0, 0, 0, 0x20, 0x66, 0x74, 0x79)), 'need-more');
  assert.equal(sniff(bytes(0, 0, 0, 0x20, 0x6d)), 'unknown');
  assert.equal(sniff(ebml('evil')), 'unknown');
  assert.equal(sniff(bytes(0x1a, 0x45, 0xdf, 0xa3, 0x10, 0xff, 0xff, 0xff)), 'unknown', 'a head of 256 MiB');
  assert.equal(sniff(bytes(0x1a, 0x45, 0xdf, 0xa3, 0x83, 0xff, 0xff, 0xff)), 'unknown', 'a malformed head');
});
