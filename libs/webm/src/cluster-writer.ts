import { frameLength, writeFrame } from './blocks.ts';
import type { Frame } from './blocks.ts';
import { writeHead, writeUint } from './bytes.ts';
import type { Cue } from './cues.ts';
import { Id } from './ids.ts';
import type { TrackInfo } from './tracks.ts';

/** A whole Cluster of known size, ready to be stored. */
export interface FinishedCluster {
  readonly bytes: Uint8Array;
  /** Time of its earliest frame, ms on the file's timeline. */
  readonly startMs: number;
  /** End of its latest frame (estimated from the track's frame distance). */
  readonly endMs: number;
  readonly frames: number;
  /** How many of them are audio. */
  readonly audioFrames: number;
  /** `clusterOffset` is 0: `placeCues` moves them to where the Cluster comes to stand. */
  readonly cues: readonly Cue[];
}

/** Where a frame goes in the file. */
export interface FramePlace {
  /** The output file's track number. */
  readonly track: number;
  /** Whole ms added to the frame's own time. */
  readonly offsetMs: number;
}

/** When a Cluster ends by itself. */
export interface ClusterLimits {
  /** A video keyframe starts a new Cluster when the open one is older than this; default 1,000. */
  readonly keyframeMs?: number;
  /** Longest Cluster; default 5,000. */
  readonly maxMs?: number;
  /** A frame that would make a Cluster larger starts the next one; default 1 MiB. A larger frame is alone in its Cluster. */
  readonly maxBytes?: number;
}

/** What a writer must remember over a checkpoint; there is no open Cluster then. */
export interface ClusterWriterState {
  readonly lastCueMs: number | null;
  readonly tracks: readonly {
    readonly track: number;
    /** Absent in states of earlier versions. */
    readonly type?: TrackInfo['type'];
    readonly lastMs: number;
    readonly stepMs: number;
  }[];
}

/** Bytes before a Cluster's first frame: id, 4-byte size, and a Timestamp of 8 bytes that can be patched in place. */
export const CLUSTER_SIZE_BYTES = 4;
export const TIMESTAMP_BYTES = 8;
const HEAD = 4 + CLUSTER_SIZE_BYTES;
const FIRST_FRAME = HEAD + 2 + TIMESTAMP_BYTES;

const MIN_VIDEO_CUE_MS = 500;
const MIN_AUDIO_CUE_MS = 5_000;
const MAX_RELATIVE = 32_767;
// A longer distance is a pause, not a frame's length.
const MAX_STEP_MS = 1_000;
const FIRST_VIDEO_STEP_MS = 33;
const FIRST_AUDIO_STEP_MS = 20;

interface TrackTimes {
  lastMs: number;
  stepMs: number;
}

/**
 * Builds one file's clusters out of frames, which are copied but never re-encoded, in the order given.
 * A cluster's Timestamp is its earliest frame's time, so no relative time is negative.
 */
export class ClusterWriter {
  readonly #audio: ReadonlySet<number>;
  readonly #cueTrack: number;
  readonly #minCueMs: number;
  readonly #limits: Required<ClusterLimits>;
  readonly #times = new Map<number, TrackTimes>();
  #lastCueMs: number | null;
  #bytes = new Uint8Array(0);
  #length = 0;
  #minMs = Infinity;
  #maxMs = -Infinity;
  #endMs = -Infinity;
  #audioFrames = 0;
  /** Where each frame's relative time stands, and the frame's time, in turns. */
  #pending: number[] = [];
  #cues: Cue[] = [];

