export interface CommitPolicy {
  /** From the first byte to the first commit, so that a recording can be watched soon. */
  readonly firstMs: number
  /** Longest time a byte stays uncommitted while a recording is young, and from `calmAfterMs` on. */
  readonly everyMs: number
  readonly calmEveryMs: number
  readonly calmAfterMs: number
  /** So many uncommitted bytes are committed at once; from `calmAfterMs` on more, where memory has room for them. */
  readonly maxBytes: number
  readonly calmMaxBytes: number
}

export const COMMIT_POLICY: CommitPolicy = {
  firstMs: 2_500,
  everyMs: 30_000,
  calmEveryMs: 60_000,
  calmAfterMs: 5 * 60_000,
  maxBytes: 4 * 1024 * 1024,
  // A minute at 1 Mbit/s: then the time decides, and a commit costs four write operations, whatever it holds.
  calmMaxBytes: 8 * 1024 * 1024,
}

export interface Uncommitted {
  /** When the oldest record that no commit covers was received, ms; null when there is none. */
  readonly since: number | null
  readonly bytes: number
  /** When the first chunk came of a part that no commit has media of, ms; null when there is no such part. */
  readonly unplayableSince: number | null
  /** How much of the recording is committed already. */
  readonly committedMs: number
  /** Whether memory has room for larger commits. */
  readonly roomy: boolean
  /** Something was said that is worth a commit of its own: a part closed, a session finished, its client left. */
  readonly asked: boolean
}

/** When the next commit is due, ms; null while there is nothing to commit. A time in the past means now. */
export function commitDueAt(policy: CommitPolicy, { since, bytes, unplayableSince, committedMs, roomy, asked }: Uncommitted): number | null {
  if (since === null) return null
  const isCalm = committedMs >= policy.calmAfterMs
  if (asked || bytes >= (isCalm && roomy ? policy.calmMaxBytes : policy.maxBytes)) return since
  const longestMs = isCalm ? policy.calmEveryMs : policy.everyMs
  // At most a third of a young recording is not playable yet: commits at about 2.5, 5, 7.5, 11, 17, 25, 38 and 57 s.
  const everyMs = Math.min(longestMs, Math.max(policy.firstMs, committedMs / 2))
  if (unplayableSince === null) return since + everyMs
  // Soon; ever less often where nothing becomes playable because the part's beginning is missing.
  return since + Math.min(longestMs, Math.max(policy.firstMs, since - unplayableSince))
}
