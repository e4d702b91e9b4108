import {
  concat,
  elementLength,
  readInt,
  readUint,
  readVint,
  sizeLength,
  vintLength,
  writeHead,
  writeSize,
} from './bytes.ts';
import { element, readChildren, uintElement } from './elements.ts';
import { Id } from './ids.ts';

/** One SimpleBlock or BlockGroup: what is needed to write it again at another time and track number. */
export interface Frame {
  readonly kind: 'frame';
  readonly form: 'simple' | 'group';
  readonly track: number;
  /** Whole milliseconds on the recording's own timeline. */
  readonly timeMs: number;
  /** The same relative to the Cluster's Timestamp, in ticks. */
  readonly relativeTicks: number;
  /** SimpleBlock: its keyframe flag (Firefox leaves it off on audio). BlockGroup: it has no ReferenceBlock. */
  readonly key: boolean;
  /** The block's flags as written: keyframe, invisible, lacing, discardable. */
  readonly flags: number;
  /** Everything behind the flags, a lacing head included. A view of the pushed bytes, or of memory never written again. */
  readonly data: Uint8Array;
  /** The BlockGroup's other children as they stood, in ms ticks: additions, references, duration, padding. */
  readonly extras: Uint8Array | null;
  /** BlockDuration, where there is one. */
  readonly durationMs: number | null;
  /** Where the element starts and ends in the part's stream. */
  readonly start: number;
  readonly end: number;
}

const MS = 1_000_000;
// Ten thousand days: what lies beyond is noise, and all sums stay exact below it.
const maxTimeMs = 864e9;

/** Ticks as whole milliseconds. */
export function ticksToMs(ticks: number, timestampScale: number): number {
  return timestampScale === MS ? ticks : Math.round((ticks * timestampScale) / MS);
}

export function isPossibleTime(timeMs: number): boolean {
  return timeMs >= -32_768 && timeMs <= maxTimeMs;
}

/** Where a frame stands, as the reader knows it. */
export interface BlockPlace {
  /** The Cluster's Timestamp, in ticks. */
  readonly clusterTicks: number;
  readonly timestampScale: number;
  /** The relative time of the block before it in the Cluster, in ticks; null for the first. */
  readonly beforeTicks: number | null;
  readonly start: number;
  readonly end: number;
}

/**
 * A block's time relative to its Cluster, in ticks. Its 16 bits hold no more than 32.767 s, and a writer whose Clusters
 * grow longer wraps around: the value meant is the one nearest to the block before.
 */
export function relativeTicks(read: number, before: number | null): number {
  return before === null ? read : read + 0x1_0000 * Math.round((before - read) / 0x1_0000);
}

/** The track number at a block's start: 0 when there can be none, or minus the bytes that must be there to tell. */
export function peekTrack(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const length = vintLength(bytes[at] as number);
  if (length > 4) return 0;
  return at + length > end ? -length : readVint(bytes, at, length);
}

/** The frame of a SimpleBlock payload, or null when it is malformed. */
export function readSimpleBlock(bytes: Uint8Array, at: number, end: number, place: BlockPlace): Frame | null {
  return readBlock(bytes, at, end, place, null, null);
}

/** The frame of a BlockGroup payload, or null when it is malformed. */
export function readBlockGroup(bytes: Uint8Array, at: number, end: number, place: BlockPlace): Frame | null {
  const children = readChildren(bytes, at, end);
  if (children === null) return null;
  const block = children.find((child) => child.id === Id.Block);
  if (block === undefined) return null;
  let key = true;
  let durationMs: number | null = null;
  const extras: Uint8Array[] = [];
  for (const child of children) {
    if (child === block || child.id === Id.CRC32 || child.id === Id.Void) continue;
    const size = child.end - child.data;
    if (child.id === Id.ReferenceBlock) {
      key = false;
      extras.push(rescaled(child.id, readInt(bytes, child.data, size), place, bytes.subarray(child.start, child.end)));
    } else if (child.id === Id.BlockDuration) {
      const ticks = readUint(bytes, child.data, size);
      durationMs = ticksToMs(ticks, place.timestampScale);
      if (!isPossibleTime(durationMs)) return null;
      extras.push(rescaled(child.id, ticks, place, bytes.subarray(child.start, child.end)));
    } else {
      extras.push(bytes.subarray(child.start, child.end));
    }
  }
  return readBlock(bytes, block.data, block.end, place, { key, extras: concat(extras) }, durationMs);
}

// References and durations count ticks, and what we write ticks in milliseconds.
function rescaled(id: number, ticks: number, place: BlockPlace, raw: Uint8Array): Uint8Array {
  if (place.timestampScale === MS) return raw;
  const ms = ticksToMs(ticks, place.timestampScale);
  if (ms >= 0 && id !== Id.ReferenceBlock) return uintElement(id, ms);
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigInt64(0, BigInt(ms));
  return element(id, payload);
}

function readBlock(
  bytes: Uint8Array,
  at: number,
  end: number,
  place: BlockPlace,
  group: { readonly key: boolean; readonly extras: Uint8Array } | null,
  durationMs: number | null,
): Frame | null {
  if (at >= end) return null;
  const length = vintLength(bytes[at] as number);
  const data = at + length + 3;
  if (length > 4 || data > end) return null;
  const relative = relativeTicks(readInt(bytes, at + length, 2), place.beforeTicks);
  const flags = bytes[at + length + 2] as number;
  const timeMs = ticksToMs(place.clusterTicks + relative, place.timestampScale);
  if (!isPossibleTime(timeMs)) return null;
  return {
    kind: 'frame',
    form: group === null ? 'simple' : 'group',
    track: readVint(bytes, at, length),
    timeMs,
    relativeTicks: relative,
    key: group === null ? (flags & 0x80) !== 0 : group.key,
    flags,
    data: bytes.subarray(data, end),
    extras: group === null ? null : group.extras,
    durationMs,
    start: place.start,
    end: place.end,
  };
}

/** Bytes that `writeFrame` needs for this frame. */
export function frameLength(frame: Frame, track: number): number {
  const block = sizeLength(track) + 3 + frame.data.length;
  if (frame.extras === null) return elementLength(Id.SimpleBlock, block);
  return elementLength(Id.BlockGroup, elementLength(Id.Block, block) + frame.extras.length);
}

/**
 * Writes the frame's element under a track number; `out` must have room for `frameLength` bytes.
 * Returns where its two-byte relative timestamp stands, which is left to be written.
 */
export function writeFrame(out: Uint8Array, at: number, frame: Frame, track: number, flags: number): number {
  const block = sizeLength(track) + 3 + frame.data.length;
  let to = at;
  if (frame.extras === null) {
    to = writeHead(out, to, Id.SimpleBlock, block);
  } else {
    to = writeHead(out, to, Id.BlockGroup, elementLength(Id.Block, block) + frame.extras.length);
    to = writeHead(out, to, Id.Block, block);
  }
  const timeAt = writeSize(out, to, track);
  out[timeAt + 2] = flags;
  out.set(frame.data, timeAt + 3);
  if (frame.extras !== null) out.set(frame.extras, timeAt + 3 + frame.data.length);
  return timeAt;
}
