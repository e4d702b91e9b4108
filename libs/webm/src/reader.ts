import { isPossibleTime, peekTrack, readBlockGroup, readSimpleBlock, ticksToMs } from './blocks.ts';
import { readHead, readUint, UNKNOWN_SIZE } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import { proveCluster } from './cluster-search.ts';
import { readChildren } from './elements.ts';
import { WebmError } from './errors.ts';
import type { WebmErrorCode } from './errors.ts';
import { endsUnknownCluster, Id, isKnownId } from './ids.ts';
import type { Phase, ReaderLimits, ReaderState, ReadItem } from './reader-items.ts';
import { isWebmDocType, MAX_EBML_HEAD, readDocType } from './sniff.ts';
import { Tail } from './tail.ts';
import { packHeader, readTracks, unpackHeader } from './tracks.ts';
import type { PartHeader, TrackInfo } from './tracks.ts';

const DEFAULT_SCALE = 1_000_000;
const DEFAULT_MAX_ELEMENT = 32 * 1024 * 1024;
// An element of an unknown kind may be new in a later browser; a large one is far likelier noise, and so is a large
// one of a known kind inside a Cluster that is no block: passing over it would swallow sound frames.
const MAX_UNKNOWN_ELEMENT = 4 * 1024;
const MAX_OTHER_IN_CLUSTER = 64 * 1024;

/**
 * Reads one part's byte stream, however it is cut, and never looks at a byte twice.
 * Memory: views of what was pushed, plus at most one element that is not whole yet.
 * Nothing is thrown for bad bytes: they come out as `damage`. Without a header nothing can follow, so then `failed` is set.
 */
export class StreamReader {
  readonly #maxElement: number;
  readonly #tail = new Tail();
  readonly #head: ElementHead = { id: 0, size: 0, length: 0 };
  #items: ReadItem[] = [];
  #phase: Phase = 'start';
  #offset = 0;
  #skip = 0;
  #docType: 'webm' | 'matroska' = 'webm';
  #timestampScale: number | null = null;
  #tracks: readonly TrackInfo[] | null = null;
  #header: PartHeader | null = null;
  #trackNumbers: ReadonlySet<number> = new Set();
  #segmentEnd = Infinity;
  #clusterEnd = Infinity;
  #clusterStart = 0;
  #clusterTicks: number | null = null;
  #failed: WebmError | null = null;

  constructor(limits: ReaderLimits = {}) {
    this.#maxElement = limits.maxElementBytes ?? DEFAULT_MAX_ELEMENT;
  }

  /** Goes on from `state()`; `tail` is copied. Throws `invalid-state`. */
  static resume(state: ReaderState, tail: Uint8Array, limits: ReaderLimits = {}): StreamReader {
    const reader = new StreamReader(limits);
    reader.#restore(state);
    reader.#tail.append(tail, tail.length);
    return reader;
  }

  /**
   * A reader for what follows a hole: it knows the part's header, starts at stream offset `offset` and drops bytes until the
   * next real Cluster. Throws `header-missing` when the state has none yet: such bytes must wait for the part's start.
   */
  static resync(state: ReaderState, offset: number, limits: ReaderLimits = {}): StreamReader {
    if (state.header === null) throw new WebmError('header-missing', 'the part\'s header is not known yet', offset);
    const reader = new StreamReader(limits);
    reader.#restore({ ...state, phase: 'search', offset, skip: 0, segmentEnd: null, clusterEnd: null, clusterTicks: null });
    return reader;
  }

  /** Offset up to which all bytes became items or were rightly dropped; the rest is the tail. */
  get consumedOffset(): number {
    return this.#offset;
  }

  /** Bytes that wait for the rest of their element. */
  get tailLength(): number {
    return this.#tail.length;
  }

  /** Null until Info and Tracks have been read. */
  get header(): PartHeader | null {
    return this.#header;
  }

  /** Whether the reader is still looking for a Cluster after a hole or damage. */
  get searching(): boolean {
    return this.#phase === 'search';
  }

  /** Why nothing more can be read, null as long as it can. */
  get failed(): WebmError | null {
    return this.#failed;
  }

