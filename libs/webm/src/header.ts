import { asciiBytes, idLength, uintLength, writeHead, writeUint } from './bytes.ts';
import { cuePointPayload, cuePositionsPayload, thinCues } from './cues.ts';
import type { Cue } from './cues.ts';
import { element, floatElement, uintElement } from './elements.ts';
import { WebmError } from './errors.ts';
import { Id } from './ids.ts';
import type { TrackInfo } from './tracks.ts';

export interface HeaderInput {
  /** The output file's tracks, as the first part's header names them. */
  readonly tracks: readonly TrackInfo[];
  readonly durationMs: number;
  /** All cues, by rising time; offsets count from the first media byte. */
  readonly cues: readonly Cue[];
  /** Bytes of clusters that directly follow the header. */
  readonly mediaBytes: number;
  /** Exact size of the result; default 64 KiB. */
  readonly size?: number;
}

export const DEFAULT_HEADER_SIZE = 65_536;

const APP = asciiBytes('longtake');
const SEGMENT_SIZE_BYTES = 8;
const CUES_SIZE_BYTES = 4;
const SEEK_POSITION_BYTES = 4;
// No element has one byte, so there is always a Void of at least two.
const MIN_VOID = 2;
const webmCodecs: ReadonlySet<string> = new Set(['V_VP8', 'V_VP9', 'V_AV1', 'A_OPUS', 'A_VORBIS']);

/**
 * Everything of a file before its first Cluster, in exactly `size` bytes: EBML head, Segment of known size, SeekHead,
 * Info, Tracks, Cues, Void. So media bytes never move while a file grows. Cues that do not fit are thinned evenly.
 * Throws `header-too-small` when Tracks and two cues do not fit: choose a larger size then.
 */
export function buildHeader(input: HeaderInput): Uint8Array {
  const size = input.size ?? DEFAULT_HEADER_SIZE;
  const ebml = ebmlHead(input.tracks);
  const segmentStart = ebml.length + idLength(Id.Segment) + SEGMENT_SIZE_BYTES;
  const mediaStart = size - segmentStart;
  const info = infoElement(input.durationMs);
  const tracks = element(Id.Tracks, ...input.tracks.map((track) => element(Id.TrackEntry, track.entry)));
  const hasCues = input.cues.length > 0;
  const infoAt = seekHeadLength(hasCues);
  const tracksAt = infoAt + info.length;
  const cuesAt = tracksAt + tracks.length;
  const room = mediaStart - cuesAt - MIN_VOID - (hasCues ? idLength(Id.Cues) + CUES_SIZE_BYTES : 0);
  const chosen = room < 0 ? null : thinCues(input.cues, mediaStart, room);
  if (chosen === null) throw new WebmError('header-too-small', `tracks and two cues do not fit into ${size} bytes`);
  const seekHead = seekHeadElement([
    [Id.Info, infoAt],
    [Id.Tracks, tracksAt],
    ...(hasCues ? [[Id.Cues, cuesAt] as const] : []),
  ]);

  const header = new Uint8Array(size);
  header.set(ebml);
  const segmentSize = mediaStart + input.mediaBytes;
  let at = writeHead(header, ebml.length, Id.Segment, segmentSize, SEGMENT_SIZE_BYTES);
  for (const part of [seekHead, info, tracks]) {
    header.set(part, at);
    at += part.length;
  }
  if (hasCues) at = writeCues(header, at, chosen, mediaStart);
  writeVoid(header, at, size - at);
  return header;
}

function ebmlHead(tracks: readonly TrackInfo[]): Uint8Array {
  // WebM allows only these codecs; a player is told honestly about any other (Chrome's H.264).
  const docType = tracks.every((track) => webmCodecs.has(track.codecId)) ? 'webm' : 'matroska';
  return element(
    Id.EBML,
    uintElement(Id.EBMLVersion, 1),
    uintElement(Id.EBMLReadVersion, 1),
    uintElement(Id.EBMLMaxIDLength, 4),
    uintElement(Id.EBMLMaxSizeLength, 8),
    element(Id.DocType, asciiBytes(docType)),
    uintElement(Id.DocTypeVersion, 4),
    uintElement(Id.DocTypeReadVersion, 2),
  );
}

function infoElement(durationMs: number): Uint8Array {
  return element(
    Id.Info,
    uintElement(Id.TimestampScale, 1_000_000),
    floatElement(Id.Duration, durationMs),
    element(Id.MuxingApp, APP),
    element(Id.WritingApp, APP),
  );
}

function seekHeadElement(targets: readonly (readonly [id: number, position: number])[]): Uint8Array {
  return element(
    Id.SeekHead,
    ...targets.map(([id, position]) =>
      element(
        Id.Seek,
        uintElement(Id.SeekID, id),
        uintElement(Id.SeekPosition, position, SEEK_POSITION_BYTES),
      ),
    ),
  );
}

function seekHeadLength(hasCues: boolean): number {
  const targets = [Id.Info, Id.Tracks, ...(hasCues ? [Id.Cues] : [])];
  return seekHeadElement(targets.map((id) => [id, 0] as const)).length;
}

function writeCues(out: Uint8Array, start: number, cues: readonly Cue[], mediaStart: number): number {
  let at = start + idLength(Id.Cues) + CUES_SIZE_BYTES;
  const uint = (id: number, value: number): void => {
    const length = uintLength(value);
    at = writeUint(out, writeHead(out, at, id, length), value, length);
  };
  for (const cue of cues) {
    at = writeHead(out, at, Id.CuePoint, cuePointPayload(cue, mediaStart));
    uint(Id.CueTime, cue.timeMs);
    at = writeHead(out, at, Id.CueTrackPositions, cuePositionsPayload(cue, mediaStart));
    uint(Id.CueTrack, cue.track);
    uint(Id.CueClusterPosition, mediaStart + cue.clusterOffset);
    uint(Id.CueRelativePosition, cue.relativePosition);
  }
  writeHead(out, start, Id.Cues, at - start - idLength(Id.Cues) - CUES_SIZE_BYTES, CUES_SIZE_BYTES);
  return at;
}

function writeVoid(out: Uint8Array, at: number, length: number): void {
  const sizeBytes = length >= 9 ? 8 : 1;
  writeHead(out, at, Id.Void, length - 1 - sizeBytes, sizeBytes);
}
