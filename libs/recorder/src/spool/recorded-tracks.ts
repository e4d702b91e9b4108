import { TRACK_LOCKS, trackLock } from './locks.ts'

/**
 * Names of the session's tracks that pages of this browser record now, this page included: so a page knows that it is the copy of one that
 * records, as where a tab was duplicated.
 */
export async function recordedTracks(session: string): Promise<string[]> {
  return recordedHere(trackLock(session, ''))
}

/** Whether any page of this browser records anything, of whatever session. */
export async function isAnythingRecorded(): Promise<boolean> {
  return (await recordedHere(TRACK_LOCKS)).length > 0
}

async function recordedHere(prefix: string): Promise<string[]> {
  const { held = [] } = await navigator.locks.query()
  return held.flatMap(({ name = '' }) => (name.startsWith(prefix) ? name.slice(prefix.length) : []))
}
