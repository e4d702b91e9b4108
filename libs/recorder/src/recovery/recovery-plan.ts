import type { SeqRange } from '@longtake/contracts'
import type { SpooledChunk } from '../upload/chunk-queue.ts'
import type { LostRange } from '../spool/lost-ranges.ts'
import { contains, runsOf, without } from '../ranges.ts'
import type { ChunkRecord, ClientRecord, PartRecord } from '../spool/spool-database.ts'

/** What is left to do for a part whose page is gone. */
export interface RestoredPart extends Pick<PartRecord, 'track' | 'part' | 'mimeType' | 'startedAt' | 'opened'> {
  acknowledged: SeqRange[]
  /** To be sent, in the order of their seq. */
  chunks: SpooledChunk[]
  lost: LostRange[]
  closed: { chunks: number; clean: boolean }
}

/**
 * Data outweighs what was noted: a chunk that is here and not acknowledged is sent. What should be here and is not was
 * taken from the store, since chunks come into it in the order of their seq. How far a part that was not closed went
 * on is unknown: its length is what is known, and its tail is not proven.
 * @param chunks of this part, in the order of their seq
 */
export function restorePart(record: PartRecord, chunks: readonly ChunkRecord[]): RestoredPart {
  const { track, part, mimeType, startedAt, opened, acknowledged } = record
  const waiting = chunks.filter(({ seq }) => !contains(acknowledged, seq))
  const here = runsOf(waiting.map(({ seq }) => seq))
  const noted = record.lost.flatMap((range) => without([range.from, range.to], [...here, ...acknowledged]).map(([from, to]) => ({ ...range, from, to })))
  const known = [...acknowledged, ...here, ...noted.map(({ from, to }): SeqRange => [from, to])]
  const length = record.closed?.chunks ?? Math.max(0, ...known.map(([, to]) => to + 1))
  const gone = length === 0 ? [] : without([0, length - 1], known).map(([from, to]): LostRange => ({ from, to, cause: 'spool-cleared', declared: false }))
  return {
    track,
    part,
    mimeType,
    startedAt,
    opened,
    acknowledged,
    chunks: waiting.map(({ seq, bytes, capturedAt }) => ({ seq, bytes, capturedAt })),
    lost: [...noted, ...gone].toSorted((a, b) => a.from - b.from),
    closed: record.closed ?? { chunks: length, clean: false },
  }
}

/**
 * Whether what a recorder left is the session's end: its stop was asked for, and nobody went on with the session on this
 * computer. Who did says himself when it is over; until then its pauses must not look like the end.
 * @param all who left something here, and who is recording
 */
export function endsSession({ session, startedAt, stopped }: ClientRecord, all: readonly ClientRecord[]): boolean {
  return stopped && !all.some((other) => other.session === session && other.startedAt > startedAt && !other.stopped)
}
