interface Waiting {
  /** Everything up to this offset shall be committed. */
  readonly upTo: bigint
  /** Also what waits for a hole to be filled. */
  readonly behindHoles: boolean
  readonly resolve: () => void
}

/** Who waits until all that a track had at some time is committed. */
export class Settling {
  #waiting: Waiting[] = []

  get isAwaited(): boolean {
    return this.#waiting.length > 0
  }

  /** Whether somebody waits for what stands behind a hole, too: then it is not held any longer. */
  get isAwaitedBehindHoles(): boolean {
    return this.#waiting.some(({ behindHoles }) => behindHoles)
  }

  until(upTo: bigint, behindHoles: boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ upTo, behindHoles, resolve }))
  }

  /** Tells those for whom nothing is open any more. */
  tell(isOpen: (upTo: bigint, behindHoles: boolean) => boolean): void {
    this.#waiting = this.#waiting.filter(({ upTo, behindHoles, resolve }) => {
      if (isOpen(upTo, behindHoles)) return true
      resolve()
      return false
    })
  }
}
