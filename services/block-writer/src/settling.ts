import { RecordQueue } from './record-queue.ts'

interface Waiting {
  /** Everything up to this offset shall be committed. */
  readonly upTo: bigint
  readonly resolve: () => void
}

/** Who waits until all that a track had at some time is committed. */
export class Settling {
  /** By offset: nothing is open for the first ones first. */
  readonly #waiting = new RecordQueue<Waiting>()
  /** Those who also wait for what stands behind a hole. */
  readonly #waitingBehindHoles = new RecordQueue<Waiting>()

  get isAwaited(): boolean {
    return !this.#waiting.isEmpty || this.isAwaitedBehindHoles
  }

  /** Whether somebody waits for what stands behind a hole, too: then it is not held any longer. */
  get isAwaitedBehindHoles(): boolean {
    return !this.#waitingBehindHoles.isEmpty
  }

  /** @param upTo the last offset that is open now: what comes later has a higher one */
  until(upTo: bigint, behindHoles: boolean): Promise<void> {
    const queue = behindHoles ? this.#waitingBehindHoles : this.#waiting
    return new Promise((resolve) => queue.push({ upTo, resolve }))
  }

  /** Tells those for whom nothing is open any more. */
  tell(isOpen: (upTo: bigint, behindHoles: boolean) => boolean): void {
    for (const behindHoles of [false, true]) {
      const queue = behindHoles ? this.#waitingBehindHoles : this.#waiting
      for (let { first } = queue; first !== undefined && !isOpen(first.upTo, behindHoles); { first } = queue) {
        queue.shift()
        first.resolve()
      }
    }
  }
}
