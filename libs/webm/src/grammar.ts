import { isPossibleTime, peekTrack, readBlockGroup, readSimpleBlock, ticksToMs } from './blocks.ts';
import { readHead, readUint, UNKNOWN_SIZE } from './bytes.ts';
import type { ElementHead } from './bytes.ts';
import { WebmError } from './errors.ts';
import type { WebmErrorCode } from './errors.ts';
import { endsUnknownCluster, Id, isKnownId } from './ids.ts';
import type { Phase, ReaderState, ReadItem } from './reader-items.ts';
import { isWebmDocType, MAX_EBML_HEAD, readDocType } from './sniff.ts';
import { findStart } from './start-search.ts';
import { findMagic, magicAtEnd, proveRestOfHead, proveStreamHead } from './stream-head.ts';
import { DEFAULT_SCALE, packHeader, readTimestampScale, readTracks, unpackHeader } from './tracks.ts';
import type { PartHeader, ReadTracks } from './tracks.ts';

// An element of an unknown kind may be new in a later browser; a large one is far likelier noise, and so is a large
// one of a known kind inside a Cluster that is no block: passing over it would swallow sound frames.
const MAX_UNKNOWN_ELEMENT = 4 * 1024;
const MAX_OTHER_IN_CLUSTER = 64 * 1024;

/**
 * Knows where in the structure of a stream it stands, and turns bytes into items one step at a time.
 * It keeps no bytes: `StreamReader` brings them, and brings more when a step asks for more.
 */
export class StreamGrammar {
  readonly #maxElement: number;
  readonly #head: ElementHead = { id: 0, size: 0, length: 0 };
  #items: ReadItem[] = [];
  #phase: Phase = 'start';
  #offset = 0;
  #skip = 0;
  #docType: 'webm' | 'matroska' = 'webm';
  #timestampScale: number | null = null;
  #tracks: ReadTracks | null = null;
  #header: PartHeader | null = null;
  #trackNumbers: ReadonlySet<number> = new Set();
  #leftOut: ReadonlySet<number> = new Set();
  #segmentEnd = Infinity;
  #clusterEnd = Infinity;
  #clusterStart = 0;
  #clusterTicks: number | null = null;
  #blockTicks: number | null = null;
  #isRepeated = false;
  /** Bytes of another stream's head that the size of the block before covers. */
  #headBytes = 0;
  #failed: WebmError | null = null;

  constructor(maxElementBytes: number) {
    this.#maxElement = maxElementBytes;
  }

  get offset(): number {
    return this.#offset;
  }

  get header(): PartHeader | null {
    return this.#header;
  }

  get searching(): boolean {
    return this.#phase === 'search';
  }

  get failed(): WebmError | null {
    return this.#failed;
  }

