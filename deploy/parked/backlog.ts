import { decodeJson, HEADERS, TOPICS } from '@longtake/contracts'
import { isReplayedMark, parkedNote, type KafkaRecord, type ParkedNote } from '@longtake/kafka'

/** A record that was parked and not sent back yet. */
export interface ParkedRecord extends ParkedNote {
  readonly session: string
  /** The topic in which it is parked. */
  readonly place: string
  /** Offset there of its newest copy; the partition is that of its origin. */
  readonly position: bigint
  readonly bytes: number
  /** `chunk`, or the type of a declaration, event or status. */
  readonly kind: string
  readonly track: string | null
  readonly part: string | null
  readonly seq: string | null
}

export interface Selection {
  readonly session?: string | undefined
  readonly reason?: string | undefined
  /** `partition:offset`, or `unwritable:partition:offset`, as the list shows them; none: all. */
  readonly positions: readonly string[]
}

/** What is parked and was not sent back: records less those that a mark behind them, in their topic, names. No I/O. */
export class Backlog {
  readonly #waiting = new Map<string, ParkedRecord>()
  /** By topic and partition the offset behind the last record. */
  readonly #ends = new Map<string, { topic: string; partition: number; end: bigint }>()
  /** Records there that were not parked by Longtake. */
  foreign = 0

  /** Takes a record of the topic, in the order of its partition. */
  add(record: KafkaRecord): void {
    const { topic, partition, offset } = record
    this.#ends.set(`${topic}/${partition}`, { topic, partition, end: offset + 1n })
    const note = parkedNote(record)
    if (note === null) {
      this.foreign += 1
      return
    }
    const origin = `${topic} ${note.group} ${note.topic} ${note.partition} ${note.offset}`
    if (isReplayedMark(record)) this.#waiting.delete(origin)
    else this.#waiting.set(origin, { ...note, ...contentOf(record), session: record.key, place: topic, position: offset, bytes: record.value.length })
  }

  /** Up to where each partition of a topic holds nothing that waits: records before that offset may be deleted. */
  finished(topic: string): { partition: number; offset: bigint }[] {
    return [...this.#ends.values()]
      .filter((of) => of.topic === topic)
      .map(({ partition, end }) => {
        const waiting = this.waiting.filter((of) => of.place === topic && of.partition === partition)
        return { partition, offset: waiting.reduce((first, { position }) => (position < first ? position : first), end) }
      })
  }

  /** The oldest first. */
  get waiting(): ParkedRecord[] {
    return [...this.#waiting.values()].toSorted((a, b) => a.at.localeCompare(b.at))
  }
}

export function positionOf({ place, partition, position }: Pick<ParkedRecord, 'place' | 'partition' | 'position'>): string {
  return `${place === TOPICS.unwritable.name ? 'unwritable:' : ''}${partition}:${position}`
}

export function select(waiting: readonly ParkedRecord[], { session, reason, positions }: Selection): ParkedRecord[] {
  return waiting.filter(
    (parked) =>
      (session === undefined || parked.session === session) && (reason === undefined || parked.reason === reason) && (positions.length === 0 || positions.includes(positionOf(parked))),
  )
}

export interface ReasonSummary {
  readonly reason: string
  readonly records: number
  readonly sessions: number
  readonly bytes: number
  /** ISO 8601. */
  readonly newest: string
}

/** Most records first. */
export function summarize(waiting: readonly ParkedRecord[]): ReasonSummary[] {
  return [...Map.groupBy(waiting, ({ reason }) => reason)]
    .map(([reason, records]) => ({
      reason,
      records: records.length,
      sessions: new Set(records.map(({ session }) => session)).size,
      bytes: records.reduce((sum, { bytes }) => sum + bytes, 0),
      newest: records.reduce((newest, { at }) => (at > newest ? at : newest), ''),
    }))
    .toSorted((a, b) => b.records - a.records)
}

/** A chunk says in its headers what it is, all others in their JSON. */
function contentOf({ headers, value }: KafkaRecord): Pick<ParkedRecord, 'kind' | 'track' | 'part' | 'seq'> {
  const kind = headers[HEADERS.kind] ?? '(no kind)'
  if (kind === 'chunk') return { kind, track: headers[HEADERS.track] ?? null, part: headers[HEADERS.part] ?? null, seq: headers[HEADERS.seq] ?? null }
  const content: unknown = decodeJson(value)
  const text = (name: string): string | null => {
    const found: unknown = typeof content === 'object' && content !== null ? (content as Record<string, unknown>)[name] : undefined
    return typeof found === 'string' ? found : null
  }
  return { kind, track: text('track'), part: text('part'), seq: null }
}
