import type { RecordingEvent, SessionState, SessionStatus } from '@longtake/contracts'
import { areSameGaps, contentOf, evolve, deletionExpiresAt, expireDeletion, isCompleted, isEqual, isForgotten, isHigherOffset, judge, type Judgement, nextJudgementAt, statusOf } from '@longtake/domain'
import { DueQueue } from './due-queue.ts'
import { mayWait, publicationPauseMs } from './publication-pace.ts'

interface Known {
  /** As of the last event. */
  folded: SessionState
  /** As `recordings.status` has it; undefined before the first publication. */
  published: SessionState | undefined
  /** When that was, in milliseconds since the epoch; long ago for what another owner published. */
  publishedAt: number
}

export interface JudgedSession extends Judgement {
  session: string
  /** Whether nothing is left of the session, so that its published state goes, too. */
  isForgotten: boolean
  /** Whether the state says something that the published one does not. */
  isNews: boolean
  /** Whether that is published later, together with what comes until then. */
  isDeferred: boolean
  judgedAt: number
  /** When time alone may change it, in milliseconds since the epoch. */
  dueAt: number
  /** Whether it is completed unless something of it is on its way. */
  isUndecided: boolean
}

/** The sessions of one partition: what is published of them, and what has been folded in since. No I/O. */
export class Sessions {
  readonly #known = new Map<string, Known>()
  readonly #touched = new Set<string>()
  /** Sessions whose published state another writer has overwritten by an older one. */
  readonly #overwritten = new Set<string>()
  readonly #due = new DueQueue()
  /** Sessions whose publication is deferred, with when they were published last and until when that holds. */
  readonly #deferred = new Map<string, { readonly publishedAt: number; readonly until: number }>()
  #defers = true
  /** Sessions that are completed unless something of them is on its way. */
  readonly #undecided = new Set<string>()
  #writtenTo = -Infinity
  readonly #statuses = new Map<SessionStatus, number>()
  readonly #deletedRetentionMs: number

  /** @param deletedRetentionMs how long it stays known that a session was deleted, once all its blobs are erased */
  constructor(deletedRetentionMs: number = Infinity) {
    this.#deletedRetentionMs = deletedRetentionMs
  }

  get size(): number {
    return this.#known.size
  }

  /** How many sessions have which status, as published. */
  get statuses(): ReadonlyMap<SessionStatus, number> {
    return this.#statuses
  }

  get hasWork(): boolean {
    return this.#touched.size > 0
  }

  /** Whether something cannot be decided before a later `written`. */
  get isUndecided(): boolean {
    return this.#undecided.size > 0
  }

  get hasDeferred(): boolean {
    return this.#deferred.size > 0
  }

  /** Whether something of it is folded in and not published yet, though it was judged. */
  isDeferred(session: string): boolean {
    return this.#deferred.has(session)
  }