  /** Takes the next bytes of the stream. The caller must not change them afterwards: frames are views of them. */
  push(bytes: Uint8Array): readonly ReadItem[] {
    this.#items = [];
    let at = 0;
    while (this.#phase !== 'failed') {
      const tail = this.#tail;
      if (tail.length > 0) {
        at += tail.fill(bytes, at);
        if (tail.lacking > 0) break;
        this.#forward(this.#take(tail.bytes, tail.start, tail.end), tail);
      } else {
        if (at >= bytes.length) break;
        const used = this.#take(bytes, at, bytes.length);
        if (used < 0) {
          tail.append(bytes.subarray(at), -used);
          break;
        }
        at += used;
        this.#offset += used;
      }
    }
    const items = this.#items;
    this.#items = [];
    return items;
  }

  /** A snapshot to go on from at any byte. `tail` is a copy. */
  state(): { readonly state: ReaderState; readonly tail: Uint8Array } {
    const packed = this.#tracks === null ? null : packHeader(this.#headerOf(this.#tracks));
    return {
      state: {
        version: 1,
        phase: this.#phase,
        offset: this.#offset,
        skip: this.#skip,
        docType: this.#docType,
        timestampScale: this.#timestampScale,
        header: this.#header === null ? null : packed,
        earlyTracks: this.#header === null ? packed : null,
        segmentEnd: this.#segmentEnd === Infinity ? null : this.#segmentEnd,
        clusterEnd: this.#clusterEnd === Infinity ? null : this.#clusterEnd,
        clusterStart: this.#clusterStart,
        clusterTicks: this.#clusterTicks,
      },
      tail: this.#tail.copy(),
    };
  }

