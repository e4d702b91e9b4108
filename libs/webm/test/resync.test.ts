import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyframeGate, StreamReader, WebmError } from '../src/index.ts';
import type { Frame, ReaderState, ReadItem } from '../src/index.ts';
import { assertSame, bytewise, chunksOf, cut, framesOf, headerOf, readAll, seeded, streamOf, summary, webmParts } from './recordings.ts';
import { blockGroup, bytes, concat, element, open, partStart, simpleBlock, timestamp, uintElement } from './streams.ts';

const CLUSTER = 0x1f43b675;
const VOID = 0xec;

/** What must come out when the bytes from `from` to `to` are missing: all before, then from the next whole Cluster on. */
function expectedWithHole(whole: readonly ReadItem[], from: number, to: number): unknown[] {
  const clusters = whole.filter((item) => item.kind === 'cluster');
  const found = clusters.find((cluster) => cluster.start >= to);
  const before = whole.filter((item) => item.kind === 'header' || (item.kind === 'frame' ? item.end <= from : item.start + 14 <= from));
  const after = found === undefined ? [] : whole.filter((item) => item.kind !== 'header' && item.start >= found.start);
  const resynced: ReadItem[] = found === undefined ? [] : [{ kind: 'resynced', start: found.start }];
  return summary([...before, ...resynced, ...after]);
}

function frames(items: readonly unknown[]): unknown[] {
  return items.filter((item) => (item as ReadItem).kind !== 'cluster');
}

for (const part of webmParts) {
  const chunks = chunksOf(part);
  const whole = readAll([streamOf(part)]);

  test(`${part}: after any lost chunk reading goes on at the next Cluster`, () => {
    for (let lost = 1; lost < chunks.length; lost++) {
      const from = chunks.slice(0, lost).reduce((sum, chunk) => sum + chunk.length, 0);
      const to = from + (chunks[lost] as Uint8Array).length;
      const before = new StreamReader();
      const items = readAll(chunks.slice(0, lost), before);
      const after = StreamReader.resync(before.state().state, to);
      items.push(...readAll(chunks.slice(lost + 1), after));
      assertSame(frames(summary(items)), frames(expectedWithHole(whole, from, to)), `without chunk ${lost}`);
    }
  });

  test(`${part}: a hole of any bytes, read in any pieces, over any restart`, () => {
    const stream = streamOf(part);
    const random = seeded(part.length * 7);
    const first = framesOf(whole)[0] as Frame;
    for (let round = 0; round < 20; round++) {
      const from = first.end + Math.floor(random() * (stream.length - first.end) * 0.9);
      const to = from + 1 + Math.floor(random() * 30_000);
      const before = new StreamReader();
      const items = readAll([stream.subarray(0, from)], before);
      let reader = StreamReader.resync(before.state().state, to);
      for (const piece of cut(stream.subarray(to), Array.from({ length: 40 }, random))) {
        items.push(...reader.push(piece));
        const { state, tail } = reader.state();
        reader = StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail);
      }
      assertSame(frames(summary(items)), frames(expectedWithHole(whole, from, to)), `from ${from} to ${to}`);
    }
  });

  test(`${part}: a Cluster is found byte by byte as well`, () => {
    const stream = streamOf(part);
    const cluster = whole.filter((item) => item.kind === 'cluster')[1];
    assert.ok(cluster !== undefined);
    const { state } = fed(stream.subarray(0, cluster.start - 2000)).state();
    const rest = stream.subarray(cluster.start - 1500, cluster.start + 20_000);
    const bytewiseItems = readAll(bytewise(rest), StreamReader.resync(state, cluster.start - 1500));
    assert.deepEqual(bytewiseItems[0], { kind: 'resynced', start: cluster.start });
    const byHeader = readAll([rest], StreamReader.resync(headerOf(whole), cluster.start - 1500));
    assertSame(summary(byHeader), summary(bytewiseItems));
    assertSame(summary(bytewiseItems), summary(readAll([rest], StreamReader.resync(state, cluster.start - 1500))));
  });

  test(`${part}: behind a hole video waits for its keyframe, audio does not`, () => {
    const header = headerOf(whole);
    const gate = new KeyframeGate(header);
    const video = new Set(header.tracks.filter((track) => track.type === 'video').map((track) => track.number));
    const all = framesOf(whole);
    // Not even the first frame is lost when nothing is: recorders start with a keyframe.
    assert.ok(all.every((frame) => gate.admits(frame)));
    const opened = new KeyframeGate(header, JSON.parse(JSON.stringify(gate.state())));
    assert.ok(all.every((frame) => opened.admits({ ...frame, key: false })), 'an open gate stays open over a restart');
    gate.close();
    const resumed = new KeyframeGate(header, JSON.parse(JSON.stringify(gate.state())));
    const rest = all.slice(Math.floor(all.length / 3));
    const kept = rest.filter((frame) => resumed.admits(frame));
    const firstKey = rest.findIndex((frame) => video.has(frame.track) && frame.key);
    const dropped = rest.filter((frame, i) => video.has(frame.track) && (firstKey < 0 || i < firstKey));
    assertSame(summary(kept), summary(rest.filter((frame) => !dropped.includes(frame))));
  });
}

