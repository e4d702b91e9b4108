import type { ChunkRecord, ParkedReason } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import type { Taken, TrackDeclaration } from './core/index.ts'

export type TrackContent = ChunkRecord | TrackDeclaration

/** A record that no commit covers yet. */
export interface Entry {
  readonly record: KafkaRecord
  readonly content: TrackContent
  readonly receivedAt: number
}

/**
 * What a record takes in memory beside its value until it is committed: the record, what was read from it and its place in the
 * lists. Measured with chunks of one byte: 0.8 to 1 KiB.
 */
export const RECORD_OVERHEAD_BYTES = 1024

/** What an entry holds in memory. */
export const bytesHeldBy = ({ record }: Entry): number => (record.value?.length ?? 0) + RECORD_OVERHEAD_BYTES
/** Media in it, bytes. */
export const sizeOf = (content: TrackContent): number => (isChunk(content) ? content.payload.length : 0)
export const isChunk = (content: TrackContent): content is ChunkRecord => 'kind' in content

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
