/** What a client knows of one part: what it made, what was acknowledged, what it declared. */
export interface PartLedger {
  readonly track: string
  readonly part: string
  readonly mimeType: string
  /** ISO 8601, as declared by `open`. */
  readonly startedAt: string
  /** Every chunk ever handed to the client, acknowledged or not. */
  readonly made: Map<number, Uint8Array>
  /** Chunks for which an `ack` came. These may never be missing from a result. */
  readonly acknowledged: Map<number, Uint8Array>
  /** Declared by `close`, once that was sent. */
  closed: { chunks: number; clean: boolean } | null
  /** Declared by `lost`, other than `already-acknowledged`. */
  readonly lost: { from: number; to: number; cause: string }[]
}

export function newLedger(part: Pick<PartLedger, 'track' | 'part' | 'mimeType' | 'startedAt'>): PartLedger {
  return { ...part, made: new Map(), acknowledged: new Map(), closed: null, lost: [] }
}

/** One more than the highest seq present: how long a part is as far as these tell. */
export function lengthOf(present: ReadonlySet<number> | ReadonlyMap<number, unknown>): number {
  let length = 0
  for (const seq of present.keys()) length = Math.max(length, seq + 1)
  return length
}

/** Seqs below `length` (or below the highest one present) that are not in `present`, as inclusive ranges. */
export function missingRanges(present: ReadonlySet<number> | ReadonlyMap<number, unknown>, length = lengthOf(present)): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = []
  for (let seq = 0; seq < length; seq += 1) {
    if (present.has(seq)) continue
    const last = ranges.at(-1)
    if (last !== undefined && last.to === seq - 1) last.to = seq
    else ranges.push({ from: seq, to: seq })
  }
  return ranges
}
