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

/** What a part says before its first Cluster. */
export interface PartHeader {
  readonly docType: 'webm' | 'matroska';
  /** Nanoseconds per tick; nearly always 1,000,000. */
  readonly timestampScale: number;
  readonly tracks: readonly TrackInfo[];
}

/** A `PartHeader` as JSON, for checkpoints. */
export interface PackedHeader {
  readonly docType: 'webm' | 'matroska';
  readonly timestampScale: number;
  /** Each TrackEntry's payload in hex. */
  readonly tracks: readonly string[];
}

export function packHeader(header: PartHeader): PackedHeader {
  return {
    docType: header.docType,
    timestampScale: header.timestampScale,
    tracks: header.tracks.map((track) => toHex(track.entry)),
  };
}

/** Throws `invalid-state` when a track cannot be read. */
export function unpackHeader(packed: PackedHeader): PartHeader {
  const tracks = packed.tracks.map((hex) => {
    const entry = fromHex(hex);
    const track = entry === null ? null : readTrackEntry(entry);
    if (track === null) throw new WebmError('invalid-state', 'a packed track cannot be read');
    return track;
  });
  return { docType: packed.docType, timestampScale: packed.timestampScale, tracks };
}

/** The video and audio tracks in a Tracks payload; null when one is malformed or none is left. */
export function readTracks(bytes: Uint8Array, at: number, end: number): TrackInfo[] | null {
  const children = readChildren(bytes, at, end);
  if (children === null) return null;
  const tracks: TrackInfo[] = [];
  for (const child of children) {
    if (child.id !== Id.TrackEntry) continue;
    // A copy, because the header outlives the chunk it came in (`slice` would not copy a Buffer).
    const track = readTrackEntry(new Uint8Array(bytes.subarray(child.data, child.end)));
    if (track === null) return null;
    tracks.push(track);
  }
  const numbers = new Set(tracks.map((track) => track.number));
  return tracks.length > 0 && numbers.size === tracks.length ? tracks : null;
}

/** Reads a TrackEntry's payload; null when it is malformed or neither video nor audio. */
export function readTrackEntry(entry: Uint8Array): TrackInfo | null {
  const children = readChildren(entry, 0, entry.length);
  if (children === null) return null;
  const fields = new Fields(entry, children);
  const number = fields.uint(Id.TrackNumber, 0);
  const type = fields.uint(Id.TrackType, 0);
  const codecId = fields.bytes(Id.CodecID);
  // A block's track number is a variable-size integer of which one byte is usual and four are plenty.
  if (number < 1 || number >= 2 ** 28 - 1 || codecId === null) return null;
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
  if (type === 2) {
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
  return null;
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
