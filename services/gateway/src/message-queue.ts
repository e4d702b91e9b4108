/** Text frames on their way to a client that polls: kept until it says that it has received them. */
export class MessageQueue {
  readonly #maxBytes: number
  /** Number of the first one that is kept. */
  #first = 0
  #texts: string[] = []
  #bytes = 0

  /** @param maxBytes that may wait for a client that does not read */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Returns false if it is not taken in, because too much waits. */
  push(text: string): boolean {
    if (this.#bytes + text.length > this.#maxBytes) return false
    this.#texts.push(text)
    this.#bytes += text.length
    return true
  }

  /** The client has received so many in all. Returns false if there were never so many. */
  confirm(received: number): boolean {
    const known = received - this.#first
    if (known > this.#texts.length) return false
    if (known <= 0) return true
    for (const text of this.#texts.splice(0, known)) this.#bytes -= text.length
    this.#first = received
    return true
  }

  get isEmpty(): boolean {
    return this.#texts.length === 0
  }

  /** All that is kept, and the number of the first. */
  get waiting(): { first: number; texts: readonly string[] } {
    return { first: this.#first, texts: this.#texts }
  }
}
