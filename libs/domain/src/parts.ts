import { LOST_CAUSES, type FileState, type LostCause, type PartState, type SeqRange, type SessionState } from '@longtake/contracts'
import type { Awaited } from './patience.ts'
import { filesOf } from './session.ts'
import { endOf, firstSeqs, intersectRanges, subtractRanges, toRanges } from './ranges.ts'

export interface PlacedPart {
  track: string
  file: FileState
  part: PartState
}

/**
 * All known parts: by track name, then file, then in the order of the file. A part that found its place in another file
 * may still stand in the state of the one before; it counts once, as the state that knows most of it says.
 */
export function partsOf(state: Pick<SessionState, 'tracks'>): PlacedPart[] {
  return Object.keys(state.tracks)
    .sort()
    .flatMap((track) => {
      const placed = filesOf(state, track).flatMap((file) => file.parts.map((part) => ({ track, file, part })))
      const best = new Map<string, PlacedPart>()
      for (const one of placed) {
        const other = best.get(one.part.part)
        if (other === undefined || knowsMore(one.part, other.part)) best.set(one.part.part, one)
      }
      return placed.filter((one) => best.get(one.part.part) === one)
    })
}

/** Of two states of one part. All of these only ever grow; on a tie the later file has it. */
function knowsMore(a: PartState, b: PartState): boolean {
  const ranks = (part: PartState): number[] => [part.chunks, part.closed === null ? 0 : 1, part.lost.length, part.startMs === null ? 0 : 1]
  const [of, than] = [ranks(a), ranks(b)]
  const differing = of.findIndex((rank, i) => rank !== than[i])
  return differing < 0 || of[differing]! > than[differing]!
}

/** How many chunks the part is known to have: by its close, by what is stored, and by what was declared lost. */
export function knownChunks({ closed, stored, lost }: PartState): number {
  return lost.reduce((end, { to }) => Math.max(end, to + 1), Math.max(closed?.chunks ?? 0, endOf(stored)))
}

/** Chunks that are known to have been and are not stored. Worked out here, not believed. */
export const holesOf = (part: PartState): SeqRange[] => subtractRanges(firstSeqs(knownChunks(part)), part.stored)

/** What was declared lost for one of the causes. */
export function declaredLost({ lost }: PartState, causes: readonly LostCause[]): SeqRange[] {
  return toRanges(lost.filter(({ cause }) => causes.includes(cause)).map(({ from, to }) => [from, to]))
}
const FOR_GOOD = LOST_CAUSES.filter((cause) => cause !== 'already-acknowledged')

/** Whether nothing of it is waited for: its length is declared and every hole declared lost for good, or what is open is not awaited. */
export function isSettled(part: PartState, awaited: Awaited): boolean {
  if (part.rejected !== null || awaited === 'nothing') return true
  const open = subtractRanges(holesOf(part), declaredLost(part, FOR_GOOD))
  if (awaited === 'acknowledged') return intersectRanges(open, declaredLost(part, ['already-acknowledged'])).length === 0
  return part.closed !== null && open.length === 0
}

/** Whether every chunk of the part, up to a declared and credible last one, is stored and playable. */
export function isWhole(part: PartState): boolean {
  const { rejected, closed, undecodable } = part
  if (rejected !== null || closed === null || !closed.clean) return false
  return closed.chunks === knownChunks(part) && holesOf(part).length === 0 && undecodable.length === 0
}

/** Parts that `finish` names and of which nothing else is known. */
export function unseenParts(state: Pick<SessionState, 'tracks' | 'finish'>): { track: string; part: string }[] {
  const seen = new Set(partsOf(state).map(({ track, part }) => `${track} ${part.part}`))
  return Object.entries(state.finish?.parts ?? {}).flatMap(([track, parts]) =>
    [...new Set(parts)].filter((part) => !seen.has(`${track} ${part}`)).map((part) => ({ track, part })),
  )
}
