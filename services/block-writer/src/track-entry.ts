import type { ChunkRecord, ParkedReason } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import type { Taken, Track, TrackDeclaration } from './core/index.ts'

export type TrackContent = ChunkRecord | TrackDeclaration

/** A record that no commit covers yet. */
export interface Entry {
  readonly record: KafkaRecord
  readonly content: TrackContent
  readonly receivedAt: number
}

/** What an entry holds in memory; a declaration is small, but not nothing. */
export const sizeOf = (content: TrackContent): number => (isChunk(content) ? content.payload.length : 256)
export const isChunk = (content: TrackContent): content is ChunkRecord => 'kind' in content
export const isHeld = (track: Track, { content }: Entry): boolean => isChunk(content) && track.isHeld(content.part, content.seq)

export function reasonToPark(taken: Taken): { reason: ParkedReason; details: string } | null {
  switch (taken) {
    case 'other-content':
      return { reason: 'other-content', details: 'a chunk of the same identity with another digest is stored already' }
    case 'refused':
      return { reason: 'not-a-recording', details: 'its part is neither WebM, Matroska nor MP4' }
    case 'taken':
    case 'held':
    case 'duplicate':
      return null
    default:
      return taken satisfies never
  }
}
