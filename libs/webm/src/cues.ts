import { uintLength } from './bytes.ts';
import { WebmError } from './errors.ts';

/** One place a player may jump to. */
export interface Cue {
  /** Milliseconds on the file's timeline. */
  readonly timeMs: number;
  readonly track: number;
  /** Where the Cluster starts, counted from the file's first media byte (the end of the header). */
  readonly clusterOffset: number;
  /** Where the frame's element starts, counted from the Cluster's first payload byte (RFC 9559 §5.1.5.1.2.3). */
  readonly relativePosition: number;
}

/**
 * Packs cues for a checkpoint, about 7 bytes each. A varint (seven bits a byte, lowest first) each for the time's
 * difference (zigzag) doubled, plus one if a track number follows; that number; the offset's difference (zigzag); the position.
 */
export function packCues(cues: readonly Cue[]): Uint8Array {
  const bytes: number[] = [];
  let before: Pick<Cue, 'timeMs' | 'track' | 'clusterOffset'> = { timeMs: 0, track: 0, clusterOffset: 0 };
  for (const cue of cues) {
    const moved = cue.track === before.track ? 0 : 1;
    writeVarint(bytes, 2 * zigzag(cue.timeMs - before.timeMs) + moved);
    if (moved === 1) writeVarint(bytes, cue.track);
    writeVarint(bytes, zigzag(cue.clusterOffset - before.clusterOffset));
    writeVarint(bytes, cue.relativePosition);
    before = cue;
  }
  return Uint8Array.from(bytes);
}

/** The reverse of `packCues`; each cluster offset counts from `offset` before what was packed. Throws `invalid-cues`. */
export function unpackCues(bytes: Uint8Array, offset = 0): Cue[] {
  const cues: Cue[] = [];
  let timeMs = 0;
  let track = 0;
  let clusterOffset = offset;
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 49) throw new WebmError('invalid-cues', 'packed cues end early', at);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const first = next();
    timeMs += unzigzag(Math.floor(first / 2));
    if (first % 2 === 1) track = next();
    clusterOffset += unzigzag(next());
    cues.push({ timeMs, track, clusterOffset, relativePosition: next() });
  }
  return cues;
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

function writeVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

/** Bytes of a cue's CuePoint; `segmentOffset` is where media starts in the Segment's payload. */
export function cuePointLength(cue: Cue, segmentOffset: number): number {
  return 2 + cuePointPayload(cue, segmentOffset);
}

/** Payload bytes of a cue's CuePoint, which never reach 127. */
export function cuePointPayload(cue: Cue, segmentOffset: number): number {
  return 2 + uintLength(cue.timeMs) + 2 + cuePositionsPayload(cue, segmentOffset);
}

/** Payload bytes of its CueTrackPositions. */
export function cuePositionsPayload(cue: Cue, segmentOffset: number): number {
  return 6 + uintLength(cue.track) + uintLength(segmentOffset + cue.clusterOffset) + uintLength(cue.relativePosition);
}

/**
 * The largest evenly spread choice of cues whose CuePoints fit into `room` bytes, first and last always in it.
 * All of them when they fit; null when not even two do.
 */
export function thinCues(cues: readonly Cue[], segmentOffset: number, room: number): readonly Cue[] | null {
  const lengths = new Uint8Array(cues.length);
  let total = 0;
  for (let i = 0; i < cues.length; i++) total += lengths[i] = cuePointLength(cues[i] as Cue, segmentOffset);
  if (total <= room) return cues;
  let fitting = 0;
  let low = 2;
  let high = cues.length - 1;
  while (low <= high) {
    const count = Math.floor((low + high) / 2);
    if (spreadLength(lengths, count) <= room) {
      fitting = count;
      low = count + 1;
    } else {
      high = count - 1;
    }
  }
  return fitting === 0 ? null : Array.from({ length: fitting }, (_, i) => cues[spreadAt(i, cues.length, fitting)] as Cue);
}

/** Bytes of `count` CuePoints spread evenly; `lengths` are those of all. */
function spreadLength(lengths: Uint8Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += lengths[spreadAt(i, lengths.length, count)] as number;
  return sum;
}

/** Which of `all` is the `i`th of `count` that are spread evenly. */
function spreadAt(i: number, all: number, count: number): number {
  return Math.round((i * (all - 1)) / (count - 1));
}
