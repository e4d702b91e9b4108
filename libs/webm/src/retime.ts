import { readHead, readUint, writeUint } from './bytes.ts';
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
