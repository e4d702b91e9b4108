/** Below this nothing is moved to make room. */
const MIN_COMPACTED = 256

/** A queue whose first element leaves in constant time, however long it is. */
export class RecordQueue<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get first(): T | undefined {
    return this.#items[this.#head]
  }

  get last(): T | undefined {
    return this.#items.at(-1)
  }

  get isEmpty(): boolean {
    return this.#head === this.#items.length
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    const item = this.#items[this.#head]
    if (this.isEmpty) return undefined
    this.#items[this.#head++] = undefined
    // Each element is moved once at most for each that left.
    if (this.#head >= MIN_COMPACTED && 2 * this.#head >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** All of it, in order; then it is empty. */
  takeAll(): T[] {
    const all = this.toArray()
    this.#items = []
    this.#head = 0
    return all
  }

  toArray(): T[] {
    return this.#items.slice(this.#head) as T[]
  }
}
