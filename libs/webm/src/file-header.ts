import { readFloat, readHead, readUint, UNKNOWN_SIZE } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import type { Cue } from './cues.ts';
import { readChildren } from './elements.ts';
import type { Child } from './elements.ts';
import { Id } from './ids.ts';
import { readTimestampScale, readTracks, type TrackInfo } from './tracks.ts';

/** What the header of a finished file states. */
export interface FileHeader {
  readonly tracks: readonly TrackInfo[];
  /** Milliseconds; NaN where there is none. */
  readonly durationMs: number;
  /** In their order; `clusterOffset` counts from the end of the header. */
  readonly cues: readonly Cue[];
  /** Bytes that the whole file must have by the size of its Segment. */
  readonly fileBytes: number;
}

/**
 * Reads what `buildHeader` wrote: all bytes of a file before its first Cluster, exactly. Null when they are no such header,
 * or when its times are not in milliseconds.
 */
export function readFileHeader(bytes: Uint8Array): FileHeader | null {
  const head: ElementHead = { id: 0, size: 0, length: 0 };
  if (readHead(bytes, 0, bytes.length, head) !== 0 || head.id !== Id.EBML || head.size === UNKNOWN_SIZE) return null;
  const segmentAt = head.length + head.size;
  const segment: ElementHead = { id: 0, size: 0, length: 0 };
  if (readHead(bytes, segmentAt, bytes.length, segment) !== 0 || segment.id !== Id.Segment || segment.size === UNKNOWN_SIZE) return null;
  const segmentStart = segmentAt + segment.length;
  const fileBytes = segmentStart + segment.size;
  const children = readChildren(bytes, segmentStart, bytes.length);
  if (children === null) return null;
  const find = (id: number): Child | undefined => children.find((child) => child.id === id);
  const [info, tracksAt, cuesAt] = [find(Id.Info), find(Id.Tracks), find(Id.Cues)];
  if (info === undefined || tracksAt === undefined) return null;
  if (readTimestampScale(bytes, info.data, info.end) !== 1_000_000) return null;
  const duration = readChildren(bytes, info.data, info.end)?.find(({ id }) => id === Id.Duration);
  const durationMs = duration === undefined ? Number.NaN : readFloat(bytes, duration.data, duration.end - duration.data);
  const found = readTracks(bytes, tracksAt.data, tracksAt.end);
  const cues = cuesAt === undefined ? [] : readCues(bytes, cuesAt, bytes.length - segmentStart);
  if (found === null || cues === null) return null;
  return { tracks: found.tracks, durationMs, cues, fileBytes };
}

/** @param mediaStart where media starts in the Segment's payload */
function readCues(bytes: Uint8Array, { data, end }: Child, mediaStart: number): Cue[] | null {
  const points = readChildren(bytes, data, end);
  if (points === null) return null;
  const cues: Cue[] = [];
  for (const point of points) {
    if (point.id !== Id.CuePoint) continue;
    const fields = readChildren(bytes, point.data, point.end);
    const positions = fields?.find(({ id }) => id === Id.CueTrackPositions);
    const inside = positions === undefined ? null : readChildren(bytes, positions.data, positions.end);
    if (fields === null || inside === null) return null;
    const uint = (of: readonly Child[], id: number): number => {
      const child = of.find((one) => one.id === id);
      return child === undefined ? Number.NaN : readUint(bytes, child.data, child.end - child.data);
    };
    cues.push({
      timeMs: uint(fields, Id.CueTime),
      track: uint(inside, Id.CueTrack),
      clusterOffset: uint(inside, Id.CueClusterPosition) - mediaStart,
      relativePosition: uint(inside, Id.CueRelativePosition),
    });
  }
  return cues;
}
