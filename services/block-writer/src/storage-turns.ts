import PQueue from 'p-queue'

/**
 * So many tracks are loaded or committed at once. Each has about three requests under way, so these fill the window of
 * requests to the storage (128 at most) and little waits in its queue; what a track holds for its commit is bounded likewise.
 */
export const TRACKS_AT_ONCE = 64

/**
 * Lets the tracks of a process go to storage a bounded number at a time, whichever has waited longest first: when thousands
 * are handed over at once, none is later than it must be, and a storage that is behind gets no more work than it can do.
 */
export class StorageTurns {
  readonly #queue: PQueue

  constructor(tracksAtOnce: number = TRACKS_AT_ONCE) {
    this.#queue = new PQueue({ concurrency: tracksAtOnce })
  }

  /** Tracks whose turn has not come. */
  get waiting(): number {
    return this.#queue.size
  }

  /**
   * Runs `work` when its turn comes.
   * @param since when the oldest uncommitted byte was received, ms since the epoch: the oldest goes first
   */
  async take<T>(since: number, work: () => Promise<T>): Promise<T> {
    return this.#queue.add(work, { priority: -since })
  }
}
