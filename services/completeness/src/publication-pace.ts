import type { SessionState } from '@longtake/contracts'
import { differingGaps, isEqual, type Judgement } from '@longtake/domain'

/** Up to so many parts a state is published with every event. */
const SMALL_PARTS = 40
const SMALL_PAUSE_MS_PER_PART = 100
const MIDDLE_PAUSE_MS = 10_000
const LARGE_PAUSE_MS_PER_PART = 40
const LONGEST_PAUSE_MS = 60_000

/**
 * Pause between two publications of a state if only fields changed that may wait. A state lists all parts of its
 * session, 0.4 KB each, for Kafka and every reader: with a pause in proportion to them a recording costs as much at its
 * end as at its beginning.
 */
export function publicationPauseMs({ tracks }: SessionState): number {
  let parts = 0
  for (const { files } of Object.values(tracks)) for (const file of files) parts += file.parts.length
  if (parts <= SMALL_PARTS) return 0
  const largeMs = Math.min(LONGEST_PAUSE_MS, Math.max(MIDDLE_PAUSE_MS, parts * LARGE_PAUSE_MS_PER_PART))
  return Math.min(largeMs, parts * SMALL_PAUSE_MS_PER_PART)
}

/**
 * Fields that grow while a session is recorded, and fields that only completeness reads. Changes of all others are
 * published at once: status, version, gaps of chunks, connections, end, deletion.
 */
const MAY_WAIT: ReadonlySet<string> = new Set<keyof SessionState>([
  'eventsOffset',
  'revision',
  'tracks',
  'activeAt',
  'reports',
])

export function mayWait({ state, events, requests }: Judgement, published: SessionState): boolean {
  if (events.length > 0 || requests.length > 0) return false
  const names = new Set([...Object.keys(state), ...Object.keys(published)]) as Set<keyof SessionState>
  return names.values().every((name) => {
    if (MAY_WAIT.has(name) || state[name] === published[name]) return true
    if (name === 'gaps') return areSameChunks(state.gaps, published.gaps)
    return name === 'clients' && areSameConnections(state.clients, published.clients)
  })
}

/** Whether they differ at most in times that were not recorded. */
function areSameChunks(a: SessionState['gaps'], b: SessionState['gaps']): boolean {
  return differingGaps(a, b).every((gaps) => gaps.every(({ kind }) => kind === 'not-recorded'))
}

type Clients = SessionState['clients']

/** Whether they differ at most in when each was seen last, as gateways report every minute. */
const areSameConnections = (a: Clients, b: Clients): boolean =>
  a.length === b.length && a.every((one, i) => isEqual({ ...one, seenAt: '' }, { ...b[i]!, seenAt: '' }))