function fed(...pushes: Uint8Array[]): StreamReader {
  const reader = new StreamReader();
  for (const push of pushes) reader.push(push);
  return reader;
}

const real = concat([open(CLUSTER), timestamp(500), simpleBlock(1, 0), simpleBlock(2, 3)]);

test('what only looks like a Cluster is passed over', () => {
  const { state } = fed(partStart()).state();
  const fakes = {
    'magic alone': bytes(0x1f, 0x43, 0xb6, 0x75),
    'magic twice': bytes(0x1f, 0x43, 0x1f, 0x43, 0xb6, 0x75),
    'no Timestamp': concat([open(CLUSTER), simpleBlock(1, 0)]),
    'a Timestamp of no bytes': concat([open(CLUSTER), bytes(0xe7, 0x80), simpleBlock(1, 0)]),
    'a Timestamp of nine bytes': concat([open(CLUSTER), bytes(0xe7, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0), simpleBlock(1, 0)]),
    'a Timestamp beyond all time': concat([open(CLUSTER), bytes(0xe7, 0x88, 255, 255, 255, 255, 255, 255, 255, 255), simpleBlock(1, 0)]),
    'an unknown track': concat([open(CLUSTER), timestamp(1), simpleBlock(9, 0)]),
    'noise behind the Timestamp': concat([open(CLUSTER), timestamp(1), bytes(0x4d, 0x80, 0x81, 0)]),
    'a size too small for the Timestamp': concat([bytes(0x1f, 0x43, 0xb6, 0x75, 0x81), timestamp(1), simpleBlock(1, 0)]),
    'a large Void first': concat([open(CLUSTER), element(VOID, new Uint8Array(100)), timestamp(1), simpleBlock(1, 0)]),
    'an empty Cluster without Timestamp': bytes(0x1f, 0x43, 0xb6, 0x75, 0x80),
    'an invalid size': bytes(0x1f, 0x43, 0xb6, 0x75, 0x00),
  };
  for (const [name, fake] of Object.entries(fakes)) {
    const stream = concat([bytes(9, 9, 9), fake, real]);
    const expected = summary(readAll([stream], StreamReader.resync(state, 1000)));
    assert.deepEqual(expected[0], { kind: 'resynced', start: 1003 + fake.length }, name);
    assert.equal(framesOf(readAll([stream], StreamReader.resync(state, 1000))).length, 2, name);
    assertSame(summary(readAll(bytewise(stream), StreamReader.resync(state, 1000))), expected, name);
  }
});

test('a Cluster may hold small things before its Timestamp, or nothing behind it', () => {
  const { state } = fed(partStart()).state();
  const sound = {
    'CRC-32 and PrevSize': concat([open(CLUSTER), element(0xbf, bytes(1, 2, 3, 4)), uintElement(0xab, 77), timestamp(1), simpleBlock(1, 0)]),
    'a BlockGroup': concat([open(CLUSTER), timestamp(1), blockGroup(1, 0)]),
    'a known size': element(CLUSTER, timestamp(1), simpleBlock(1, 0)),
    'no frame': concat([element(CLUSTER, timestamp(1)), real]),
  };
  for (const [name, cluster] of Object.entries(sound)) {
    const items = readAll([concat([bytes(9), cluster])], StreamReader.resync(state, 10));
    assert.deepEqual(items[0], { kind: 'resynced', start: 11 }, name);
    assert.ok(framesOf(items).length > 0, name);
  }
});

test('nothing can be resynced before the header is known', () => {
  const { state } = fed(partStart().subarray(0, 40)).state();
  assert.throws(() => StreamReader.resync(state, 100), (error) => error instanceof WebmError && error.code === 'header-missing');
});
