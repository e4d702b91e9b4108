import { WebmError } from './errors.ts';
import { StreamGrammar } from './grammar.ts';
import type { ReaderLimits, ReaderState, ReadItem } from './reader-items.ts';
import { Tail } from './tail.ts';
import { unpackHeader } from './tracks.ts';
import type { PartHeader } from './tracks.ts';

const DEFAULT_MAX_ELEMENT = 32 * 1024 * 1024;

/**
 * Reads one part's byte stream, however it is cut, and never looks at a byte twice.
 * Memory: views of what was pushed, plus at most one element that is not whole yet.
 * Nothing is thrown for bad bytes: they come out as `damage`. Without a header nothing can follow, so then `failed` is set.
 */
export class StreamReader {
  readonly #grammar: StreamGrammar;
  readonly #tail = new Tail();

  constructor(limits: ReaderLimits = {}) {
    this.#grammar = new StreamGrammar(limits.maxElementBytes ?? DEFAULT_MAX_ELEMENT);
  }

  /** Goes on from `state()`; `tail` is copied. Throws `invalid-state`. */
  static resume(state: ReaderState, tail: Uint8Array, limits: ReaderLimits = {}): StreamReader {
    const reader = new StreamReader(limits);
    reader.#grammar.restore(state);
    reader.#tail.append(tail, tail.length);
    return reader;
  }

  /**
   * A reader for what follows a hole: it knows the part's header (or a state that has one), starts at stream offset
   * `offset` and drops bytes until the next real Cluster. Throws `header-missing` when a state has no header yet:
   * such bytes must wait for the part's start.
   */
  static resync(known: PartHeader | ReaderState, offset: number, limits: ReaderLimits = {}): StreamReader {
    const header = 'tracks' in known ? known : known.header === null ? null : unpackHeader(known.header);
    if (header === null) throw new WebmError('header-missing', "the part's header is not known yet", offset);
    const reader = new StreamReader(limits);
    reader.#grammar.search(header, offset);
    return reader;
  }

  /** Offset up to which all bytes became items or were rightly dropped; the rest is the tail. */
  get consumedOffset(): number {
    return this.#grammar.offset;
  }

  /** Bytes that wait for the rest of their element. */
  get tailLength(): number {
    return this.#tail.length;
  }

  /** Null until Info and Tracks have been read. */
  get header(): PartHeader | null {
    return this.#grammar.header;
  }

  /** Whether the reader is still looking for a Cluster after a hole or damage. */
  get searching(): boolean {
    return this.#grammar.searching;
  }

  /** Why nothing more can be read, null as long as it can. */
  get failed(): WebmError | null {
    return this.#grammar.failed;
  }

  /** Takes the next bytes of the stream. The caller must not change them afterwards: frames are views of them. */
  push(bytes: Uint8Array): readonly ReadItem[] {
    const tail = this.#tail;
    let at = 0;
    while (this.#grammar.failed === null) {
      if (tail.length > 0) {
        at += tail.fill(bytes, at);
        if (tail.lacking > 0) break;
        const used = this.#grammar.take(tail.bytes, tail.start, tail.end);
        if (used < 0) tail.want(-used);
        else tail.drop(used);
      } else {
        if (at >= bytes.length) break;
        const used = this.#grammar.take(bytes, at, bytes.length);
        if (used < 0) {
          tail.append(bytes.subarray(at), -used);
          break;
        }
        at += used;
      }
    }
    return this.#grammar.items();
  }

  /** A snapshot to go on from at any byte. `tail` is a copy. */
  state(): { readonly state: ReaderState; readonly tail: Uint8Array } {
    return { state: this.#grammar.state(), tail: this.#tail.copy() };
  }
}
