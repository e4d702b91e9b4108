import PQueue from 'p-queue'

/** Of one commit, beside each other. */
const AT_ONCE = 8

/** Requests of one commit that may run side by side, a few at a time. Once one has failed, no more begin. */
export class Writing implements AsyncDisposable {
  readonly #queue = new PQueue({ concurrency: AT_ONCE })
  #failure: { readonly error: unknown } | null = null

  /** Begins `write` as soon as there is room; waits for that, so that no more than a few bodies are in memory. */
  async add(write: () => Promise<void>): Promise<void> {
    await this.#queue.onSizeLessThan(1)
    this.#throwFailure()
    void this.#queue.add(write).catch((error: unknown) => {
      this.#failure ??= { error }
      this.#queue.clear()
    })
  }

  /** Resolves when all are done; throws what the first that failed threw. */
  async done(): Promise<void> {
    await this.#queue.onIdle()
    this.#throwFailure()
  }

  /** Whatever has begun has ended before anything else is done with the track. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.onIdle()
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}
