import assert from 'node:assert/strict';
import { fuzz } from '@longtake/testkit';
import fc from 'fast-check';
import { MAX_EBML_HEAD, sniff } from '../src/sniff.ts';
import { chunksOf, webmParts } from './recordings.ts';

/** What sniffing may look at: an EBML head of the largest size, with its own id and size before it. */
const decidedBy = 4 + 8 + MAX_EBML_HEAD;

const firsts = [...webmParts, 'chrome-mp4'].map((name) => (chunksOf(name)[0] as Uint8Array).subarray(0, 8192));

/** Numbers that a box or an element may claim as its length, as its bytes. */
const lengths = fc.constantFrom([0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 7], [0, 255, 255, 255], [0x10, 0xff, 0xff, 0xff], [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x08, 0, 0, 0, 0, 0], [0x4f, 0xff], [0x50, 0x00], [0x80], [0xff]);
const start = fc.nat(64);
const edit = fc.oneof(
  fc.record({ at: start, by: fc.uint8Array({ minLength: 1, maxLength: 8 }), over: fc.nat(8) }),
  fc.record({ at: start, by: lengths.map((length) => Uint8Array.from(length)), over: fc.nat(8) }),
  fc.record({ at: start, by: fc.constantFrom('ftyp', 'moov', 'styp', 'free', 'webm', 'matroska').map((text) => Buffer.from(text)), over: fc.constantFrom(0, 4) }),
  fc.record({ at: start, by: fc.tuple(fc.nat(255), fc.nat(6000)).map(([byte, count]) => new Uint8Array(count).fill(byte)), over: fc.nat(8) }),
);
const edited = fc.tuple(fc.constantFrom(...firsts), fc.array(edit, { maxLength: 4 })).map(([first, edits]) =>
  edits.reduce<Uint8Array>((bytes, { at, by, over }) => Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + over)]), first),
);
const stream = fc.oneof({ weight: 4, arbitrary: edited }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 8192, size: 'max' }) });

fuzz(
  'what a stream is, MP4 or WebM or neither, is said by a bounded number of bytes, and no further ones change it',
  2000,
  fc.record({ stream, lengths: fc.array(fc.oneof(fc.nat(80), fc.nat(8192)), { maxLength: 40 }) }),
  ({ stream, lengths }) => {
    const before = Buffer.from(stream);
    let decided = 'need-more';
    for (const length of [...lengths, decidedBy, stream.length].filter((length) => length <= stream.length).sort((a, b) => a - b)) {
      const verdict = sniff(stream.subarray(0, length));
      if (decided !== 'need-more') assert.equal(verdict, decided, `by ${length} bytes`);
      if (length >= decidedBy) assert.notEqual(verdict, 'need-more', `${length} bytes do not tell`);
      decided = verdict;
    }
    assert.ok(before.equals(stream), 'it only looks');
  },
);
