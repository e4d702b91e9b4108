import type { Frame } from './blocks.ts';
import type { WebmError, WebmErrorCode } from './errors.ts';
import type { PackedHeader, PartHeader } from './tracks.ts';

/** What a reader turns bytes into, in stream order. */
export type ReadItem = HeaderItem | ClusterItem | Frame | DamageItem | ResyncedItem | RecordingItem;

/** EBML head, Info and Tracks have been read. Comes before any other item, and again behind each `recording` item. */
export interface HeaderItem {
  readonly kind: 'header';
  readonly header: PartHeader;
}

/** A Cluster's Timestamp has been read. */
export interface ClusterItem {
  readonly kind: 'cluster';
  readonly timeMs: number;
  /** Where the Cluster element starts. */
  readonly start: number;
}

/** Bytes that are no sound element. What surrounds them is still read. */
export interface DamageItem {
  readonly kind: 'damage';
  readonly error: WebmError;
  readonly start: number;
  /** Where reading goes on, or null: then the next `resynced` item says it (there is none when the reader has failed). */
  readonly end: number | null;
}

/** The next real Cluster after a hole or damage has been found; all bytes before it were dropped. */
export interface ResyncedItem {
  readonly kind: 'resynced';
  readonly start: number;
}

/**
 * Another EBML head starts here: what follows is another recording, with tracks and times of its own. Its `header` is the
 * next item, unless its head is unsound: then its bytes are searched for yet another recording.
 */
export interface RecordingItem {
  readonly kind: 'recording';
  readonly start: number;
}

export interface ReaderLimits {
  /** Largest element that is held whole (a frame); default 32 MiB. */
  readonly maxElementBytes?: number;
}

/** Where in the structure a reader is. */
export type Phase = 'start' | 'top' | 'segment' | 'cluster' | 'search' | 'ended' | 'failed';

/** A reader's context as JSON. The unparsed tail goes beside it, as bytes. */
export interface ReaderState {
  readonly version: 1;
  readonly phase: Phase;
  /** Stream offset up to which everything is parsed; the tail starts here. */
  readonly offset: number;
  /** Bytes of a dropped element that are still to come. */
  readonly skip: number;
  readonly docType: 'webm' | 'matroska';
  readonly timestampScale: number | null;
  /** Null until Info and Tracks were read. */
  readonly header: PackedHeader | null;
  /** Tracks, when they came before Info. */
  readonly earlyTracks: PackedHeader | null;
  /** Stream offsets of the ends of Segment and Cluster, null where unknown. */
  readonly segmentEnd: number | null;
  readonly clusterEnd: number | null;
  readonly clusterStart: number;
  /** The Cluster's Timestamp in ticks, null before it is read. */
  readonly clusterTicks: number | null;
  /** Relative time of the Cluster's newest block, in ticks; absent before there is one. */
  readonly blockTicks?: number;
  /** Whether the stream holds more than one recording so far. */
  readonly isRepeated?: boolean;
  /** How many bytes at the end of the newest element are the start of an EBML head's id; absent: none. */
  readonly headBytes?: number;
  /** Why nothing more can be read; absent as long as it can. */
  readonly failure?: { readonly code: WebmErrorCode; readonly message: string };
}
