import { HEADERS, parkedTopicOf, TOPICS, type ParkedReason } from '@longtake/contracts'
import type { KafkaRecord, OutgoingRecord } from './record.ts'

/** Added to the headers of a parked record; with them a command can send it to where it came from. */
export const PARKED_HEADERS = {
  reason: 'parked-reason',
  /** A sentence for people. */
  details: 'parked-details',
  group: 'parked-group',
  topic: 'parked-topic',
  partition: 'parked-partition',
  offset: 'parked-offset',
  /** ISO 8601. */
  at: 'parked-at',
  /** ISO 8601; only on a mark: what was parked of this origin before the mark has been sent back. */
  replayed: 'parked-replayed',
} as const

/** An error's message may hold anything; the record must still fit. */
const MAX_DETAILS = 2000

/** What the headers of a parked record take at most: three bytes for a character, and names. */
export const PARKING_BYTES = 8 * 1024

/** Where a parked record was read, and by whom. A record may be parked several times: after a crash, or by two groups. */
export interface ParkedOrigin {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

export interface ParkedNote extends ParkedOrigin {
  /** One of {@link ParkedReason}, or of another version's. */
  readonly reason: string
  readonly details: string
  /** ISO 8601; empty where it is not known. */
  readonly at: string
}

/** The topics that hold parked records, see {@link parkedTopicOf}. */
export const PARKED_TOPICS: readonly string[] = [TOPICS.parked.name, TOPICS.unwritable.name]

/** What the headers say of a parked record; null for one that this library has not parked. */
export function parkedNote({ headers }: Pick<KafkaRecord, 'headers'>): ParkedNote | null {
  const { [PARKED_HEADERS.topic]: topic, [PARKED_HEADERS.partition]: partition, [PARKED_HEADERS.offset]: offset } = headers
  if (!topic || !isDecimal(partition) || !isDecimal(offset)) return null
  return {
    group: headers[PARKED_HEADERS.group] ?? '',
    topic,
    partition: Number(partition),
    offset: BigInt(offset),
    reason: headers[PARKED_HEADERS.reason] ?? '',
    details: headers[PARKED_HEADERS.details] ?? '',
    at: headers[PARKED_HEADERS.at] ?? '',
  }
}

/** Whether it says of an origin that what was parked of it so far has been sent back. */
export const isReplayedMark = ({ headers }: Pick<KafkaRecord, 'headers'>): boolean => PARKED_HEADERS.replayed in headers

/** The copy to be parked: as it is, in the same partition, with the reason in the headers. */
export function toParked(record: KafkaRecord, group: string, why: { reason: ParkedReason; details: string }, at: string): OutgoingRecord {
  const { topic, partition, offset } = record
  const note = noteHeaders({ group, topic, partition, offset })
  return {
    ...outgoing(record, parkedTopicOf(topic, why.reason)),
    headers: { ...record.headers, ...note, [PARKED_HEADERS.reason]: why.reason, [PARKED_HEADERS.details]: why.details.slice(0, MAX_DETAILS), [PARKED_HEADERS.at]: at },
    timestamp: record.timestamp,
  }
}

/**
 * The record as it was before it was parked, for its topic. Without its time, by which the topic would delete it soon, and
 * without the name of a status's writer: a status that is sent by somebody else is compared with what completeness knows.
 */
export function toReplayed(record: KafkaRecord, { topic }: ParkedOrigin): OutgoingRecord {
  const added = new Set<string>([...Object.values(PARKED_HEADERS), ...(topic === TOPICS.status.name ? [HEADERS.writer] : [])])
  return { ...outgoing(record, topic), headers: Object.fromEntries(Object.entries(record.headers).filter(([name]) => !added.has(name))) }
}

/** Says behind the parked record, in the same topic and partition, that it has been sent back. */
export function toReplayedMark(
  { topic, partition, key }: Pick<KafkaRecord, 'topic' | 'partition' | 'key'>,
  origin: ParkedOrigin,
  at: string,
): OutgoingRecord {
  return { topic, partition, key, value: null, headers: { ...noteHeaders(origin), [PARKED_HEADERS.replayed]: at } }
}

const outgoing = ({ partition, key, tombstone, value }: KafkaRecord, topic: string): OutgoingRecord => ({ topic, partition, key, value: tombstone ? null : value })

function noteHeaders({ group, topic, partition, offset }: ParkedOrigin): Record<string, string> {
  return { [PARKED_HEADERS.group]: group, [PARKED_HEADERS.topic]: topic, [PARKED_HEADERS.partition]: String(partition), [PARKED_HEADERS.offset]: String(offset) }
}

const isDecimal = (text: string | undefined): text is string => text !== undefined && /^\d{1,18}$/.test(text)