  /** Nothing is deferred from now on: the partition goes away. */
  stopDeferring(): void {
    this.#defers = false
    for (const session of this.#deferred.keys()) this.#touched.add(session)
  }

  find(session: string): SessionState | undefined {
    return this.#known.get(session)?.folded
  }

  /**
   * Takes a state from the log, in log order. The newer one is true; where an older one comes behind a newer one
   * (of an owner that did not know that it was replaced), the newer one will be published again.
   */
  restore(state: SessionState): void {
    const known = this.#known.get(state.session)
    const isOld = known !== undefined && isNewer(known.folded, state)
    const folded = known === undefined ? state : isOld ? distinguished(known.folded, state) : distinguished(state, known.folded)
    this.#set(state.session, { folded, published: isOld ? known.published : state, publishedAt: -Infinity }, this.#dueAt(folded, -Infinity))
    if (folded === state) {
      this.#overwritten.delete(state.session)
    } else {
      this.#overwritten.add(state.session)
      this.#touched.add(state.session)
    }
  }

  /** Takes from the log that nothing is left of a session. */
  remove(session: string): void {
    this.#forget(session)
    this.#touched.delete(session)
    this.#overwritten.delete(session)
    this.#undecided.delete(session)
  }

  fold(event: RecordingEvent, offset: bigint): void {
    const known = this.#known.get(event.session)
    // Read again after the state went: nothing must come of it.
    if (known === undefined && event.type === 'session-forgotten') return
    const folded = evolve(known?.folded, event, String(offset))
    if (folded === known?.folded) return
    this.#known.set(event.session, { folded, published: known?.published, publishedAt: known?.publishedAt ?? -Infinity })
    this.#touched.add(event.session)
  }

  /** Time has passed: some of them have to be judged anew. */
  tick(now: number): void {
    for (const session of this.#due.take(now)) this.#touched.add(session)
    // A clock that was set back defers nothing for longer.
    for (const [session, { publishedAt, until }] of this.#deferred) if (now < publishedAt || now >= until) this.#touched.add(session)
  }

  /** All that Kafka had at this time is written, and its events are folded in. @param at milliseconds since the epoch */
  written(at: number): void {
    if (at <= this.#writtenTo) return
    this.#writtenTo = at
    for (const session of this.#undecided) this.#touched.add(session)
  }

  /** Judges up to `limit` of the sessions that need it. Changes nothing here: that is `settle`'s, once all is published. */
  judge(now: number, limit: number): JudgedSession[] {
    return [...this.#touched.values().take(limit)].map((session) => {
      const { folded, published, publishedAt } = this.#known.get(session)!
      const judged = judge(folded, now, this.#writtenTo)
      const { events, requests } = judged
      const state = expireDeletion(judged.state, now, this.#deletedRetentionMs)
      const isOverwritten = this.#overwritten.has(session)
      const isNews = published === undefined || isOverwritten || saysMore(published, state)
      const isEarly = this.#defers && !isOverwritten && now >= publishedAt && now < publishedAt + publicationPauseMs(state)
      const isDeferred = isNews && isEarly && published !== undefined && mayWait({ state, events, requests }, published)
      const next = isNews && !isDeferred ? { ...state, revision: state.revision + 1 } : state
      return { session, state: next, events, requests, isNews, isDeferred, judgedAt: now, isForgotten: isForgotten(state), dueAt: this.#dueAt(state, now), isUndecided: state.status !== statusOf(state, now) }
    })
  }

  /** What was judged is published, but for what is deferred: it is the state now. */
  settle(judged: readonly JudgedSession[]): void {
    for (const { session, state, isNews, isDeferred, judgedAt, isForgotten: isGone, dueAt, isUndecided } of judged) {
      const { published, publishedAt } = this.#known.get(session)!
      if (isGone) this.#forget(session)
      else if (isNews && !isDeferred) this.#set(session, { folded: state, published: state, publishedAt: judgedAt }, dueAt)
      else this.#set(session, { folded: state, published, publishedAt }, dueAt)
      if (isDeferred) this.#deferred.set(session, { publishedAt, until: publishedAt + publicationPauseMs(state) })
      else this.#deferred.delete(session)
      if (isUndecided) this.#undecided.add(session)
      else this.#undecided.delete(session)
      this.#touched.delete(session)
      this.#overwritten.delete(session)
    }
  }

  #dueAt(state: SessionState, now: number): number {
    return Math.min(nextJudgementAt(state, now), deletionExpiresAt(state, this.#deletedRetentionMs))
  }

  #forget(session: string): void {
    this.#count(this.#known.get(session)?.published?.status, undefined)
    this.#known.delete(session)
    this.#due.set(session, Infinity)
  }

  #set(session: string, known: Known, dueAt: number): void {
    this.#count(this.#known.get(session)?.published?.status, known.published?.status)
    this.#known.set(session, known)
    this.#due.set(session, dueAt)
  }

  #count(before: SessionStatus | undefined, after: SessionStatus | undefined): void {
    if (before === after) return
    if (before !== undefined) this.#statuses.set(before, (this.#statuses.get(before) ?? 1) - 1)
    if (after !== undefined) this.#statuses.set(after, (this.#statuses.get(after) ?? 0) + 1)
  }
}

/**
 * What another owner published as a version may be sealed: of other content it is not used again. Of the one state that goes
 * on and the one that does not, either may be ours.
 */
function distinguished(state: SessionState, other: SessionState): SessionState {
  const areCompleted = isCompleted(state.status) && isCompleted(other.status)
  if (other.version < state.version || (other.version === state.version && !areCompleted)) return state
  if (areCompleted && isSameRecording(state, other)) return other.version === state.version ? state : { ...state, version: other.version }
  const { completedAs: _completedAs, ...facts } = state
  return { ...facts, version: other.version, status: isCompleted(state.status) ? 'interrupted' : state.status }
}

function isSameRecording(a: SessionState, b: SessionState): boolean {
  return a.status === b.status && isEqual(content(a), content(b)) && areSameGaps(a.gaps, b.gaps)
}
const content = ({ tracks }: SessionState): unknown => Object.fromEntries(Object.entries(tracks).map(([track, { files }]) => [track, files.map(contentOf)]))

function isNewer(a: SessionState, b: SessionState): boolean {
  if (a.eventsOffset === b.eventsOffset) return a.revision > b.revision
  return isHigherOffset(a.eventsOffset, b.eventsOffset)
}

/** The rules keep the identity of what did not change. How far the log was read is no news by itself. */
function saysMore(published: SessionState, state: SessionState): boolean {
  return (Object.keys(state) as (keyof SessionState)[]).some((key) => key !== 'eventsOffset' && key !== 'revision' && state[key] !== published[key])
}
