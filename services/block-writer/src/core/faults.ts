import type { Ranges } from '@longtake/domain'
import { toRanges } from '@longtake/domain'

/**
 * Why bytes that came are not in the output. `broken-content`: they are no sound element. `no-keyframe`: pictures that
 * need one that is not there. `time-backwards`: they would lie over earlier media. `other-recording`: another recording
 * within the part, with tracks that its file cannot hold. `truncated`: an MP4 that ends within a fragment.
 * `no-init-segment`: an MP4 that continues in a later file while its init segment is not known. `no-media`: no frame at
 * all.
 */
export type FaultCause = 'broken-content' | 'no-keyframe' | 'time-backwards' | 'other-recording' | 'truncated' | 'no-init-segment' | 'no-media'

/** A time in which something cannot be shown, in ms of the part's own time; null where nothing tells it. */
export interface Fault {
  readonly cause: FaultCause
  readonly startMs: number | null
  readonly endMs: number | null
}

/** A fault with the chunks that it is in. */
export interface ChunkFault extends Fault {
  readonly from: number
  readonly to: number
}

/** The same list with a fault of chunk `seq` in it: one that went on from the chunk before grows. `from` is where its element began. */
export function withFault(faults: readonly ChunkFault[], fault: Fault, from: number, seq: number): readonly ChunkFault[] {
  const last = faults.at(-1)
  if (last !== undefined && last.to >= seq - 1 && last.endMs === null && last.startMs === fault.startMs && last.cause === fault.cause) {
    return [...faults.slice(0, -1), { ...last, to: seq, endMs: fault.endMs }]
  }
  return [...faults, { ...fault, from, to: seq }]
}

/** Sorted, and one for those that share chunks: they cannot be told apart by them. */
export function mergedFaults(faults: readonly ChunkFault[]): ChunkFault[] {
  const merged: ChunkFault[] = []
  for (const fault of faults.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const last = merged.at(-1)
    if (last === undefined || fault.from > last.to) {
      merged.push(fault)
      continue
    }
    const startMs = last.startMs === null || fault.startMs === null ? null : Math.min(last.startMs, fault.startMs)
    const endMs = last.endMs === null || fault.endMs === null ? null : Math.max(last.endMs, fault.endMs)
    merged[merged.length - 1] = { ...last, to: Math.max(last.to, fault.to), startMs, endMs }
  }
  return merged
}

export const faultRanges = (faults: readonly ChunkFault[]): Ranges => toRanges(faults.map(({ from, to }) => [from, to]))
