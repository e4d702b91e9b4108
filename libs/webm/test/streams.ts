import { asciiBytes, concat, writeHead } from '../src/bytes.ts';
import { element, floatElement, uintElement } from '../src/elements.ts';
import { Id } from '../src/ids.ts';

/** Hand-made streams, for what the recordings do not show. */

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

export function ebml(docType = 'webm'): Uint8Array {
  return element(Id.EBML, element(Id.DocType, asciiBytes(docType)));
}

/** An element of unknown size around nothing: its children just follow. */
export function open(id: number): Uint8Array {
  const head = new Uint8Array(12);
  const end = writeHead(head, 0, id, 0, 8);
  head.fill(0xff, end - 7, end);
  return head.subarray(0, end);
}

export function info(timestampScale?: number): Uint8Array {
  return element(Id.Info, ...(timestampScale === undefined ? [] : [uintElement(Id.TimestampScale, timestampScale)]));
}

export function videoEntry(number = 1, ...more: Uint8Array[]): Uint8Array {
  return element(
    Id.TrackEntry,
    uintElement(Id.TrackNumber, number),
    uintElement(Id.TrackType, 1),
    element(Id.CodecID, asciiBytes('V_VP9')),
    element(Id.Video, uintElement(Id.PixelWidth, 640), uintElement(Id.PixelHeight, 480), ...more),
  );
}

export function audioEntry(number = 2, codecPrivate = asciiBytes('OpusHead')): Uint8Array {
  return element(
    Id.TrackEntry,
    uintElement(Id.TrackNumber, number),
    uintElement(Id.TrackType, 2),
    element(Id.CodecID, asciiBytes('A_OPUS')),
    element(Id.CodecPrivate, codecPrivate),
    element(Id.Audio, floatElement(Id.SamplingFrequency, 48000), uintElement(Id.Channels, 1)),
  );
}

export function tracks(...entries: Uint8Array[]): Uint8Array {
  return element(Id.Tracks, ...entries);
}

export function timestamp(ticks: number): Uint8Array {
  return uintElement(Id.Timestamp, ticks);
}

function blockPayload(track: number, relative: number, flags: number, data: Uint8Array): Uint8Array {
  return concat([bytes(0x80 | track, (relative >> 8) & 0xff, relative & 0xff, flags), data]);
}

export function simpleBlock(track: number, relative: number, flags = 0x80, data = bytes(1, 2, 3)): Uint8Array {
  return element(Id.SimpleBlock, blockPayload(track, relative, flags, data));
}

export function blockGroup(track: number, relative: number, ...extras: Uint8Array[]): Uint8Array {
  return element(Id.BlockGroup, element(Id.Block, blockPayload(track, relative, 0, bytes(7, 8, 9))), ...extras);
}

/** The usual start of a part: one video track 1 and one audio track 2, Segment of unknown size. */
export function partStart(timestampScale?: number): Uint8Array {
  return concat([ebml(), open(Id.Segment), info(timestampScale), tracks(videoEntry(), audioEntry())]);
}

export { concat, element, uintElement };
