import { fromHex, readAscii, readFloat, readUint, toHex } from './bytes.ts';
import type { Child } from './elements.ts';
import { readChildren } from './elements.ts';
import { WebmError } from './errors.ts';
import { Id } from './ids.ts';

/** What a TrackEntry says, with defaults of RFC 9559 filled in; fields of the other kind are null. */
export interface TrackInfo {
  readonly number: number;
  readonly type: 'video' | 'audio';
  /** Such as `V_VP9`, `A_OPUS`. */
  readonly codecId: string;
  /** For Opus it carries the pre-skip; null where the recorder wrote none. */
  readonly codecPrivate: Uint8Array | null;
  /** Nanoseconds. */
  readonly codecDelayNs: number;
  /** Nanoseconds. */
  readonly seekPreRollNs: number;
  /** The payload of ContentEncodings, null when there is none. */
  readonly contentEncodings: Uint8Array | null;
  readonly video: { readonly width: number; readonly height: number; readonly alphaMode: number } | null;
  readonly audio: {
    readonly sampleRate: number;
    readonly outputSampleRate: number;
    readonly channels: number;
    readonly bitDepth: number;
  } | null;
  /** The TrackEntry's payload as it stood in the stream; headers are written from it. */
  readonly entry: Uint8Array;
}

/** Nanoseconds per tick where Info names none (RFC 9559 §5.1.2.9). */
export const DEFAULT_SCALE = 1_000_000;

/** What a part says before its first Cluster. */
export interface PartHeader {
  readonly docType: 'webm' | 'matroska';
  /** Nanoseconds per tick; nearly always 1,000,000. */
  readonly timestampScale: number;
  readonly tracks: readonly TrackInfo[];
  /** Numbers of tracks that are neither video nor audio (subtitles, buttons, …): their blocks are left out. Absent: none. */
  readonly leftOut?: readonly number[];
}

/** A `PartHeader` as JSON, for checkpoints. */
export interface PackedHeader {
  readonly docType: 'webm' | 'matroska';
  readonly timestampScale: number;
  /** Each TrackEntry's payload in hex. */
  readonly tracks: readonly string[];
  readonly leftOut?: readonly number[];
}

export function packHeader(header: PartHeader): PackedHeader {
  return {
    docType: header.docType,
    timestampScale: header.timestampScale,
    tracks: header.tracks.map((track) => toHex(track.entry)),
    ...leftOutOf(header),
  };
}

/** Throws `invalid-state` when a track cannot be read. */
export function unpackHeader(packed: PackedHeader): PartHeader {
  const tracks = packed.tracks.map((hex) => {
    const entry = fromHex(hex);
    const track = entry === null ? null : readTrackEntry(entry);
    if (track === null || track === 'left-out') throw new WebmError('invalid-state', 'a packed track cannot be read');
    return track;
  });
  return { docType: packed.docType, timestampScale: packed.timestampScale, tracks, ...leftOutOf(packed) };
}

function leftOutOf({ leftOut = [] }: { readonly leftOut?: readonly number[] }): { readonly leftOut?: readonly number[] } {
  return leftOut.length === 0 ? {} : { leftOut };
}

/** The TimestampScale in an Info payload; null when that cannot be read. */
export function readTimestampScale(bytes: Uint8Array, at: number, end: number): number | null {
  const children = readChildren(bytes, at, end);
  if (children === null) return null;
  const scale = children.find((child) => child.id === Id.TimestampScale);
  if (scale === undefined) return DEFAULT_SCALE;
  const value = readUint(bytes, scale.data, scale.end - scale.data);
  // From a nanosecond to a second per tick.
  return value >= 1 && value <= 1e9 ? value : null;
}

/** What a Tracks element holds. */
export interface ReadTracks {
  readonly tracks: readonly TrackInfo[];
  readonly leftOut: readonly number[];
}

