import { hash } from 'node:crypto'
import { chunksOf, isNews, rawLength, type Checkpoint, type Part, type RawPiece, type Track, type TrackDeclaration } from './core/index.ts'

/**
 * Gives a track what the last checkpoint of a file without a blob holds and an earlier one does not: declarations and pending chunks.
 * Whether that commit was made is not known, but those are as they came either way. Its media is not taken: it was in the blob, or
 * Kafka still has its chunks. At most one commit's chunks are read. Returns the names of the pending blobs that were used.
 * @param read the bytes of a pending blob; null where they are not there as they were written
 */
export async function takeOver(track: Track, { parts }: Checkpoint, now: number, read: (blob: string, length: number) => Promise<Uint8Array | null>): Promise<string[]> {
  const used: string[] = []
  for (const part of parts) {
    for (const declaration of declarationsOf(track, part)) {
      const known = track.part(part.id)
      if (known === undefined || isNews(known, declaration)) track.declare(declaration)
    }
    for (const piece of pendingOf(part)) {
      const known = track.part(part.id)
      if (piece.blob === null || piece.lengths.every((_, i) => known?.has(piece.from + i))) continue
      const bytes = await read(piece.blob, rawLength(piece))
      if (bytes === null) continue
      used.push(piece.blob)
      for (const { seq, bytes: payload, capturedAt } of chunksOf(piece, bytes)) {
        const { session, name } = track
        const sha256 = hash('sha256', payload, 'hex')
        track.takeChunk({ kind: 'chunk', session, track: name, part: part.id, client: part.client ?? '', seq, sha256, capturedAt: capturedAt ?? part.capturedTo ?? now, payload }, now)
      }
    }
  }
  track.releaseHeld()
  return used
}

const pendingOf = ({ runs }: Part): RawPiece[] => runs.flatMap(({ raw, unfed, kept }) => [...raw, ...unfed, ...kept])

function declarationsOf({ session, name }: Track, part: Part): TrackDeclaration[] {
  const of = { session, track: name, part: part.id, at: '' }
  const { client, mimeType, startedAt, closed, lost } = part
  const declarations: TrackDeclaration[] = lost.map((range) => ({ type: 'chunks-lost', ...of, ...range }))
  if (client !== null && mimeType !== null && startedAt !== null) declarations.unshift({ type: 'part-opened', ...of, client, mimeType, startedAt })
  if (closed !== null) declarations.push({ type: 'part-closed', ...of, ...closed })
  return declarations
}
