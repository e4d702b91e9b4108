import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ffmpeg from '@ffmpeg-installer/ffmpeg';
import ffprobe from '@ffprobe-installer/ffprobe';
import { buildHeader, ClusterWriter, KeyframeGate, mapTracks, placeCues, StreamReader } from '../src/index.ts';
import type { Cue, FinishedCluster, PartHeader } from '../src/index.ts';

/** One part of a file to be: its pushes, and where it starts. */
export interface PartInput {
  readonly pushes: readonly Uint8Array[];
  /** Pushes that never arrived, by index. */
  readonly lost?: readonly number[];
  readonly offsetMs?: number;
}

export interface MadeFile {
  readonly bytes: Uint8Array;
  readonly durationMs: number;
  readonly cues: readonly Cue[];
  readonly header: PartHeader;
  readonly clusters: readonly FinishedCluster[];
  readonly droppedFrames: number;
}

/** Makes one file out of parts, as a block-writer does; a part without `offsetMs` follows the end of the one before. */
export function makeFile(parts: readonly PartInput[]): MadeFile {
  let first = null as PartHeader | null;
  let writer = null as ClusterWriter | null;
  const clusters: FinishedCluster[] = [];
  const cues: Cue[] = [];
  let mediaBytes = 0;
  let droppedFrames = 0;
  const keep = (cluster: FinishedCluster | null | undefined): void => {
    if (cluster === null || cluster === undefined) return;
    cues.push(...placeCues(cluster.cues, mediaBytes));
    clusters.push(cluster);
    mediaBytes += cluster.bytes.length;
  };
  for (const part of parts) {
    let reader = new StreamReader();
    let gate: KeyframeGate | null = null;
    let offset = 0;
    let afterHole = false;
    const offsetMs = part.offsetMs ?? writer?.durationMs ?? 0;
    let map: ReadonlyMap<number, number> | null = null;
    for (const [i, bytes] of part.pushes.entries()) {
      const start = offset;
      offset += bytes.length;
      if (part.lost?.includes(i)) {
        afterHole = true;
        continue;
      }
      if (afterHole) reader = StreamReader.resync(reader.state().state, start);
      afterHole = false;
      for (const item of reader.push(bytes)) {
        if (item.kind === 'header') {
          first ??= item.header;
          writer ??= new ClusterWriter(first.tracks);
          map = mapTracks(first, item.header);
          gate = new KeyframeGate(item.header);
        } else if (item.kind === 'frame') {
          if (writer === null || map === null || gate === null) throw new Error('a frame before any header');
          const track = map.get(item.track);
          if (track === undefined) throw new Error('a frame of no track');
          if (gate.admits(item)) keep(writer.add(item, { track, offsetMs }));
          else droppedFrames++;
        } else if (item.kind === 'resynced') {
          gate?.close();
        } else if (item.kind === 'damage') {
          throw item.error;
        }
      }
    }
    keep(writer?.flush());
  }
  if (first === null || writer === null) throw new Error('no part had a header');
  const { durationMs } = writer;
  const head = buildHeader({ tracks: first.tracks, durationMs, cues, mediaBytes });
  const bytes = new Uint8Array(Buffer.concat([head, ...clusters.map((cluster) => cluster.bytes)]));
  return { bytes, durationMs, cues, header: first, clusters, droppedFrames };
}

/** Runs `use` with the bytes in a file. */
export function withFile<T>(bytes: Uint8Array, use: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'longtake-webm-'));
  try {
    const path = join(folder, 'file.webm');
    writeFileSync(path, bytes);
    return use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(binary: string, args: readonly string[]): { readonly stdout: string; readonly stderr: string } {
  const { stdout, stderr, status, error } = spawnSync(binary, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${binary} ended with ${status}: ${stderr}`);
  return { stdout, stderr };
}

export interface Packet {
  readonly stream: number;
  readonly timeMs: number;
  readonly size: number;
  readonly key: boolean;
}

export interface Probe {
  readonly warnings: string;
  readonly durationMs: number;
  readonly codecs: readonly string[];
  readonly packets: readonly Packet[];
}

/** What ffprobe says of a file, and what it warns about. */
export function probe(path: string, ...args: readonly string[]): Probe {
  const entries = 'format=duration:stream=codec_name:packet=stream_index,pts,size,flags';
  const { stdout, stderr } = run(ffprobe.path, ['-v', 'warning', '-of', 'json', '-show_entries', entries, ...args, path]);
  const found = JSON.parse(stdout) as {
    format: { duration?: string };
    streams: { codec_name: string }[];
    packets?: { stream_index: number; pts: number; size: string; flags: string }[];
  };
  return {
    warnings: stderr,
    durationMs: Math.round(Number(found.format.duration ?? Number.NaN) * 1000),
    codecs: found.streams.map((stream) => stream.codec_name),
    packets: (found.packets ?? []).map(({ stream_index: stream, pts, size, flags }) => ({
      stream,
      timeMs: pts,
      size: Number(size),
      key: flags.startsWith('K'),
    })),
  };
}

/**
 * Decodes a file to its end and returns what ffmpeg warns about. The time base is given because the null muxer otherwise
 * takes the guessed frame rate for it, and calls frames that are closer together "non monotonically increasing".
 */
export function decodeWarnings(path: string): string {
  return run(ffmpeg.path, ['-v', 'warning', '-nostdin', '-i', path, '-vsync', 'passthrough', '-enc_time_base', '-1', '-f', 'null', '-']).stderr;
}
