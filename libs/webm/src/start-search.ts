import { proveCluster } from './cluster-search.ts';
import { proveStreamHead } from './stream-head.ts';

/** Where reading can go on: `at` is `end` where nowhere. A number is how many bytes from `at` would decide whether it can there. */
export interface FoundStart {
  readonly at: number;
  readonly verdict: 'cluster' | 'head' | number;
}

/** The first place at or behind `from` where a Cluster of these tracks or another stream starts, or may start. */
export function findStart(
  bytes: Uint8Array,
  from: number,
  end: number,
  isTrack: (track: number) => boolean,
  maxElementBytes: number,
): FoundStart {
  let clusterAt = from - 1;
  let headAt = from - 1;
  for (let at = from; ; at++) {
    // Each is searched again only once it was passed, so that bytes without one of the two are looked at once.
    if (clusterAt < at) clusterAt = firstOf(bytes, 0x1f, at);
    if (headAt < at) headAt = firstOf(bytes, 0x1a, at);
    at = Math.min(clusterAt, headAt);
    if (at >= end) return { at: end, verdict: 1 };
    const verdict = at === headAt ? proveStreamHead(bytes, at, end) : proveCluster(bytes, at, end, isTrack, maxElementBytes);
    if (verdict !== 'none') return { at, verdict };
  }
}

function firstOf(bytes: Uint8Array, value: number, from: number): number {
  const at = bytes.indexOf(value, from);
  return at < 0 ? Infinity : at;
}