  /** `tracks` are the output file's. Cues are made for its first video track, or its first audio track if there is none. */
  constructor(tracks: readonly TrackInfo[], limits: ClusterLimits = {}, state?: ClusterWriterState) {
    this.#audio = new Set(tracks.filter((track) => track.type === 'audio').map((track) => track.number));
    const video = tracks.find((track) => track.type === 'video');
    this.#cueTrack = (video ?? tracks[0])?.number ?? 0;
    this.#minCueMs = video === undefined ? MIN_AUDIO_CUE_MS : MIN_VIDEO_CUE_MS;
    this.#limits = {
      keyframeMs: limits.keyframeMs ?? 1_000,
      maxMs: Math.min(limits.maxMs ?? 5_000, MAX_RELATIVE),
      maxBytes: limits.maxBytes ?? 1024 * 1024,
    };
    this.#lastCueMs = state?.lastCueMs ?? null;
    for (const { track, lastMs, stepMs } of state?.tracks ?? []) this.#times.set(track, { lastMs, stepMs });
  }

  /** Bytes in the open Cluster, 0 when there is none. */
  get openBytes(): number {
    return this.#length;
  }

  /** The file's duration so far: the end of the last frame of any track, the open Cluster included; 0 when empty. */
  get durationMs(): number {
    let end = 0;
    for (const { lastMs, stepMs } of this.#times.values()) end = Math.max(end, lastMs + stepMs);
    return end;
  }

  /** Time of a track's latest frame and where that ends, ms on the file's timeline; null while it has none. */
  timesOf(track: number): { readonly lastMs: number; readonly endMs: number } | null {
    const times = this.#times.get(track);
    return times === undefined ? null : { lastMs: times.lastMs, endMs: times.lastMs + times.stepMs };
  }

  /** Adds a frame; returns the Cluster that this ended, if any. A time before 0 on the file's timeline becomes 0. */
  add(frame: Frame, place: FramePlace): FinishedCluster | null {
    const timeMs = Math.max(0, frame.timeMs + place.offsetMs);
    const size = frameLength(frame, place.track);
    const isAudio = this.#audio.has(place.track);
    const finished = this.#endsBefore(timeMs, size, frame.key && !isAudio) ? this.flush() : null;
    this.#reserve(size);
    const at = this.#length;
    // Firefox leaves the flag off on audio, and Chrome then hangs on every seek.
    const flags = isAudio && frame.form === 'simple' ? frame.flags | 0x80 : frame.flags;
    this.#pending.push(writeFrame(this.#bytes, at, frame, place.track, flags), timeMs);
    this.#length += size;
    if (isAudio) this.#audioFrames++;
    this.#minMs = Math.min(this.#minMs, timeMs);
    this.#maxMs = Math.max(this.#maxMs, timeMs);
    this.#endMs = Math.max(this.#endMs, timeMs + this.#step(frame, place.track, timeMs, isAudio));
    if (place.track === this.#cueTrack && (isAudio || frame.key)) this.#cue(timeMs, at - HEAD);
    return finished;
  }

  /** Ends the open Cluster; null when there is none. */
  flush(): FinishedCluster | null {
    if (this.#length === 0) return null;
    writeHead(this.#bytes, 0, Id.Cluster, this.#length - HEAD, CLUSTER_SIZE_BYTES);
    writeHead(this.#bytes, HEAD, Id.Timestamp, TIMESTAMP_BYTES);
    writeUint(this.#bytes, HEAD + 2, this.#minMs, TIMESTAMP_BYTES);
    for (let i = 0; i < this.#pending.length; i += 2) {
      writeUint(this.#bytes, this.#pending[i] as number, (this.#pending[i + 1] as number) - this.#minMs, 2);
    }
    const finished = {
      bytes: this.#bytes.slice(0, this.#length),
      startMs: this.#minMs,
      endMs: this.#endMs,
      frames: this.#pending.length / 2,
      audioFrames: this.#audioFrames,
      cues: this.#cues,
    };
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
    this.#minMs = Infinity;
    this.#maxMs = -Infinity;
    this.#endMs = -Infinity;
    this.#audioFrames = 0;
    this.#pending = [];
    this.#cues = [];
    return finished;
  }

  /** A snapshot for the next writer of this file. Call it after `flush`: an open Cluster is not in it. */
  state(): ClusterWriterState {
    const typeOf = (track: number): TrackInfo['type'] => (this.#audio.has(track) ? 'audio' : 'video');
    const tracks = Array.from(this.#times, ([track, times]) => ({ track, type: typeOf(track), ...times }));
    return { lastCueMs: this.#lastCueMs, tracks };
  }

  #endsBefore(timeMs: number, size: number, videoKey: boolean): boolean {
    if (this.#length === 0) return false;
    if (this.#length + size > this.#limits.maxBytes) return true;
    if (videoKey && timeMs - this.#minMs >= this.#limits.keyframeMs) return true;
    return Math.max(this.#maxMs, timeMs) - Math.min(this.#minMs, timeMs) > this.#limits.maxMs;
  }

  #reserve(size: number): void {
    if (this.#length === 0) this.#length = FIRST_FRAME;
    const needed = this.#length + size;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length, 16 * 1024));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  /** Keeps the track's frame distance and returns this frame's length. */
  #step(frame: Frame, track: number, timeMs: number, isAudio: boolean): number {
    const times = this.#times.get(track);
    const distance = times === undefined ? 0 : timeMs - times.lastMs;
    let stepMs = times?.stepMs ?? (isAudio ? FIRST_AUDIO_STEP_MS : FIRST_VIDEO_STEP_MS);
    if (distance > 0 && distance <= MAX_STEP_MS) stepMs = distance;
    if (frame.durationMs !== null) stepMs = frame.durationMs;
    this.#times.set(track, { lastMs: Math.max(timeMs, times?.lastMs ?? 0), stepMs });
    return stepMs;
  }

  #cue(timeMs: number, relativePosition: number): void {
    if (this.#lastCueMs !== null && timeMs - this.#lastCueMs < this.#minCueMs) return;
    this.#lastCueMs = timeMs;
    this.#cues.push({ timeMs, track: this.#cueTrack, clusterOffset: 0, relativePosition });
  }
}

/** A Cluster's cues, moved to where its bytes stand: `offset` counts from the file's first media byte. */
export function placeCues(cues: readonly Cue[], offset: number): Cue[] {
  return cues.map((cue) => ({ ...cue, clusterOffset: cue.clusterOffset + offset }));
}
