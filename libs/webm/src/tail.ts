/**
 * The unparsed end of what was pushed: the start of one element whose rest has not come.
 * It takes just the bytes that the next step asks for, so each byte is copied a fixed number of times at most,
 * and a frame may stay a view of it, because bytes in front of `start` are never written again.
 */
export class Tail {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  #wanted = 0;

  get length(): number {
    return this.end - this.start;
  }

  /** Bytes that are still missing for the next step. */
  get lacking(): number {
    return Math.max(0, this.#wanted - this.length);
  }

  /** Says how many bytes the next step needs. */
  want(bytes: number): void {
    this.#wanted = bytes;
  }

  /** Takes from `source`, at `at`, as much as is lacking and there; returns how many bytes that were. */
  fill(source: Uint8Array, at: number): number {
    const taken = Math.min(this.lacking, source.length - at);
    if (taken > 0) this.append(source.subarray(at, at + taken), this.#wanted);
    return taken;
  }

  append(source: Uint8Array, wanted: number): void {
    this.#wanted = wanted;
    const length = this.length + source.length;
    if (this.end + source.length > this.bytes.length) {
      // Doubling keeps many small pushes cheap; not beyond what is wanted, so that a lie about a size costs nothing.
      const grown = new Uint8Array(Math.max(length, Math.min(wanted, 2 * length)));
      grown.set(this.bytes.subarray(this.start, this.end));
      this.bytes = grown;
      this.end -= this.start;
      this.start = 0;
    }
    this.bytes.set(source, this.end);
    this.end += source.length;
  }

  drop(bytes: number): void {
    this.start += bytes;
    this.#wanted = 0;
    if (this.start < this.end) return;
    this.bytes = new Uint8Array(0);
    this.start = 0;
    this.end = 0;
  }

  copy(): Uint8Array {
    return this.bytes.slice(this.start, this.end);
  }
}
