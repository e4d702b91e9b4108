import { LOST_CAUSES, type FileState, type LostCause, type PartState, type SeqRange, type SessionState } from '@longtake/contracts'
import { endOf, firstSeqs, subtractRanges, toRanges } from './ranges.ts'

export interface PlacedPart {
  track: string
  file: FileState
  part: PartState
}

/** All known parts: by track name, then file, then in the order of the file. */
export function partsOf(state: Pick<SessionState, 'tracks'>): PlacedPart[] {
  return Object.keys(state.tracks)
    .sort()
    .flatMap((track) => state.tracks[track]!.files.flatMap((file) => file.parts.map((part) => ({ track, file, part }))))
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

/** Whether nothing more is to be waited for: its length is declared, and every hole in it is declared lost for good. */
export function isSettled(part: PartState): boolean {
  if (part.rejected !== null) return true
  return part.closed !== null && subtractRanges(holesOf(part), declaredLost(part, FOR_GOOD)).length === 0
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