/** The tracks in a Tracks payload; null when one is malformed or two have the same number. There may be no track to play. */
export function readTracks(bytes: Uint8Array, at: number, end: number): ReadTracks | null {
  const children = readChildren(bytes, at, end);
  if (children === null) return null;
  const tracks: TrackInfo[] = [];
  const leftOut: number[] = [];
  for (const child of children) {
    if (child.id !== Id.TrackEntry) continue;
    // A copy, because the header outlives the chunk it came in (`slice` would not copy a Buffer).
    const entry = new Uint8Array(bytes.subarray(child.data, child.end));
    const track = readTrackEntry(entry);
    if (track === null) return null;
    if (track === 'left-out') leftOut.push(trackNumber(entry));
    else tracks.push(track);
  }
  const numbers = new Set([...tracks.map((track) => track.number), ...leftOut]);
  return numbers.size === tracks.length + leftOut.length ? { tracks, leftOut } : null;
}

function trackNumber(entry: Uint8Array): number {
  return new Fields(entry, readChildren(entry, 0, entry.length) ?? []).uint(Id.TrackNumber, 0);
}

/** Reads a TrackEntry's payload; null when it is malformed, `left-out` when it is neither video nor audio (RFC 9559 §5.1.4.1.3). */
export function readTrackEntry(entry: Uint8Array): TrackInfo | 'left-out' | null {
  const children = readChildren(entry, 0, entry.length);
  if (children === null) return null;
  const fields = new Fields(entry, children);
  const number = fields.uint(Id.TrackNumber, 0);
  const type = fields.uint(Id.TrackType, 0);
  const codecId = fields.bytes(Id.CodecID);
  // A block's track number is a variable-size integer of which one byte is usual and four are plenty.
  if (number < 1 || number >= 2 ** 28 - 1) return null;
  if (type !== 1 && type !== 2) return type > 0 ? 'left-out' : null;
  if (codecId === null) return null;
  const common = {
    number,
    codecId: readAscii(codecId),
    codecPrivate: fields.bytes(Id.CodecPrivate),
    codecDelayNs: fields.uint(Id.CodecDelay, 0),
    seekPreRollNs: fields.uint(Id.SeekPreRoll, 0),
    contentEncodings: fields.bytes(Id.ContentEncodings),
    entry,
  };
  if (type === 1) {
    const video = fields.inside(Id.Video);
    if (video === null) return null;
    return {
      ...common,
      type: 'video',
      audio: null,
      video: {
        width: video.uint(Id.PixelWidth, 0),
        height: video.uint(Id.PixelHeight, 0),
        alphaMode: video.uint(Id.AlphaMode, 0),
      },
    };
  }
  const audio = fields.inside(Id.Audio);
  if (audio === null) return null;
  const sampleRate = audio.float(Id.SamplingFrequency, 8000);
  return {
    ...common,
    type: 'audio',
    video: null,
    audio: {
      sampleRate,
      outputSampleRate: audio.float(Id.OutputSamplingFrequency, sampleRate),
      channels: audio.uint(Id.Channels, 1),
      bitDepth: audio.uint(Id.BitDepth, 0),
    },
  };
}

class Fields {
  readonly #bytes: Uint8Array;
  readonly #children: readonly Child[];

  constructor(bytes: Uint8Array, children: readonly Child[]) {
    this.#bytes = bytes;
    this.#children = children;
  }

  #find(id: number): Child | undefined {
    return this.#children.find((child) => child.id === id);
  }

  uint(id: number, fallback: number): number {
    const child = this.#find(id);
    return child === undefined ? fallback : readUint(this.#bytes, child.data, child.end - child.data);
  }

  float(id: number, fallback: number): number {
    const child = this.#find(id);
    return child === undefined ? fallback : readFloat(this.#bytes, child.data, child.end - child.data);
  }

  bytes(id: number): Uint8Array | null {
    const child = this.#find(id);
    return child === undefined ? null : this.#bytes.subarray(child.data, child.end);
  }

  /** The fields of a master child; an absent one has none, a malformed one is null. */
  inside(id: number): Fields | null {
    const child = this.#find(id);
    if (child === undefined) return new Fields(this.#bytes, []);
    const children = readChildren(this.#bytes, child.data, child.end);
    return children === null ? null : new Fields(this.#bytes, children);
  }
}
