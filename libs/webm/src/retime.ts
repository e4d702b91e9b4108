import { readHead, readInt, readUint, readVint, vintLength, writeUint } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import { CLUSTER_SIZE_BYTES, TIMESTAMP_BYTES } from './cluster-writer.ts';
import { WebmError } from './errors.ts';
import { Id } from './ids.ts';

/**
 * Moves whole clusters that `ClusterWriter` made by `deltaMs`, in place; returns how many there were.
 * Throws `not-own-cluster` or `invalid-timestamp`, and then has changed nothing.
 */
export function patchClusterTimestamps(bytes: Uint8Array, deltaMs: number): number {
  const stamps: { at: number; timeMs: number }[] = [];
  const head: ElementHead = { id: 0, size: 0, length: 0 };
  let at = 0;
  while (at < bytes.length) {
    const stamp = at + 4 + CLUSTER_SIZE_BYTES;
    const isCluster = readHead(bytes, at, bytes.length, head) === 0 && head.id === Id.Cluster && head.length === stamp - at;
    const end = stamp + head.size;
    if (!isCluster || head.size < 2 + TIMESTAMP_BYTES || end > bytes.length) {
      throw new WebmError('not-own-cluster', 'no whole cluster of ours starts here', at);
    }
    if (bytes[stamp] !== Id.Timestamp || bytes[stamp + 1] !== (0x80 | TIMESTAMP_BYTES)) {
      throw new WebmError('not-own-cluster', 'the cluster does not start with an 8-byte Timestamp', stamp);
    }
    const timeMs = readUint(bytes, stamp + 2, TIMESTAMP_BYTES) + deltaMs;
    if (timeMs < 0 || !Number.isSafeInteger(timeMs)) {
      throw new WebmError('invalid-timestamp', `a cluster would move to ${timeMs} ms`, stamp);
    }
    stamps.push({ at: stamp + 2, timeMs });
    at = end;
  }
  for (const stamp of stamps) writeUint(bytes, stamp.at, stamp.timeMs, TIMESTAMP_BYTES);
  return stamps.length;
}

/** Where a frame stands in clusters that `ClusterWriter` made, and its time. */
export interface FrameTime {
  /** Offset of its Cluster. */
  readonly cluster: number;
  /** Where its element starts, counted from the Cluster's first payload byte, as in a cue. */
  readonly position: number;
  readonly track: number;
  readonly timeMs: number;
  /** Offset of its two-byte relative timestamp. */
  readonly at: number;
}

/** All frames in their order. Throws `not-own-cluster`. */
export function readFrameTimes(bytes: Uint8Array): FrameTime[] {
  const frames: FrameTime[] = [];
  const head: ElementHead = { id: 0, size: 0, length: 0 };
  const read = (at: number, end: number, id?: number): void => {
    if (readHead(bytes, at, end, head) !== 0 || (id ?? head.id) !== head.id || at + head.length + head.size > end) {
      throw new WebmError('not-own-cluster', 'no whole element of ours starts here', at);
    }
  };
  for (let cluster = 0; cluster < bytes.length; ) {
    read(cluster, bytes.length, Id.Cluster);
    const payload = cluster + head.length;
    const end = payload + head.size;
    const clusterMs = readUint(bytes, payload + 2, TIMESTAMP_BYTES);
    for (let at = payload + 2 + TIMESTAMP_BYTES; at < end; ) {
      read(at, end);
      const next = at + head.length + head.size;
      let block = at + head.length;
      if (head.id === Id.BlockGroup) {
        read(block, next);
        block += head.length;
      }
      const length = vintLength(bytes[block] as number);
      const timeAt = block + length;
      const timeMs = clusterMs + readInt(bytes, timeAt, 2);
      frames.push({ cluster, position: at - payload, track: readVint(bytes, block, length), timeMs, at: timeAt });
      at = next;
    }
    cluster = end;
  }
  return frames;
}

/** Gives frames, all that there are, other times, in place; a cluster's Timestamp becomes that of its earliest frame. */
export function writeFrameTimes(bytes: Uint8Array, frames: readonly FrameTime[]): void {
  for (const [cluster, own] of Map.groupBy(frames, (frame) => frame.cluster)) {
    const clusterMs = Math.min(...own.map(({ timeMs }) => timeMs));
    writeUint(bytes, cluster + 4 + CLUSTER_SIZE_BYTES + 2, clusterMs, TIMESTAMP_BYTES);
    for (const { at, timeMs } of own) writeUint(bytes, at, timeMs - clusterMs, 2);
  }
}
