import { decodeChunksRecord, isRecordFault } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import type { Track } from './core/index.ts'
import type { Fallback } from './stored-checkpoints.ts'
import { instruments } from './telemetry.ts'
import { isChunk, type TrackContent } from './track-entry.ts'
import { orUnwritable, Unwritable } from './unwritable.ts'
import type { WriterDeps } from './writer-deps.ts'

export interface ReadBackOptions {
  /**
   * Offset of the first record that is delivered to the track anyway: the end if the damaged checkpoint's own is not
   * known.
   */
  readonly before: bigint
  /** Offsets of records that make the track fail; they are skipped. */
  readonly unwritable: ReadonlySet<bigint>
  /** Processes the records that the track has taken, without a commit. If set, it is called after each record. */
  readonly tryWork?: () => Promise<void>
}

/** A record that makes the track fail, and the reason. */
export interface UnwritableRecord {
  readonly record: KafkaRecord
  readonly content: TrackContent
  readonly error: Unwritable
}

/**
 * Restores to a track that fell back to an earlier checkpoint the records of the damaged one, as far as Kafka still has
 * them: it keeps an hour behind the group's offset. These are the records of one commit. The rest is a hole, which its
 * client is asked for.
 * @returns with `tryWork`, the first record that makes the track fail: load the track again and skip that record;
 *   otherwise null
 */
export async function readBack(deps: WriterDeps, track: Track, fallback: Fallback, { before, unwritable, tryWork }: ReadBackOptions): Promise<UnwritableRecord | null> {
  const { file, damaged, used, from } = fallback
  const to = fallback.to ?? before
  const found: { record: KafkaRecord; content: TrackContent }[] = []
  const first = await deps.readBack(from, to, (record) => {
    const content = contentOf(record, track)
    if (content !== null && !unwritable.has(record.offset)) found.push({ record, content })
  })
  for (const { record, content } of found) {
    try {
      orUnwritable(() => void (isChunk(content) ? track.takeChunk(content, deps.clock.now()) : track.declare(content)))
      if (tryWork === undefined) continue
      track.releaseHeld()
      await tryWork()
    } catch (error) {
      if (tryWork === undefined || !(error instanceof Unwritable)) throw error
      return { record, content, error }
    }
  }
  // Nothing would bring again what is held now, so the next commit is to have it.
  track.releaseHeld()
  instruments.damaged.add(1, { kind: 'checkpoint' })
  const facts = { file, checkpoint: damaged, used, records: found.length, from: String(from), to: String(to) }
  if (first <= from) deps.logger.error(facts, 'checkpoint damaged: restored from the one before it and from Kafka, nothing is lost')
  else deps.logger.error({ ...facts, missingTo: String(first) }, 'checkpoint damaged: Kafka lacks some of its records, chunks among these offsets become a gap')
  return null
}

function contentOf(record: KafkaRecord, { session, name }: Track): TrackContent | null {
  if (record.key !== session) return null
  const content = decodeChunksRecord({ key: record.key, value: record.value, headers: { ...record.headers } })
  if (isRecordFault(content) || !('track' in content) || content.track !== name) return null
  return content
}
