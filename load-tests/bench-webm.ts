/**
 * How fast one core turns recorder chunks into seekable clusters.
 * `node load-tests/bench-webm.ts [seconds per recording]`, default 3.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { buildHeader, ClusterWriter, placeCues, StreamReader } from '@longtake/webm';
import type { Cue } from '@longtake/webm';

const media = new URL('../libs/testkit/fixtures/media/', import.meta.url);
const seconds = Number(process.argv[2] ?? 3);

function chunksOf(part: string): Uint8Array[] {
  const folder = new URL(`${part}/`, media);
  return readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(new URL(name, folder)));
}

/** One part from chunks to header and clusters; returns the bytes that came out. */
function normalise(chunks: readonly Uint8Array[]): number {
  const reader = new StreamReader();
  let writer: ClusterWriter | undefined;
  let mediaBytes = 0;
  const cues: Cue[] = [];
  for (const chunk of chunks) {
    for (const item of reader.push(chunk)) {
      if (item.kind === 'header') writer = new ClusterWriter(item.header.tracks);
      if (item.kind !== 'frame') continue;
      const cluster = writer?.add(item, { track: item.track, offsetMs: 0 });
      if (!cluster) continue;
      cues.push(...placeCues(cluster.cues, mediaBytes));
      mediaBytes += cluster.bytes.length;
    }
  }
  mediaBytes += writer?.flush()?.bytes.length ?? 0;
  const tracks = reader.header?.tracks ?? [];
  return buildHeader({ tracks, durationMs: writer?.durationMs ?? 0, cues, mediaBytes }).length + mediaBytes;
}

for (const part of ['chrome-webcam-vp9-opus', 'chrome-screen-vp9', 'chrome-audio-only', 'firefox-webcam-vp8']) {
  const chunks = chunksOf(part);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  for (const end = performance.now() + 500; performance.now() < end; ) normalise(chunks);
  let rounds = 0;
  const start = performance.now();
  while (performance.now() - start < seconds * 1000) {
    normalise(chunks);
    rounds++;
  }
  const rate = (rounds * bytes) / 1e6 / ((performance.now() - start) / 1000);
  process.stdout.write(`${part}: ${Math.round(rate)} MB/s, ${Math.round(bytes / chunks.length / 1000)} KB a chunk\n`);
}
