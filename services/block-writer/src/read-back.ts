import { decodeChunksRecord, isRecordFault } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import type { Track } from './core/index.ts'
import type { Fallback } from './stored-checkpoints.ts'
import { instruments } from './telemetry.ts'
import { isChunk, type TrackContent } from './track-entry.ts'
import { orUnwritable } from './unwritable.ts'
import type { WriterDeps } from './writer-deps.ts'

/**
 * Gives a track that fell back to an earlier checkpoint what the damaged one held, as far as Kafka still has it: an hour behind
 * the group's offset is kept. That is one commit's worth. The rest is a hole, of which its client is asked again.
 * @param before offset of the first record that the track will be given anyway: the end, where the damaged one's is not known
 */
export async function readBack(deps: WriterDeps, track: Track, fallback: Fallback, before: bigint): Promise<void> {
  const { file, damaged, used, from } = fallback
  const to = fallback.to ?? before
  let records = 0
  const first = await deps.readBack(from, to, (record) => {
    const content = contentOf(record, track)
    if (content === null) return
    records++
    orUnwritable(() => void (isChunk(content) ? track.takeChunk(content, deps.clock.now()) : track.declare(content)))
  })
  // Nothing would bring again what is held now, so the next commit is to have it.
  track.releaseHeld()
  instruments.damaged.add(1, { kind: 'checkpoint' })
  const facts = { file, checkpoint: damaged, used, records, from: String(from), to: String(to) }
  if (first <= from) deps.logger.error(facts, 'checkpoint damaged: restored from the one before it and from Kafka, nothing is lost')
  else deps.logger.error({ ...facts, missingTo: String(first) }, 'checkpoint damaged: Kafka lacks some of its records, chunks among these offsets become a gap')
}

function contentOf(record: KafkaRecord, { session, name }: Track): TrackContent | null {
  if (record.key !== session) return null
  const content = decodeChunksRecord({ key: record.key, value: record.value, headers: { ...record.headers } })
  if (isRecordFault(content) || !('track' in content) || content.track !== name) return null
  return content
}
