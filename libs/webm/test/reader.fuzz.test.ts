import assert from 'node:assert/strict';
import { fuzz, mutate, mutation } from '@longtake/testkit';
import fc from 'fast-check';
import { ClusterWriter, compatible, KeyframeGate, mapTracks, StreamReader, WebmError } from '../src/index.ts';
import type { PartHeader, ReaderState, ReadItem } from '../src/index.ts';
import { assertSame, cut, streamOf, summary, webmParts } from './recordings.ts';

const maxElementBytes = 100_000;
/** What a whole element of the largest size has around it. */
const maxHeadBytes = 12;

// Their first clusters hold everything that a structure can be broken in, and leave time for many of them.
const streams = new Map(webmParts.map((name) => [name, streamOf(name).subarray(0, 60_000)]));
const name = fc.constantFrom(...webmParts);
const streamNamed = (name: string): Uint8Array => streams.get(name)!;
const mutations = fc.array(mutation, { minLength: 1, maxLength: 6 });
const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });

fuzz(
  'a mutated recording is read the same however it is cut, and whether or not it is read on from checkpoints',
  800,
  fc.record({ name, mutations, fractions, resumed: fc.boolean() }),
  ({ name, mutations, fractions, resumed }) => {
    const stream = streamNamed(name);
    const broken = mutate(stream, mutations);
    const whole = new StreamReader({ maxElementBytes }).push(broken);
    let reader = new StreamReader({ maxElementBytes });
    const items: ReadItem[] = [];
    for (const piece of cut(broken, fractions)) {
      items.push(...reader.push(piece));
      assert.ok(reader.tailLength <= maxElementBytes + maxHeadBytes, `a tail of ${reader.tailLength} bytes`);
      if (resumed) reader = resume(reader);
    }
    assertSame(summary(items), summary(whole));
    assertSound(whole, 0, broken.length);
  },
);

fuzz(
  'from any offset a reader finds a Cluster or nothing, the same however the rest is cut',
  800,
  fc.record({ name, mutations: fc.array(mutation, { maxLength: 3 }), from: fc.double({ min: 0, max: 1, noNaN: true }), fractions }),
  ({ name, mutations, from, fractions }) => {
    const stream = streamNamed(name);
    const header = headerOf(stream);
    const broken = mutate(stream, mutations);
    const offset = Math.floor(from * broken.length);
    const rest = broken.subarray(offset);
    const whole = StreamReader.resync(header, offset, { maxElementBytes }).push(rest);
    let reader = StreamReader.resync(header, offset, { maxElementBytes });
    const items: ReadItem[] = [];
    for (const piece of cut(rest, fractions)) {
      items.push(...reader.push(piece));
      reader = resume(reader);
    }
    assertSame(summary(items), summary(whole));
    assertSound(whole, offset, broken.length);
  },
);

fuzz(
  'what is read of a mutated recording can be written: whole clusters, no larger than what was read, times that only few bytes could fake',
  800,
  fc.record({ name, mutations, offsetMs: fc.integer({ min: -100_000, max: 1e9 }), flushes: fc.array(fc.nat(50), { maxLength: 10 }) }),
  ({ name, mutations, offsetMs, flushes }) => {
    const stream = streamNamed(name);
    const header = headerOf(stream);
    const broken = mutate(stream, mutations);
    const writer = new ClusterWriter(header.tracks);
    const gate = new KeyframeGate(header);
    const finished = [];
    let map: ReadonlyMap<number, number> | null = null;
    for (const [i, item] of new StreamReader({ maxElementBytes }).push(broken).entries()) {
      if (item.kind === 'header') map = compatible(header, item.header).compatible ? mapTracks(header, item.header) : null;
      if (item.kind === 'damage' || item.kind === 'resynced') gate.close();
      if (item.kind !== 'frame' || map === null || !gate.admits(item)) continue;
      const track = map.get(item.track);
      if (track !== undefined) finished.push(writer.add(item, { track, offsetMs }));
      if (flushes.includes(i)) finished.push(writer.flush());
    }
    finished.push(writer.flush());
    for (const cluster of finished) {
      if (cluster === null) continue;
      assert.ok(cluster.startMs >= 0 && cluster.endMs >= cluster.startMs, `${cluster.startMs} to ${cluster.endMs}`);
      assert.ok(cluster.bytes.length <= broken.length + 100 + 20 * cluster.frames);
      const [again] = new StreamReader().push(cluster.bytes);
      assert.ok(again?.kind === 'damage', 'a cluster alone has no header');
      const items = StreamReader.resync(header, 0).push(cluster.bytes);
      assert.deepEqual(items.filter(({ kind }) => kind === 'damage'), []);
      assert.equal(items.filter(({ kind }) => kind === 'frame').length, cluster.frames);
    }
  },
);

fuzz(
  'a reader state that is no state is refused by a WebmError or read on without a crash',
  500,
  fc.record({ name, at: fc.double({ min: 0, max: 1, noNaN: true }), key: fc.nat(20), value: fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom(-1, null, Number.MAX_SAFE_INTEGER)) }),
  ({ name, at, key, value }) => {
    const stream = streamNamed(name);
    const reader = new StreamReader({ maxElementBytes });
    const middle = Math.floor(at * stream.length);
    reader.push(stream.subarray(0, middle));
    const { state, tail } = reader.state();
    const names = ['offset', 'skip', 'segmentEnd', 'clusterEnd', 'clusterStart', 'clusterTicks', 'timestampScale'];
    const broken = { ...state, [names[key % names.length]!]: typeof value === 'number' || value === null ? value : 0 };
    try {
      StreamReader.resume(broken, tail, { maxElementBytes }).push(stream.subarray(middle));
    } catch (error) {
      assert.ok(error instanceof WebmError, String(error));
    }
  },
);

function resume(reader: StreamReader): StreamReader {
  const { state, tail } = reader.state();
  return StreamReader.resume(JSON.parse(JSON.stringify(state)) as ReaderState, tail, { maxElementBytes });
}

function headerOf(stream: Uint8Array): PartHeader {
  const reader = new StreamReader();
  reader.push(stream);
  assert.ok(reader.header !== null);
  return reader.header;
}

/** Items come in order, lie within the stream, and cost no more than its bytes. */
function assertSound(items: readonly ReadItem[], from: number, to: number): void {
  let before = from;
  for (const item of items) {
    if (item.kind === 'header' || item.kind === 'cluster') continue;
    assert.ok(item.start >= before && item.start <= to, `${item.kind} at ${item.start}, behind ${before}`);
    before = item.kind === 'resynced' || item.kind === 'recording' ? item.start : Math.max(before, item.end ?? item.start);
  }
  assert.ok(before <= to);
}
