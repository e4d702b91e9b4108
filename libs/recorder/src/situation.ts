import type { ConnectionState, RecorderPhase, Situation } from './api.ts'

/** Times are milliseconds since the epoch by this device's clock. */
export interface SituationFacts {
  now: number
  phase: RecorderPhase
  connection: ConnectionState
  /** Of the session's tracks: whether any is recorded, or would be if it were not paused. */
  anyTrack: boolean
  /** Whether data comes of any track. */
  anyDelivers: boolean
  /** Tracks of which something should be recorded, and no data comes. */
  stalled: readonly string[]
  paused: boolean
  waitingBytes: number
  acknowledgedBytes: number
  lostChunks: number
  /** When the oldest chunk was captured that only this computer has; null if there is none. */
  oldestWaitingAt: number | null
  /** Whether some of what waits is in this page's memory alone. */
  inMemory: boolean
  /** Whether this computer's store refuses what is recorded. */
  storeFails: boolean
}

/** Without an ack for so long, while chunks wait, the server does not answer; a lost line itself is noticed late. */
const SILENCE_MS = 5000
/** A connection that comes about within this is not worth a word. */
const CONNECTING_MS = 3000
/** From here on what waits is a backlog; normally it waits a second or two. */
const BEHIND_MS = 15_000
const CAUGHT_UP_MS = 4000

/** What a person wants to know, folded from all that the recorder knows. */
export class SituationWatch {
  #answeredAt: number | null = null
  #connectedAt: number | null = null
  /** Since it was last connected. */
  #wasOffline = false
  #acknowledgedBytes = 0
  /** Bytes that were acknowledged when the backlog began; null while there is none. */
  #backlogFrom: number | null = null
  #endedAt: number | null = null

  see(facts: SituationFacts): Situation {
    const { now, phase, lostChunks, connection } = facts
    this.#remember(facts)
    const keptMinutes = this.#keptMinutes(facts)
    const rest = { recording: phase === 'recording' && facts.anyTrack && !facts.paused && (facts.anyDelivers || facts.stalled.length === 0), keptMinutes, percent: this.#percent(facts), lostChunks }
    if (phase === 'stopped') return { ...rest, kind: lostChunks === 0 ? 'safe' : 'safe-with-losses', percent: 100, words: lostChunks === 0 ? 'All safe: you may close this page' : `All that could be saved is safe; ${lossOf(lostChunks)}` }
    if (phase === 'discarded') return { ...rest, kind: phase, words: 'Recording discarded: nothing of it is kept on this computer' }
    if (phase === 'failed') return { ...rest, kind: 'failed', words: 'Recording has ended: it was deleted on the server, and nothing of it is kept' }
    const doing = doingOf(facts)
    const losses = lostChunks === 0 ? '' : ` · ${lossOf(lostChunks)}`
    const stay = phase === 'stopping' || facts.inMemory ? ': leave this page open' : ''
    const unkept = facts.storeFails ? ' · this computer cannot store the recording: leave this page open' : ''
    const isAway = connection !== 'connected' && (this.#wasOffline || now - (this.#connectedAt ?? now) > CONNECTING_MS)
    if (isAway || now - (this.#answeredAt ?? now) > SILENCE_MS) {
      const why = isAway ? 'no connection' : 'the server does not answer'
      const kept = facts.inMemory ? `, and this computer has no place for it (${keptOf(keptMinutes)} kept by this page)` : `, but safe (${keptOf(keptMinutes)} kept on this computer)`
      return { ...rest, kind: 'offline', words: `${doing} · ${why}${kept}${stay}${losses}` }
    }
    if (this.#backlogFrom !== null) return { ...rest, kind: 'catching-up', words: `${doing} · catching up (${rest.percent} %)${stay}${losses}` }
    if (!facts.anyTrack) return { ...rest, kind: 'nothing', words: `${doing}${unkept}${losses}` }
    return { ...rest, kind: facts.paused ? 'paused' : rest.recording ? 'recording' : 'stalled', words: `${doing}${unkept}${losses}` }
  }

  #remember({ now, phase, connection, acknowledgedBytes, waitingBytes, oldestWaitingAt }: SituationFacts): void {
    this.#connectedAt = connection === 'connected' ? now : (this.#connectedAt ?? now)
    this.#wasOffline = connection === 'offline' || (this.#wasOffline && connection !== 'connected')
    if (connection !== 'connected') this.#answeredAt = null
    else if (this.#answeredAt === null || acknowledgedBytes > this.#acknowledgedBytes || waitingBytes === 0) this.#answeredAt = now
    const waitsMs = oldestWaitingAt === null ? 0 : now - oldestWaitingAt
    if (phase === 'stopping') this.#endedAt ??= now
    if (waitsMs >= BEHIND_MS || phase === 'stopping') this.#backlogFrom ??= this.#acknowledgedBytes
    else if (waitsMs <= CAUGHT_UP_MS) this.#backlogFrom = null
    this.#acknowledgedBytes = acknowledgedBytes
  }

  #keptMinutes({ now, oldestWaitingAt }: SituationFacts): number {
    return oldestWaitingAt === null ? 0 : Math.max(0, Math.floor(((this.#endedAt ?? now) - oldestWaitingAt) / 60_000))
  }

  #percent({ acknowledgedBytes, waitingBytes }: SituationFacts): number | null {
    if (this.#backlogFrom === null) return null
    const done = acknowledgedBytes - this.#backlogFrom
    // 100 is said when nothing waits, never by rounding.
    return waitingBytes === 0 ? 100 : Math.min(99, Math.floor((100 * done) / (done + waitingBytes)))
  }
}

function doingOf({ phase, anyTrack, anyDelivers, stalled, paused }: SituationFacts): string {
  if (phase === 'stopping') return 'Stopped'
  if (!anyTrack) return 'Nothing is recorded any more'
  if (paused) return 'Paused'
  if (stalled.length === 0) return 'Recording'
  return `${anyDelivers ? 'Recording' : 'Nothing is being recorded'} · no data from ${stalled.join(' and ')}`
}

const keptOf = (minutes: number): string => (minutes === 0 ? 'less than a minute' : minutes === 1 ? '1 minute' : `${minutes} minutes`)
const lossOf = (chunks: number): string => (chunks === 1 ? 'one chunk is lost' : `${chunks} chunks are lost`)
