import type { TrackInfo } from '@longtake/webm'
import { Part } from './part.ts'

/**
 * A part's committed media stays where it is, and the part goes on in a later file, where `settle` puts it. Returns what stays.
 * @param tracks of the file that it leaves
 */
export function leave(part: Part, tracks: readonly TrackInfo[]): Part {
  const place = part.place!
  const stays = new Part(part.id)
  const { client, mimeType, startedAt, closed, lost, rejected, container, header, continues, digests, bytes, capturedTo, committedMedia, committedTo } = part
  Object.assign(stays, { client, mimeType, startedAt, closed, lost, rejected, container, header, continues, place, digests, bytes, capturedTo, committedMedia, committedTo })
  stays.stored = part.stored.map(([from, to]) => [from, to])
  stays.runs = part.runs.map((run) => run.leave(tracks, place))
  // What was moved and is in no commit yet as it stands now must be in the next one: in other blocks.
  stays.dirty = stays.media.some(({ rest }) => rest.length > 0)
  const endMs = stays.media.reduce((latest, { span }) => Math.max(latest, span.endMs), place.offsetMs + (place.fromMs ?? 0))
  const fragments = part.runs[0]?.snapshot()?.fragments
  const mp4EndMs = fragments !== undefined ? (fragments.state.endMs ?? 0) : Math.max(0, (capturedTo ?? 0) - Date.parse(startedAt ?? ''))
  part.continues = { file: place.file, offsetMs: place.offsetMs, toMs: container === 'mp4' ? mp4EndMs : endMs - place.offsetMs }
  part.place = null
  part.dirty = true
  return stays
}

/** Gives a part its place in a file. @param offsetMs file time of what it has to put there first */
export function settle(part: Part, file: number, offsetMs: number): void {
  const { fromMs, continues } = part
  if (continues === null) part.place = { file, offsetMs }
  else if (part.container === 'mp4') part.place = { file, offsetMs: offsetMs - fromMs, fromMs }
  else {
    part.place = { file, offsetMs: continues.offsetMs, fromMs }
    part.move(offsetMs - fromMs - continues.offsetMs)
  }
  part.dirty = true
}

/** Makes room in front of what a part goes on with in its file. */
export function beginEarlier(part: Part, byMs: number): void {
  part.move(byMs)
  part.place = { ...part.place!, fromMs: part.fromMs - byMs }
}
