import type { Findings } from './findings.ts'
import { lengthOf, missingRanges } from './ledger.ts'
import type { RecordedPart } from './recorder-output.ts'

/** A gap as status and manifest tell it. Times are on the file's timeline. */
export interface ReportedGap {
  from: number
  to: number
  kind: 'lost' | 'undecodable' | 'not-recorded'
  startMs: number | null
  endMs: number | null
}

interface PartWithGaps {
  part: string
  /** What may be expected in the file. */
  present: ReadonlyMap<number, Uint8Array>
  /** What certainly came. */
  acknowledged: ReadonlyMap<number, Uint8Array>
  length?: number
  gaps?: readonly ReportedGap[]
}

const touches = (gap: ReportedGap, from: number, to: number): boolean => gap.kind !== 'not-recorded' && gap.from <= to && gap.to >= from

/** That every missing chunk is told of and nothing else is said to be lost. Returns how many chunks are missing untold. */
export function checkGaps({ part, present, acknowledged, length, gaps = [] }: PartWithGaps, findings: Findings): number {
  let untold = 0
  for (const { from, to } of missingRanges(present, Math.max(length ?? 0, lengthOf(present)))) {
    const open = Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((seq) => !gaps.some((gap) => touches(gap, seq, seq)))
    const [first] = open
    if (first === undefined) continue
    untold += open.length
    findings.add('gap-undeclared', `chunk ${first} of part ${part} never came (${open.length} in chunks ${from}–${to}), and no gap says so`, {
      part, chunks: [first, open.at(-1) as number], count: open.length,
    })
  }
  for (const gap of gaps) {
    if (gap.kind !== 'lost') continue
    const there = [...acknowledged.keys()].filter((seq) => touches(gap, seq, seq)).toSorted((a, b) => a - b)
    const [first] = there
    if (first !== undefined) {
      findings.add('gap-over-data', `chunks ${gap.from}–${gap.to} of part ${part} are said to be lost; ${there.length} of them were acknowledged`, {
        part, chunks: [first, there.at(-1) as number], count: there.length,
      })
    }
  }
  return untold
}

/** That what came, but cannot be played because of a hole, is told of by chunk or by time. `shift`: see `shiftOf`. */
export function checkUndecodable({ part, gaps = [], recorded, shift }: { part: string; gaps?: readonly ReportedGap[]; recorded: RecordedPart; shift: number | null }, findings: Findings): void {
  const overTime = (timeMs: number): boolean => gaps.some(({ kind, startMs, endMs }) => kind !== 'not-recorded' && startMs !== null && endMs !== null && startMs <= timeMs && timeMs <= endMs)
  const untold = new Set<number>()
  for (const { from, to } of recorded.skipped) {
    const neighbourTold = gaps.some((gap) => gap.startMs !== null && gap.endMs !== null && touches(gap, from - 1, to + 1))
    if (neighbourTold) continue
    for (let seq = from; seq <= to; seq += 1) if (!gaps.some((gap) => touches(gap, seq, seq))) untold.add(seq)
  }
  for (const { chunks: [from, to], timeMs } of recorded.dropped) {
    if (!gaps.some((gap) => touches(gap, from, to)) && !(shift !== null && overTime(timeMs + shift))) untold.add(from)
  }
  if (untold.size === 0) return
  const seqs = [...untold].toSorted((a, b) => a - b)
  findings.add('gap-undeclared', `chunks ${seqs.slice(0, 10).join(', ')} of part ${part} came, but cannot (wholly) be played because of a hole, and no gap says so`, {
    part, chunks: [seqs[0] as number, seqs.at(-1) as number], count: seqs.length,
  })
}
