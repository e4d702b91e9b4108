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
   * @param inherited marks of the owner before, ascending, so that hand-overs more often than every `behindMs` do not
   *   postpone truncation for ever
   */
  constructor(behindMs: number, committed: bigint, now: number, inherited: readonly CommitMark[] = []) {
    this.#behindMs = behindMs
    this.#markEveryMs = Math.max(1, Math.floor(behindMs / MARKS))
    // A mark of a clock that was ahead of ours must not hold up all others.
    this.#marks = inherited.filter(({ offset }) => offset <= committed).map(({ offset, at }) => ({ offset, at: Math.min(at, now) }))
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
    const oldest = this.#marks[0]
    return oldest === undefined ? 0 : Math.max(0, now - oldest.at - this.#behindMs)
  }

  /** Records before `offset` are deleted. */
  truncated(offset: bigint): void {
    this.#marks = this.#marks.filter((mark) => mark.offset > offset)
  }

  /**
   * What the next owner has to know, at most two marks: the newest that is due, as it may not be truncated here any
   * more, and the oldest that is not, as no commit may follow that could name it when the other one is truncated.
   */
  inheritance(now: number): CommitMark[] {
    const isDue = ({ at }: CommitMark): boolean => at + this.#behindMs <= now
    return [this.#marks.findLast(isDue), this.#marks.find((mark) => !isDue(mark))].filter((mark) => mark !== undefined)
  }
}

/** Marks as the metadata of a committed offset carries them: `truncate=12@1764054000000,40@1764054060000`. */
export const encodeMarks = (marks: readonly CommitMark[]): string => `truncate=${marks.map(({ offset, at }) => `${offset}@${at}`).join(',')}`

/** Empty for metadata of others, and of versions that do not know marks. */
export function decodeMarks(metadata: string | undefined): CommitMark[] {
  if (metadata === undefined || !/^truncate=\d{1,19}@\d{1,15}(,\d{1,19}@\d{1,15})?$/.test(metadata)) return []
  const marks = metadata.slice('truncate='.length).split(',').map((text) => text.split('@'))
  return marks.map(([offset = '0', at = '0']) => ({ offset: BigInt(offset), at: Number(at) }))
}
