/** The group had committed up to `offset` by `at` (milliseconds since the epoch). */
export interface CommitMark {
  readonly offset: bigint
  readonly at: number
}

/** How many marks stand for the time that records are kept: more would free disk hardly any sooner. */
const MARKS = 60

/**
 * Up to where one partition of a write-ahead log may be truncated: to an offset that the group has committed at least
 * `behindMs` ago. No I/O and no clock; all times are milliseconds since the epoch.
 */
export class TruncationPlan {
  readonly #behindMs: number
  readonly #markEveryMs: number
  /** Ascending in both fields, at most about {@link MARKS} of them. */
  #marks: CommitMark[] = []

  /**
   * @param committed where the group stands when the partition is taken up, committed at an unknown time before `now`
   * @param earlier the oldest mark of the owner before, so that hand-overs more often than every `behindMs` do not
   *   postpone truncation for ever
   */
  constructor(behindMs: number, committed: bigint, now: number, earlier?: CommitMark) {
    this.#behindMs = behindMs
    this.#markEveryMs = Math.max(1, Math.floor(behindMs / MARKS))
    // A mark of a clock that was ahead of ours must not hold up all others.
    if (earlier !== undefined && earlier.offset <= committed) this.#marks.push({ offset: earlier.offset, at: Math.min(earlier.at, now) })
    this.committed(committed, now)
  }

  /** The coordinator has taken a commit. */
  committed(offset: bigint, now: number): void {
    // An offset that an operator has set back: what lies behind it may be wanted again.
    while (this.#marks.length > 0 && this.#marks.at(-1)!.offset > offset) this.#marks.pop()
    const last = this.#marks.at(-1)
    if (last !== undefined && last.offset === offset) return
    // It is as true at the end of the interval as now, and so all commits of an interval share one mark.
    const at = Math.max(Math.ceil(now / this.#markEveryMs) * this.#markEveryMs, last?.at ?? 0)
    if (last?.at === at) this.#marks.pop()
    this.#marks.push({ offset, at })
  }

  /** Records before this offset may be deleted; undefined when there is nothing to do yet. */
  due(now: number): bigint | undefined {
    return this.#marks.findLast(({ at }) => at + this.#behindMs <= now)?.offset
  }

  /** For how long there has been something to delete. */
  overdueMs(now: number): number {
    const oldest = this.oldest
    return oldest === undefined ? 0 : Math.max(0, now - oldest.at - this.#behindMs)
  }

  /** Records before `offset` are deleted. */
  truncated(offset: bigint): void {
    this.#marks = this.#marks.filter((mark) => mark.offset > offset)
  }

  /** What the next owner has to know. */
  get oldest(): CommitMark | undefined {
    return this.#marks[0]
  }
}

/** A mark as the metadata of a committed offset carries it. */
export const encodeMark = ({ offset, at }: CommitMark): string => `truncate=${offset}@${at}`

/** Undefined for metadata of others, and of versions that do not know marks. */
export function decodeMark(metadata: string | null | undefined): CommitMark | undefined {
  const found = /^truncate=(\d{1,19})@(\d{1,15})$/.exec(metadata ?? '')
  return found === null ? undefined : { offset: BigInt(found[1]!), at: Number(found[2]) }
}
