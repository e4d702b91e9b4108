import { decodeStatus, isRecordFault, LongtakeError, type SessionState } from '@longtake/contracts'
import type { Sessions, SessionSummary } from './ports.ts'

/** Resolves when everything acknowledged so far in the session's partition has been seen. */
export type CatchUp = (session: string) => Promise<void>

interface Row {
  /** As it came: decoded for the few that are asked for, so that many sessions fit in memory. */
  value: Uint8Array
  eventsOffset: bigint
  revision: number
  summary: SessionSummary
}

const WAIT_MS = 10_000

/** The newest state of every session, folded from `recordings.status`. */
export class SessionTable implements Sessions {
  readonly #rows = new Map<string, Row>()
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #catchUp: CatchUp

  constructor(catchUp: CatchUp) {
    this.#catchUp = catchUp
  }

  /** Takes a record of the topic; returns a fault's words when it is no status. A null value forgets the session. */
  apply(session: string, value: Uint8Array | null, headers: Readonly<Record<string, string>>): string | undefined {
    if (value === null) {
      this.#rows.delete(session)
      return undefined
    }
    const state = decodeStatus({ key: session, value, headers: { ...headers } })
    if (isRecordFault(state)) return state.details
    const row = rowOf(state, value)
    const known = this.#rows.get(session)
    // A completeness that lost its partition may still have written an older state.
    if (known !== undefined && isOlder(row, known)) return undefined
    this.#rows.set(session, row)
    for (const wake of this.#waiting.get(session) ?? []) wake()
    return undefined
  }

  get(session: string): SessionState | undefined {
    const row = this.#rows.get(session)
    if (row === undefined) return undefined
    const state = decodeStatus({ key: session, value: row.value, headers: {} })
    return isRecordFault(state) ? undefined : state
  }

  async find(session: string): Promise<SessionState | undefined> {
    if (!this.#rows.has(session)) await within(WAIT_MS, this.#catchUp(session), 'the status of sessions cannot be read from Kafka')
    return this.get(session)
  }

  async until(session: string, holds: (state: SessionState) => boolean): Promise<SessionState> {
    const reached = Promise.withResolvers<SessionState>()
    const check = (): void => {
      const state = this.get(session)
      if (state !== undefined && holds(state)) reached.resolve(state)
    }
    const waiting = this.#waiting.get(session) ?? new Set()
    this.#waiting.set(session, waiting.add(check))
    try {
      check()
      return await within(WAIT_MS, reached.promise, 'the session was announced, but its status has not come yet; ask again')
    } finally {
      waiting.delete(check)
      if (waiting.size === 0) this.#waiting.delete(session)
    }
  }

  *all(): Iterable<SessionSummary> {
    for (const { summary } of this.#rows.values()) yield summary
  }
}

function rowOf(state: SessionState, value: Uint8Array): Row {
  const { session, createdAt, status, version, startedAt, endedAt, tracks } = state
  return {
    value,
    eventsOffset: BigInt(state.eventsOffset),
    revision: state.revision,
    summary: { id: session, createdAt, status, version, startedAt, endedAt, tracks: Object.keys(tracks).sort() },
  }
}

const isOlder = (a: Row, b: Row): boolean => a.eventsOffset < b.eventsOffset || (a.eventsOffset === b.eventsOffset && a.revision < b.revision)

async function within<T>(ms: number, promise: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LongtakeError('UNAVAILABLE', otherwise)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
