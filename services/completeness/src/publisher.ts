import { encodeClientRequest, encodeEvent, encodeStatus, HEADERS, type EncodedRecord, type RecordingEvent, type SessionState } from '@longtake/contracts'
import { KafkaError, type Producer } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import type { JudgedSession } from './sessions.ts'
import { instruments } from './telemetry.ts'

/** Unacknowledged bytes of one partition at most. */
const BYTES_AT_ONCE = 4 * 1024 * 1024

export interface TopicNames {
  events: string
  status: string
  resends: string
}

/** Publishes what was judged, for one holding of one partition. */
export class Publisher {
  readonly writer: string
  readonly #producer: Pick<Producer, 'send'>
  readonly #partition: number
  readonly #topics: TopicNames
  readonly #logger: Logger
  readonly #standingStill = new Set<string>()

  constructor(options: { writer: string; producer: Pick<Producer, 'send'>; partition: number; topics: TopicNames; logger: Logger }) {
    this.writer = options.writer
    this.#producer = options.producer
    this.#partition = options.partition
    this.#topics = options.topics
    this.#logger = options.logger
  }

  /** Sessions whose state is too large for Kafka, so that what others see of them is an older one. */
  get standingStill(): ReadonlySet<string> {
    return this.#standingStill
  }

  /**
   * Resolves when the broker has all of it. Events come before the state that counts them as told: after a crash in
   * between they are told again, which consumers bear; the other way round they would never be.
   */
  async publish(judged: readonly JudgedSession[]): Promise<void> {
    const events = judged.flatMap((session) => session.events)
    const requests = judged.flatMap((session) => session.requests)
    await this.#sendAll([
      ...events.map((event) => this.#to(this.#topics.events, encodeEvent(event))),
      ...requests.map((request) => this.#to(this.#topics.resends, encodeClientRequest(request))),
    ])
    await this.#sendAll(judged.filter(({ isNews }) => isNews).map(({ state, isForgotten }) => (isForgotten ? this.#tombstone(state.session) : this.#status(state))))
    for (const { events: told, state } of judged) {
      for (const event of told) if (isOurLoss(event, state)) this.#logger.error(event, 'chunks that a client was acknowledged are neither written nor parked: Kafka, storage or we have lost them')
    }
    for (const { type } of events) if (type === 'gap-opened' || type === 'gap-closed' || type === 'gap-confirmed') instruments.gaps.add(1, { type })
  }

  /** A record without a value removes its key from a compacted topic. */
  #tombstone(session: string): Sending {
    const headers = { [HEADERS.writer]: this.writer }
    return { bytes: 0, send: () => this.#producer.send({ topic: this.#topics.status, partition: this.#partition, key: session, value: null, headers }) }
  }

  #status(state: SessionState): Sending {
    const { key, value, headers } = encodeStatus(state)
    const sending = this.#to(this.#topics.status, { key, value, headers: { ...headers, [HEADERS.writer]: this.writer } })
    return {
      bytes: sending.bytes,
      send: async () => {
        try {
          await sending.send()
          this.#standingStill.delete(state.session)
        } catch (error) {
          if (!(error instanceof KafkaError && error.code === 'KAFKA_RECORD_TOO_LARGE')) throw error
          // It will be so at every try; the other sessions of the partition must go on.
          this.#standingStill.add(state.session)
          instruments.tooLarge.add(1, { kind: headers.kind ?? '' })
          this.#logger.error({ session: state.session, bytes: sending.bytes, error }, 'the state of a session is too large to be published: its status stands still')
        }
      },
    }
  }

  #to(topic: string, { key, value, headers }: EncodedRecord): Sending {
    return { bytes: value.length, send: () => this.#producer.send({ topic, partition: this.#partition, key, value, headers }) }
  }

  async #sendAll(sendings: readonly Sending[]): Promise<void> {
    for (let next = 0; next < sendings.length; ) {
      const group: Sending[] = []
      for (let bytes = 0; next < sendings.length && bytes < BYTES_AT_ONCE; next++) {
        group.push(sendings[next]!)
        bytes += sendings[next]!.bytes
      }
      await Promise.all(group.map(({ send }) => send()))
    }
  }
}

/** Chunks beside such a hole are confirmed with its cause, too, and are only undecodable. */
function isOurLoss(event: RecordingEvent, { gaps }: SessionState): boolean {
  if (event.type !== 'gap-confirmed' || event.cause !== 'already-acknowledged') return false
  return gaps.some(({ kind, track, part, from, to }) => kind === 'lost' && track === event.track && part === event.part && from <= event.to && event.from <= to)
}

interface Sending {
  readonly bytes: number
  readonly send: () => Promise<unknown>
}
