import { sameBytes } from './bytes.ts';
import type { PartHeader, TrackInfo } from './tracks.ts';

/** Why two parts cannot be one file. */
export type Mismatch = 'tracks' | 'codec' | 'codec-private' | 'audio-format' | 'alpha' | 'encoding';

export type Compatibility = { readonly compatible: true } | { readonly compatible: false; readonly reason: Mismatch };

/**
 * Whether `next` can go on in the file that `first` began: the same kinds of tracks, decoded by the same settings.
 * The resolution may differ: a new part starts with a keyframe, which carries its own.
 */
export function compatible(first: PartHeader, next: PartHeader): Compatibility {
  const pairs = pair(first, next);
  if (pairs === null) return { compatible: false, reason: 'tracks' };
  for (const [a, b] of pairs) {
    const reason = mismatch(a, b);
    if (reason !== null) return { compatible: false, reason };
  }
  return { compatible: true };
}

/**
 * The track numbers of `next` as keys, those of `first` as values. Chrome numbers tracks by arrival, so the same
 * recorder settings give video=1/audio=2 one time and the other way round the next. Null when the kinds of tracks differ.
 */
export function mapTracks(first: PartHeader, next: PartHeader): ReadonlyMap<number, number> | null {
  const pairs = pair(first, next);
  return pairs === null ? null : new Map(pairs.map(([a, b]) => [b.number, a.number]));
}

function pair(first: PartHeader, next: PartHeader): [TrackInfo, TrackInfo][] | null {
  if (first.tracks.length !== next.tracks.length) return null;
  const pairs: [TrackInfo, TrackInfo][] = [];
  for (const type of ['video', 'audio'] as const) {
    const ours = first.tracks.filter((track) => track.type === type);
    const theirs = next.tracks.filter((track) => track.type === type);
    if (ours.length !== theirs.length) return null;
    for (const [i, track] of ours.entries()) pairs.push([track, theirs[i] as TrackInfo]);
  }
  return pairs;
}

function mismatch(a: TrackInfo, b: TrackInfo): Mismatch | null {
  if (a.codecId !== b.codecId) return 'codec';
  if (!sameBytes(a.codecPrivate, b.codecPrivate)) return 'codec-private';
  if (a.codecDelayNs !== b.codecDelayNs || a.seekPreRollNs !== b.seekPreRollNs) return 'codec-private';
  if (!sameBytes(a.contentEncodings, b.contentEncodings)) return 'encoding';
  if (a.video?.alphaMode !== b.video?.alphaMode) return 'alpha';
  if (
    a.audio?.sampleRate !== b.audio?.sampleRate ||
    a.audio?.outputSampleRate !== b.audio?.outputSampleRate ||
    a.audio?.channels !== b.audio?.channels ||
    a.audio?.bitDepth !== b.audio?.bitDepth
  ) {
    return 'audio-format';
  }
  return null;
}