  /** The items since the last call. */
  items(): readonly ReadItem[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  state(): ReaderState {
    const packed = this.#tracks === null ? null : packHeader(this.#headerOf(this.#tracks));
    return {
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
      ...(this.#blockTicks === null ? {} : { blockTicks: this.#blockTicks }),
      ...(this.#isRepeated ? { isRepeated: true } : {}),
      ...(this.#headBytes === 0 ? {} : { headBytes: this.#headBytes }),
      ...(this.#failed === null ? {} : { failure: { code: this.#failed.code, message: this.#failed.message } }),
    };
  }

  /** Lets it search for the next Cluster of a stream whose header is known, from this offset on. */
  search(header: PartHeader, offset: number): void {
    this.#docType = header.docType;
    this.#timestampScale = header.timestampScale;
    this.#tracks = tracksOf(header);
    this.#knowHeader();
    this.#offset = offset;
    this.#phase = 'search';
  }

  /** Puts it where a state says. Throws `invalid-state`. */
  restore(state: ReaderState): void {
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
    this.#blockTicks = state.blockTicks ?? null;
    this.#isRepeated = state.isRepeated ?? false;
    this.#headBytes = state.headBytes ?? 0;
    const packed = state.header ?? state.earlyTracks;
    if (packed !== null) this.#tracks = tracksOf(unpackHeader(packed));
    if (state.header !== null) this.#knowHeader();
    if (state.failure !== undefined) this.#failed = new WebmError(state.failure.code, state.failure.message, state.offset);
  }

  /** Parses one step of what stands at `at`. Returns the bytes used, or minus the number that must be there for it. */
  take(bytes: Uint8Array, at: number, end: number): number {
    const used = this.#step(bytes, at, end);
    if (used > 0) this.#offset += used;
    return used;
  }

  #step(bytes: Uint8Array, at: number, end: number): number {
    if (this.#skip > 0) {
      const dropped = Math.min(this.#skip, end - at);
      this.#skip -= dropped;
      return dropped;
    }
    if (this.#phase === 'search') return this.#search(bytes, at, end);
    if (this.#phase === 'cluster' && this.#offset === this.#clusterEnd) this.#phase = 'segment';
    if (this.#phase === 'segment' && this.#offset === this.#segmentEnd) this.#phase = 'ended';
    const restOfHead = this.#takeRestOfHead(bytes, at, end);
    if (restOfHead !== 0) return restOfHead;
    const missing = readHead(bytes, at, end, this.#head);
    if (missing > 0) return -missing;
    if (missing < 0) return this.#lost(this.#phase === 'start' ? 'not-webm' : 'invalid-element', 'no element can start so');
    if (this.#head.id === Id.EBML && this.#phase !== 'start') {
      const verdict = proveStreamHead(bytes, at, end);
      if (verdict === 'head') return this.#beginAnother();
      if (verdict !== 'none') return -verdict;
    }
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
      if (this.#tracks.tracks.length === 0) return this.#lost('invalid-header', 'there is neither a video nor an audio track');
    }
    if (this.#timestampScale !== null && this.#tracks !== null) this.#emitHeader();
    return whole;
  }

  #headerOf({ tracks, leftOut }: ReadTracks): PartHeader {
    const header = { docType: this.#docType, timestampScale: this.#timestampScale ?? DEFAULT_SCALE, tracks };
    return leftOut.length === 0 ? header : { ...header, leftOut };
  }

  #knowHeader(tracks: ReadTracks | null = this.#tracks): void {
    this.#header = tracks === null ? null : this.#headerOf(tracks);
    this.#trackNumbers = new Set(tracks?.tracks.map((track) => track.number));
    this.#leftOut = new Set(tracks?.leftOut);
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
    this.#blockTicks = null;
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
      if (this.#leftOut.has(track)) {
        this.#skip = size;
        return length;
      }
      if (!this.#trackNumbers.has(track)) return this.#lost('unknown-track', `a frame of track ${track}, which the header does not name`);
    }
    const whole = length + size;
    if (end - at < whole) return -whole;
    const swallowed = this.#swallowedHead(bytes, at, at + whole, end);
    if (swallowed !== 0) return swallowed;
    this.#headBytes = magicAtEnd(bytes, at + whole);
    if (id === Id.Timestamp) this.#readTimestamp(bytes, at + length, size, whole);
    else this.#readFrame(id, bytes, at + length, at + whole, whole);
    return whole;
  }

  /**
   * A recording that broke off inside a block is followed by the next one's head, which the block's size covers. Returns the
   * bytes before such a head, minus the number that must be there to decide, or 0 when the element holds none.
   */
  #swallowedHead(bytes: Uint8Array, at: number, elementEnd: number, end: number): number {
    for (let found = findMagic(bytes, at, elementEnd); found >= 0; found = findMagic(bytes, found + 1, elementEnd)) {
      const verdict = proveStreamHead(bytes, found, end);
      if (verdict === 'none') continue;
      if (verdict !== 'head') return -(found - at + verdict);
      this.#damaged('unexpected-element', 'another stream starts inside a block', found - at);
      return found - at;
    }
    return 0;
  }

  /** The same where the size covers no more than the first bytes of the head. Returns 0 when there is none. */
  #takeRestOfHead(bytes: Uint8Array, at: number, end: number): number {
    const verdict = this.#headBytes === 0 ? 'none' : proveRestOfHead(this.#headBytes, bytes, at, end);
    if (typeof verdict === 'number') return -verdict;
    this.#headBytes = 0;
    if (verdict === 'none') return 0;
    this.#beginAnother();
    [this.#docType, this.#phase] = [verdict.docType, 'top'];
    return verdict.length;
  }

  /** What follows is another recording: nothing that is known of the one before holds for it. */
  #beginAnother(): number {
    this.#items.push({ kind: 'recording', start: this.#offset });
    this.#isRepeated = true;
    this.#headBytes = 0;
    this.#phase = 'start';
    [this.#timestampScale, this.#tracks] = [null, null];
    this.#knowHeader();
    [this.#segmentEnd, this.#clusterEnd] = [Infinity, Infinity];
    [this.#clusterTicks, this.#blockTicks] = [null, null];
    return 0;
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
      beforeTicks: this.#blockTicks,
      start: this.#offset,
      end: this.#offset + whole,
    };
    const read = id === Id.SimpleBlock ? readSimpleBlock : readBlockGroup;
    const frame = read(bytes, at, end, place);
    if (frame === null) return this.#damaged('invalid-block', 'a block that cannot be read', whole);
    if (this.#leftOut.has(frame.track)) return;
    if (!this.#trackNumbers.has(frame.track)) {
      return this.#damaged('unknown-track', `a frame of track ${frame.track}, which the header does not name`, whole);
    }
    this.#blockTicks = frame.relativeTicks;
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
    const isTrack = (track: number): boolean => this.#trackNumbers.has(track) || this.#leftOut.has(track);
    const { at, verdict } = findStart(bytes, from, end, isTrack, this.#maxElement);
    if (at > from) return at - from;
    if (typeof verdict === 'number') return -verdict;
    if (verdict === 'head') return this.#beginAnother();
    this.#phase = 'segment';
    this.#items.push({ kind: 'resynced', start: this.#offset });
    return 0;
  }

  /** One element's content is unsound, but its end is known: what follows is read on. */
  #damaged(code: WebmErrorCode, message: string, whole: number): void {
    const error = new WebmError(code, message, this.#offset);
    this.#items.push({ kind: 'damage', error, start: this.#offset, end: this.#offset + whole });
  }

  /** The stream's structure is lost here: the next Cluster must be searched. */
  #lost(code: WebmErrorCode, message: string): number {
    const error = new WebmError(code, message, this.#offset);
    this.#items.push({ kind: 'damage', error, start: this.#offset, end: null });
    if (this.#header === null && !this.#isRepeated) {
      this.#phase = 'failed';
      this.#failed = error;
      return 0;
    }
    // Where the Segment was to end is no longer to be trusted either.
    this.#segmentEnd = Infinity;
    this.#phase = 'search';
    // A Cluster in the wrong place (its forerunner lied about its size) is itself the next one.
    return code !== 'invalid-element' && this.#head.id === Id.Cluster ? 0 : 1;
  }
}

const tracksOf = ({ tracks, leftOut = [] }: PartHeader): ReadTracks => ({ tracks, leftOut });