  #restore(state: ReaderState): void {
    if (state.version !== 1) throw new WebmError('invalid-state', 'a reader state of another version');
    this.#phase = state.phase;
    this.#offset = state.offset;
    this.#skip = state.skip;
    this.#docType = state.docType;
    this.#timestampScale = state.timestampScale;
    this.#segmentEnd = state.segmentEnd ?? Infinity;
    this.#clusterEnd = state.clusterEnd ?? Infinity;
    this.#clusterStart = state.clusterStart;
    this.#clusterTicks = state.clusterTicks;
    const packed = state.header ?? state.earlyTracks;
    if (packed !== null) this.#tracks = unpackHeader(packed).tracks;
    if (state.header !== null) this.#knowHeader();
    if (state.phase === 'failed') this.#failed = new WebmError('invalid-state', 'the part had failed before', state.offset);
  }

  #forward(used: number, tail: Tail): void {
    if (used < 0) {
      tail.want(-used);
    } else {
      tail.drop(used);
      this.#offset += used;
    }
  }

  /** Parses one step of what stands at `at`. Returns the bytes used, or minus the number that must be there. */
  #take(bytes: Uint8Array, at: number, end: number): number {
    if (this.#skip > 0) {
      const dropped = Math.min(this.#skip, end - at);
      this.#skip -= dropped;
      return dropped;
    }
    if (this.#phase === 'search') return this.#search(bytes, at, end);
    if (this.#phase === 'cluster' && this.#offset === this.#clusterEnd) this.#phase = 'segment';
    if (this.#phase === 'segment' && this.#offset === this.#segmentEnd) this.#phase = 'ended';
    const missing = readHead(bytes, at, end, this.#head);
    if (missing > 0) return -missing;
    if (missing < 0) return this.#lost(this.#phase === 'start' ? 'not-webm' : 'invalid-element', 'no element can start so');
    if (this.#phase === 'cluster' && this.#clusterEnd === Infinity && endsUnknownCluster(this.#head.id)) this.#phase = 'segment';
    switch (this.#phase) {
      case 'start':
        return this.#takeStart(bytes, at, end);
      case 'top':
      case 'ended':
        return this.#takeTop();
      case 'segment':
        return this.#takeLevel1(bytes, at, end);
      case 'cluster':
        return this.#takeInCluster(bytes, at, end);
      case 'failed':
        throw new WebmError('invalid-state', 'a failed reader takes no bytes', this.#offset);
      default:
        return this.#phase satisfies never;
    }
  }

  #takeStart(bytes: Uint8Array, at: number, end: number): number {
    const { id, size, length } = this.#head;
    if (id !== Id.EBML || size === UNKNOWN_SIZE || size > Math.min(MAX_EBML_HEAD, this.#maxElement)) {
      return this.#lost('not-webm', 'the stream does not start with an EBML head');
    }
    if (end - at < length + size) return -(length + size);
    const docType = readDocType(bytes, at + length, at + length + size);
    if (!isWebmDocType(docType)) return this.#lost('not-webm', 'the DocType is neither webm nor matroska');
    this.#docType = docType;
    this.#phase = 'top';
    return length + size;
  }

  #takeTop(): number {
    const { id, size, length } = this.#head;
    if (id === Id.Void || id === Id.CRC32) return this.#skipElement();
    if (id !== Id.Segment || this.#phase === 'ended') {
      return this.#lost('unexpected-element', 'something other than one Segment stands at the top');
    }
    this.#segmentEnd = size === UNKNOWN_SIZE ? Infinity : this.#offset + length + size;
    this.#phase = 'segment';
    return length;
  }

  #takeLevel1(bytes: Uint8Array, at: number, end: number): number {
    const { id, size, length } = this.#head;
    if (this.#offset + length + Math.max(size, 0) > this.#segmentEnd) {
      return this.#lost('exceeds-parent', 'an element ends behind its Segment');
    }
    switch (id) {
      case Id.Cluster:
        return this.#openCluster(size, length);
      case Id.Info:
      case Id.Tracks:
        return this.#header === null ? this.#takeHeaderPart(bytes, at, end) : this.#skipElement();
      case Id.Segment:
      case Id.EBML:
        return this.#lost('unexpected-element', 'a second stream starts inside the Segment');
      default:
        return this.#skipElement();
    }
  }

  #takeHeaderPart(bytes: Uint8Array, at: number, end: number): number {
    const { id, size, length } = this.#head;
    if (size === UNKNOWN_SIZE) return this.#lost('invalid-element', 'Info and Tracks must say their size');
    if (size > this.#maxElement) return this.#lost('element-too-large', `${size} bytes of header`);
    const whole = length + size;
    if (end - at < whole) return -whole;
    if (id === Id.Info) {
      this.#timestampScale = readTimestampScale(bytes, at + length, at + whole);
      if (this.#timestampScale === null) return this.#lost('invalid-header', 'Info cannot be read');
    } else {
      this.#tracks = readTracks(bytes, at + length, at + whole);
      if (this.#tracks === null) return this.#lost('invalid-header', 'Tracks cannot be read');
    }
    if (this.#timestampScale !== null && this.#tracks !== null) this.#emitHeader();
    return whole;
  }

  #headerOf(tracks: readonly TrackInfo[]): PartHeader {
    return { docType: this.#docType, timestampScale: this.#timestampScale ?? DEFAULT_SCALE, tracks };
  }

  #knowHeader(): void {
    this.#header = this.#headerOf(this.#tracks ?? []);
    this.#trackNumbers = new Set(this.#header.tracks.map((track) => track.number));
  }

  #emitHeader(): void {
    this.#knowHeader();
    if (this.#header !== null) this.#items.push({ kind: 'header', header: this.#header });
  }

  #openCluster(size: number, length: number): number {
    if (this.#header === null) {
      if (this.#tracks === null) return this.#lost('header-missing', 'a Cluster before any Tracks');
      this.#emitHeader();
    }
    this.#clusterStart = this.#offset;
    this.#clusterEnd = size === UNKNOWN_SIZE ? Infinity : this.#offset + length + size;
    this.#clusterTicks = null;
    this.#phase = 'cluster';
    return length;
  }

  #takeInCluster(bytes: Uint8Array, at: number, end: number): number {
    const { id, size, length } = this.#head;
    if (this.#offset + length + Math.max(size, 0) > Math.min(this.#clusterEnd, this.#segmentEnd)) {
      return this.#lost('exceeds-parent', 'an element ends behind its Cluster');
    }
    if (endsUnknownCluster(id)) return this.#lost('unexpected-element', 'a Cluster holds what may not stand in it');
    if (id !== Id.Timestamp && id !== Id.SimpleBlock && id !== Id.BlockGroup) return this.#skipElement();
    if (size === UNKNOWN_SIZE) return this.#lost('invalid-element', 'a block of unknown size');
    if (size > this.#maxElement) return this.#lost('element-too-large', `a block of ${size} bytes`);
    if (id === Id.SimpleBlock && size > 0) {
      // Looked at before the whole block is there: a wrong size must not swallow what follows.
      const track = peekTrack(bytes, at + length, end);
      if (track < 0) return track - length;
      if (!this.#trackNumbers.has(track)) return this.#lost('unknown-track', `a frame of track ${track}, which the header does not name`);
    }
    const whole = length + size;
    if (end - at < whole) return -whole;
    if (id === Id.Timestamp) this.#readTimestamp(bytes, at + length, size, whole);
    else this.#readFrame(id, bytes, at + length, at + whole, whole);
    return whole;
  }

  #readTimestamp(bytes: Uint8Array, at: number, size: number, whole: number): void {
    const ticks = size > 8 ? Infinity : readUint(bytes, at, size);
    const timeMs = ticksToMs(ticks, this.#timestampScale ?? DEFAULT_SCALE);
    if (!isPossibleTime(timeMs)) return this.#damaged('invalid-timestamp', 'an impossible Cluster Timestamp', whole);
    this.#clusterTicks = ticks;
    this.#items.push({ kind: 'cluster', timeMs, start: this.#clusterStart });
  }

  #readFrame(id: number, bytes: Uint8Array, at: number, end: number, whole: number): void {
    if (this.#clusterTicks === null) return this.#damaged('invalid-timestamp', 'a frame without a Cluster Timestamp', whole);
    const place = {
      clusterTicks: this.#clusterTicks,
      timestampScale: this.#timestampScale ?? DEFAULT_SCALE,
      start: this.#offset,
      end: this.#offset + whole,
    };
    const read = id === Id.SimpleBlock ? readSimpleBlock : readBlockGroup;
    const frame = read(bytes, at, end, place);
    if (frame === null) return this.#damaged('invalid-block', 'a block that cannot be read', whole);
    if (!this.#trackNumbers.has(frame.track)) {
      return this.#damaged('unknown-track', `a frame of track ${frame.track}, which the header does not name`, whole);
    }
    this.#items.push(frame);
  }

  #skipElement(): number {
    const { id, size, length } = this.#head;
    if (size === UNKNOWN_SIZE) return this.#lost('invalid-element', 'only Segment and Cluster may have an unknown size');
    const isOdd = !isKnownId(id) ? size > MAX_UNKNOWN_ELEMENT : this.#phase === 'cluster' && size > MAX_OTHER_IN_CLUSTER;
    if (isOdd) return this.#lost('unexpected-element', `an element of ${size} bytes that does not belong here`);
    if (size > this.#maxElement) return this.#lost('element-too-large', `${size} bytes to drop`);
    this.#skip = size;
    return length;
  }

  #search(bytes: Uint8Array, from: number, end: number): number {
    const isTrack = (track: number): boolean => this.#trackNumbers.has(track);
    let at = from;
    for (;;) {
      at = bytes.indexOf(0x1f, at);
      if (at < 0 || at >= end) return end - from;
      const verdict = proveCluster(bytes, at, end, isTrack, this.#maxElement);
      if (verdict === 'none') {
        at++;
        continue;
      }
      if (at > from) return at - from;
      if (verdict !== 'cluster') return -verdict;
      this.#phase = 'segment';
      this.#items.push({ kind: 'resynced', start: this.#offset });
      return 0;
    }
  }

  /** One element's content is unsound, but its end is known: what follows is read on. */
  #damaged(code: WebmErrorCode, message: string, whole: number): void {
    const error = new WebmError(code, message, this.#offset);
    this.#items.push({ kind: 'damage', error, start: this.#offset, end: this.#offset + whole });
  }

  /** The stream's structure is lost here: the next Cluster must be searched from the next byte on. */
  #lost(code: WebmErrorCode, message: string): number {
    const error = new WebmError(code, message, this.#offset);
    this.#items.push({ kind: 'damage', error, start: this.#offset, end: null });
    if (this.#header === null) {
      this.#phase = 'failed';
      this.#failed = error;
      return 0;
    }
    // Where the Segment was to end is no longer to be trusted either.
    this.#segmentEnd = Infinity;
    this.#phase = 'search';
    return 1;
  }
}

function readTimestampScale(bytes: Uint8Array, at: number, end: number): number | null {
  const children = readChildren(bytes, at, end);
  if (children === null) return null;
  const scale = children.find((child) => child.id === Id.TimestampScale);
  if (scale === undefined) return DEFAULT_SCALE;
  const value = readUint(bytes, scale.data, scale.end - scale.data);
  // From a nanosecond to a second per tick.
  return value >= 1 && value <= 1e9 ? value : null;
}
