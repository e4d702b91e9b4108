import type { PublicSession } from '@longtake/contracts'

type Part = PublicSession['tracks'][string]['parts'][number]

/** In words for whoever watches. */
const CAUSES: Readonly<Record<string, string>> = {
  quota: 'the recording computer had no space left',
  'store-failed': 'the browser on the recording computer could not store it',
  'spool-cleared': 'the data of this site was cleared on the recording computer, by a person or by the browser',
  corrupt: 'it was damaged on the recording computer',
  crash: 'the page or the computer crashed',
  'too-large': 'it was too large to be sent',
  unwritable: 'the server could not write it',
  ended: 'the session was ended before it came',
  abandoned: 'the recorder did not come back',
  'page-closed': 'the page was closed or reloaded',
  discarded: 'the browser closed the tab to save memory',
  paused: 'paused',
  slept: 'the computer slept',
  frozen: 'the page was frozen by the browser',
  muted: 'the source was muted',
  stalled: 'the browser delivered nothing',
  'device-lost': 'the source was gone',
  'recorder-failed': 'the browser failed to record',
  'broken-content': 'the recording is damaged there',
  'no-keyframe': 'the picture before it is missing',
  'time-backwards': 'the times in the recording go back there',
  'other-recording': 'another recording with other tracks begins there',
  'no-media': 'there is neither picture nor sound in it',
  truncated: 'the recording breaks off there',
  'no-init-segment': 'the description of its video and sound is too large or cannot be read',
  'file-missing': 'the stored file is gone',
  'file-unavailable': 'the stored file cannot be read: the storage may have archived it',
  'file-changed': 'the stored file is not the one that was written',
  unreadable: 'the stored file cannot be read there',
  'wrong-span': 'the stored file does not last as long as what was written',
  'wrong-frames': 'the stored file does not have all frames that were written',
  'wrong-index': 'seeking in the stored file does not work there',
  'decoder-errors': 'what was recorded there cannot be decoded',
  'between-parts': 'the recorder began anew',
  'media-missing': 'the recorder delivered less than the time that passed',
  'sound-missing': 'the source delivered none',
}

/** A cause that a later recorder or server names stands as it came. */
export const causeWords = (cause: string): string => CAUSES[cause] ?? cause

/** Of a gap within a part: its media times state where something is missing, and not how much. */
export function unrecordedWords({ evidence, missingMs, startedAt, endedAt }: NonNullable<Part['gaps'][number]['unrecorded']>): string {
  const time = (at: string): string => new Date(at).toLocaleTimeString()
  return `${evidence === 'sound' ? 'no sound' : 'nothing'} was recorded for ${Math.round(missingMs / 1000)} s between ${time(startedAt)} and ${time(endedAt)}`
}

/** What is no gap, since nobody knows whether it was: how far parts would have gone on whose recorder died. */
export function uncertainWords(parts: readonly Pick<Part, 'closed' | 'clean' | 'gaps'>[], isLive: boolean): string[] {
  return parts.flatMap(({ closed, clean }, index) => {
    if (clean || (isLive && !closed)) return []
    const next = parts[index + 1]
    if (next === undefined) return ['The end may be missing: the recorder went away without closing the recording']
    // Otherwise the gap in front of the next part says it.
    return next.gaps.some(({ kind, unrecorded }) => kind === 'not-recorded' && unrecorded === undefined) ? [] : ['A moment may be missing where the recorder began anew']
  })
}
