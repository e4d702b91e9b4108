import { TOPICS } from './topics.ts'

/** Why a record is parked, and what whoever finds it there does. */
export const PARKED_REASONS = {
  'no-key': { means: 'its key is no session id', todo: 'find out what wrote it; it is none of ours' },
  'no-kind': { means: 'it has no kind header', todo: 'find out what wrote it; it is none of ours' },
  'unknown-kind': { means: 'a kind of record that this version does not know', todo: 'replay it once the version that wrote it runs everywhere' },
  'bad-header': { means: 'a header is missing or malformed', todo: 'replay it once a version runs that reads it' },
  'empty-chunk': { means: 'a chunk without bytes', todo: 'nothing is lost: a chunk has at least one byte' },
  'not-json': { means: 'its value is no JSON', todo: 'replay it once a version runs that reads it' },
  invalid: { means: 'its value does not fit its schema', todo: 'replay it once a version runs that reads it' },
  'other-content': {
    means: 'a chunk whose place is taken by other bytes: the first that came are in the file',
    todo: 'look for two recorders with one part id; replayed, it is parked again',
  },
  'not-a-recording': { means: 'a chunk of a part that is neither WebM, Matroska nor MP4', todo: 'look at what the client sent; replayed, it is parked again unless a later version knows its format' },
  unwritable: { means: 'block-writer fails over it every time, with storage and Kafka well', todo: 'its details have the error: deploy what mends it, then replay it' },
  'not-foldable': { means: 'completeness fails over an event', todo: 'its details have the error: deploy what mends it, then replay it' },
  mismatch: { means: 'a completed session is not what storage holds, so it has no manifest', todo: 'compare the blob with the status; replayed, finalizer looks again' },
  manifest: { means: 'the manifest that a status names is none', todo: 'look at that blob; replayed, remuxer reads it again' },
} as const satisfies Record<string, { means: string; todo: string }>

export type ParkedReason = keyof typeof PARKED_REASONS

/** Of chunks and declarations, these may be the only copy of what was acknowledged, to be written by a later version. */
const ONLY_COPY: ReadonlySet<ParkedReason> = new Set(['unwritable', 'unknown-kind', 'bad-header', 'not-json', 'invalid'])

/** Whether a record with the topic that it was read from may be the only copy of something acknowledged. */
export function isOnlyCopy(origin: string, reason: string): boolean {
  return reason === 'unwritable' || (origin === TOPICS.chunks.name && (ONLY_COPY as ReadonlySet<string>).has(reason))
}

/**
 * The topic in which a record is parked. What may be the only copy of something acknowledged stands apart, in
 * `recordings.unwritable`, where neither a size limit nor the load of others deletes it.
 * @param origin the topic that it was read from
 */
export function parkedTopicOf(origin: string, reason: ParkedReason): string {
  return isOnlyCopy(origin, reason) ? TOPICS.unwritable.name : TOPICS.parked.name
}
