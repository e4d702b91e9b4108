import { NO_EPOCH } from '../protocol.ts'

/** From `offset` on records are of this leader epoch. */
export interface EpochStart {
  readonly offset: bigint
  readonly leaderEpoch: number
}

/**
 * Leader epochs of what was read of one partition and is not committed yet: a commit carries the epoch of the record before its
 * offset, so that whoever goes on from there can ask whether the log still holds that record (KIP-320). Pure.
 */
export class EpochHistory {
  #starts: EpochStart[]

  /** @param leaderEpoch of the record before the first offset, or {@link NO_EPOCH} */
  constructor(leaderEpoch: number) {
    this.#starts = [{ offset: -1n, leaderEpoch }]
  }

  /** The epochs of records behind all that was added before. */
  add(starts: readonly EpochStart[]): void {
    for (const start of starts) if (start.leaderEpoch !== this.#starts.at(-1)!.leaderEpoch) this.#starts.push(start)
  }

  /** The epoch of the record before `offset`. */
  before(offset: bigint): number {
    return this.#starts.findLast((start) => start.offset < offset)?.leaderEpoch ?? NO_EPOCH
  }

  /** Forgets what no offset from this one on needs. */
  dropBefore(offset: bigint): void {
    const needed = this.#starts.findLastIndex((start) => start.offset < offset)
    if (needed > 0) this.#starts = this.#starts.slice(needed)
  }
}
