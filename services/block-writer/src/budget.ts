/** Bytes that are received and in no commit yet, of a whole process. */
export class ByteBudget {
  readonly limit: number
  #used = 0
  readonly #listeners = new Set<() => void>()

  constructor(limit: number) {
    this.limit = limit
  }

  get used(): number {
    return this.#used
  }

  get exceeded(): boolean {
    return this.#used > this.limit
  }

  take(bytes: number): void {
    this.#change(bytes)
  }

  give(bytes: number): void {
    this.#change(-bytes)
  }

  /** Calls back whenever it begins or ends to be exceeded; returns the end of that. */
  onTurn(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #change(by: number): void {
    const before = this.exceeded
    this.#used += by
    if (before !== this.exceeded) for (const listener of this.#listeners) listener()
  }
}
