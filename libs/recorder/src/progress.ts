import type { Amount, TrackProgress } from './api.ts'
import type { OutgoingPart } from './upload/outgoing-part.ts'

/** The parts' amounts, added up by track. */
export function progressByTrack(parts: Iterable<OutgoingPart>): Record<string, TrackProgress> {
  const tracks: Record<string, TrackProgress> = {}
  for (const { track, recorded, sent, acknowledged, lost } of parts) {
    const before = (tracks[track] ??= { recorded: NONE, sent: NONE, acknowledged: NONE, waiting: NONE, lost: NONE })
    const waiting = combine(combine(recorded, acknowledged, -1), lost, -1)
    tracks[track] = {
      recorded: combine(before.recorded, recorded),
      sent: combine(before.sent, sent),
      acknowledged: combine(before.acknowledged, acknowledged),
      waiting: combine(before.waiting, waiting),
      lost: combine(before.lost, lost),
    }
  }
  return tracks
}

/** Over all tracks. */
export function sumOf(progress: Record<string, TrackProgress>, column: keyof TrackProgress): Amount {
  return Object.values(progress).reduce((sum, track) => combine(sum, track[column]), NONE)
}

const NONE: Amount = { chunks: 0, bytes: 0 }

function combine(a: Amount, b: Amount, sign: 1 | -1 = 1): Amount {
  return { chunks: a.chunks + sign * b.chunks, bytes: a.bytes + sign * b.bytes }
}
