import { peekTrack } from './blocks.ts';
import { readHead, readUint, UNKNOWN_SIZE } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import { Id } from './ids.ts';

/** What a place in the stream turned out to be: a Cluster, none, or how many bytes from there would tell. */
export type Verdict = 'cluster' | 'none' | number;

// What may stand before the first block besides the Timestamp is tiny: CRC-32, Position, PrevSize, a little Void.
const maxSmallChild = 64;
const maxSmallChildren = 6;
const head: ElementHead = { id: 0, size: 0, length: 0 };

/**
 * Whether a real Cluster starts at `at`: its id, a possible size, a Timestamp among its first children, and then
 * a block of a known track (or the Cluster's end). Four magic bytes inside frame data do not pass.
 */
export function proveCluster(
  bytes: Uint8Array,
  at: number,
  end: number,
  isTrack: (track: number) => boolean,
  maxElementBytes: number,
): Verdict {
  const magic = [0x1f, 0x43, 0xb6, 0x75];
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return 4;
    if (bytes[at + i] !== magic[i]) return 'none';
  }
  let missing = readHead(bytes, at, end, head);
  if (missing !== 0) return missing < 0 ? 'none' : missing;
  let child = at + head.length;
  const clusterEnd = head.size === UNKNOWN_SIZE ? Infinity : child + head.size;
  let timed = false;
  for (let count = 0; count <= maxSmallChildren; count++) {
    if (child === clusterEnd) return timed ? 'cluster' : 'none';
    missing = readHead(bytes, child, end, head);
    if (missing !== 0) return missing < 0 ? 'none' : child - at + missing;
    const data = child + head.length;
    if (head.size === UNKNOWN_SIZE || data + head.size > clusterEnd) return 'none';
    switch (head.id) {
      case Id.Timestamp:
        if (timed || head.size < 1 || head.size > 8) return 'none';
        if (data + head.size > end) return data + head.size - at;
        if (readUint(bytes, data, head.size) > Number.MAX_SAFE_INTEGER) return 'none';
        timed = true;
        break;
      case Id.SimpleBlock: {
        if (!timed || head.size < 4 || head.size > maxElementBytes) return 'none';
        const track = peekTrack(bytes, data, end);
        if (track < 0) return data - track - at;
        return isTrack(track) ? 'cluster' : 'none';
      }
      case Id.BlockGroup:
        return timed && head.size >= 6 && head.size <= maxElementBytes ? 'cluster' : 'none';
      case Id.CRC32:
      case Id.Position:
      case Id.PrevSize:
      case Id.Void:
        if (head.size > maxSmallChild) return 'none';
        break;
      default:
        return 'none';
    }
    child = data + head.size;
  }
  return 'none';
}
