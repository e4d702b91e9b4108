import type { SessionState } from '@longtake/contracts'
import type { Judgement } from '@longtake/domain'

/** Up to so many parts a state is published with every event. */
const SMALL_PARTS = 40
const PAUSE_MS_PER_PART = 100
const LONGEST_PAUSE_MS = 10_000

/**
 * How long a state of that size stays as it was published where only what may wait has changed. A state says all parts of its session, so
 * to publish it with each commit costs more and more: 0.4 KB a part, in Kafka and in every reader.
 */
export function publicationPauseMs({ tracks }: SessionState): number {
  let parts = 0
  for (const { files } of Object.values(tracks)) for (const file of files) parts += file.parts.length
  return parts <= SMALL_PARTS ? 0 : Math.min(LONGEST_PAUSE_MS, parts * PAUSE_MS_PER_PART)
}

/** Grows with every commit of a recording that goes on. All else is published at once: status, version, gaps, clients, end, deletion. */
const MAY_WAIT: ReadonlySet<string> = new Set<keyof SessionState>(['eventsOffset', 'revision', 'tracks', 'activeAt'])

export function mayWait({ state, events, requests }: Judgement, published: SessionState): boolean {
  if (events.length > 0 || requests.length > 0) return false
  const names = new Set([...Object.keys(state), ...Object.keys(published)]) as Set<keyof SessionState>
  return names.values().every((name) => MAY_WAIT.has(name) || state[name] === published[name])
}
