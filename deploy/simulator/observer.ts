import {
  decodeChunksRecord,
  decodeEvent,
  decodeStatus,
  isRecordFault,
  TOPICS,
  type Declaration,
  type PartState,
  type SessionState,
} from '@longtake/contracts'
import { PARKED_HEADERS, PARKED_TOPICS } from '@longtake/kafka'
import type { SimKafka } from './kafka/cluster.ts'
import type { LoggedRecord } from './kafka/record-batch.ts'

/** What Kafka has of one part. */
export interface LoggedPart {
  readonly track: string
  readonly part: string
  /** The digest of each chunk as it came first. */
  readonly chunks: Map<number, string>
  isOpened: boolean
  closed: { chunks: number; clean: boolean } | null
  readonly lost: { from: number; to: number; cause: string }[]
}

export interface LoggedSession {
  readonly session: string
  readonly parts: Map<string, LoggedPart>
  /** Cumulative states as block-writer published them with its commits. */
  readonly written: Map<string, PartState>
  isFinished: boolean
  isDeleted: boolean
  isErased: boolean
  status: SessionState | undefined
}

/** Reads the logs as they grow, from outside, and keeps what the oracle compares. Only what consumers could see. */
export class Observer {
  readonly sessions = new Map<string, LoggedSession>()
  /** `topic/partition/offset` of records that were parked. */
  readonly parked = new Set<string>()
  readonly #kafka: SimKafka
  readonly #read = new Map<string, number>()
  readonly #onStatus: (state: SessionState, before: SessionState | undefined) => void

  constructor(kafka: SimKafka, onStatus: (state: SessionState, before: SessionState | undefined) => void) {
    this.#kafka = kafka
    this.#onStatus = onStatus
  }

  /** Reads on to the present ends of a partition of all topics. */
  catchUp(partition: number): void {
    this.#topic(TOPICS.chunks.name, partition, (record) => this.#chunksRecord(record))
    this.#topic(TOPICS.events.name, partition, (record) => this.#event(record))
    this.#topic(TOPICS.status.name, partition, (record) => this.#status(record))
    for (const name of PARKED_TOPICS) this.#topic(name, partition, (record) => this.#parkedRecord(record))
  }

  #parkedRecord({ headers }: LoggedRecord): void {
    const {
      [PARKED_HEADERS.topic]: topic,
      [PARKED_HEADERS.partition]: number,
      [PARKED_HEADERS.offset]: offset,
    } = headers
    this.parked.add(`${topic}/${number}/${offset}`)
  }

  session(name: string): LoggedSession {
    let session = this.sessions.get(name)
    if (session === undefined) {
      session = {
        session: name,
        parts: new Map(),
        written: new Map(),
        isFinished: false,
        isDeleted: false,
        isErased: false,
        status: undefined,
      }
      this.sessions.set(name, session)
    }
    return session
  }

  #topic(topic: string, partition: number, take: (record: LoggedRecord) => void): void {
    const log = this.#kafka.log(topic, partition)
    const key = `${topic}/${partition}`
    const from = this.#read.get(key) ?? 0
    if (log === undefined || log.highWatermark <= from) return
    this.#read.set(key, log.highWatermark)
    for (const record of log.records(from)) take(record)
  }

  #chunksRecord(record: LoggedRecord): void {
    const content = decodeChunksRecord(encoded(record))
    if (isRecordFault(content)) return
    if ('kind' in content) {
      const { chunks } = this.#part(content.session, content)
      if (!chunks.has(content.seq)) chunks.set(content.seq, content.sha256)
    } else this.#declaration(content)
  }

  #declaration(declaration: Declaration): void {
    const session = this.session(declaration.session)
    switch (declaration.type) {
      case 'part-opened':
        this.#part(session.session, declaration).isOpened = true
        return
      case 'part-closed': {
        const part = this.#part(session.session, declaration)
        if (part.closed === null || declaration.chunks >= part.closed.chunks)
          part.closed = { chunks: declaration.chunks, clean: declaration.clean }
        return
      }
      case 'chunks-lost':
        this.#part(session.session, declaration).lost.push(declaration)
        return
      case 'session-finished':
        session.isFinished = true
        return
      case 'session-deleted':
        session.isDeleted = true
        return
      case 'client-left':
        return
      default:
        declaration satisfies never
    }
  }

  #event(record: LoggedRecord): void {
    const event = decodeEvent(encoded(record))
    if (isRecordFault(event)) return
    const session = this.session(event.session)
    if (event.type === 'session-erased') session.isErased = true
    if (event.type !== 'blocks-committed' && event.type !== 'parts-committed') return
    for (const part of event.parts) {
      const known = session.written.get(part.part)
      // States are cumulative; an older one may be published again after a crash. Where a file is gone a later one has
      // less.
      const best = known === undefined || part.chunks >= known.chunks ? part : known
      session.written.set(part.part, { ...best, closed: part.closed ?? known?.closed ?? null })
    }
  }

  #status(record: LoggedRecord): void {
    if (record.value === null) return
    const state = decodeStatus(encoded(record))
    if (isRecordFault(state)) return
    const session = this.session(state.session)
    this.#onStatus(state, session.status)
    session.status = state
  }

  #part(name: string, { track, part }: { track: string; part: string }): LoggedPart {
    const { parts } = this.session(name)
    let known = parts.get(part)
    if (known === undefined)
      parts.set(part, (known = { track, part, chunks: new Map(), isOpened: false, closed: null, lost: [] }))
    return known
  }
}

export const encoded = ({ key, value, headers }: LoggedRecord) => ({
  key,
  value: value ?? Buffer.alloc(0),
  headers: { ...headers },
})
