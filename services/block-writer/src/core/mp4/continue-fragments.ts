import type { LeadIn, MediaTimes } from '../continuation.ts'
import type { FreshPiece } from '../piece.ts'
import { fragmentCues, type SavedFragments } from '../verbatim.ts'
import { AT_START, FragmentReader, type FragmentState } from './fragment-reader.ts'
import { moveFragments } from './move-fragments.ts'

/** The beginning of the next file of an MP4 that has left its file. */
export interface ContinuedFragments {
  readonly fragments: SavedFragments
  readonly pieces: readonly FreshPiece[]
  /** Times in the later file of the media that the earlier file has as well. */
  readonly repeated: MediaTimes | null
}

/** Whether the beginning of the earlier file has to be read, for its init segment, instead of its last fragments. */
export const needsInit = ({ tracks, init, broken }: FragmentState): boolean => broken === null && tracks !== null && init === undefined

/**
 * Begins a later file: the init segment, then the earlier file's last fragments, from one that can be decoded without
 * others.
 * @param leadIn the range of the earlier file that was read; null if there is none
 * @param bytes its content; undefined if it cannot be read: then the file begins with the next fragment that can be
 *   decoded alone
 * @param offsetMs time of the part's own time 0 in the later file
 */
export function continueFragments({ state, fed, moved }: SavedFragments, leadIn: LeadIn | null, bytes: Uint8Array | undefined, offsetMs: number): ContinuedFragments {
  const known = needsInit(state) ? withInit(state, bytes) : state
  const fragments = { state: known, fed, moved: { byBytes: null, sinceMs: state.endMs } }
  if (leadIn === null || bytes === undefined || needsInit(state) || known.init === undefined || known.tracks === null) return { fragments, pieces: [], repeated: null }
  // The earlier file has all bytes if it is verbatim, otherwise all whole boxes.
  const storedTo = moved === undefined || state.broken !== null ? fed : state.offset
  const from = storedTo - bytes.length
  const tracks = known.tracks.map((track) => ({ ...track, endTicks: 0 }))
  const reader = new FragmentReader({ ...AT_START, offset: from, wholeTo: from, tracks, isFragmented: known.isFragmented })
  reader.push(bytes)
  const init = Buffer.from(known.init, 'base64')
  const byBytes = init.length - from
  // The times of the lead-in are those of the earlier file.
  const byMs = leadIn.offsetMs - offsetMs
  const again = moveFragments(reader.taken, tracks, { byMs, byBytes: byBytes - (moved?.byBytes ?? 0) })
  const { times } = reader
  const startMs = leadIn.fromMs + offsetMs
  const endMs = Math.max(startMs, (times?.endMs ?? 0) - byMs)
  const piece: FreshPiece = { kind: 'fresh', bytes: Buffer.concat([init, again]), length: init.length + again.length, startMs, endMs, frames: null, cues: fragmentCues(reader.taken.boxes, from - init.length, -byMs) }
  return { fragments: { state: known, fed, moved: { byBytes } }, pieces: [piece], repeated: times === null ? null : { startMs, endMs } }
}

/** The state with the init segment at the beginning of the bytes; broken if there is none. */
function withInit(state: FragmentState, bytes: Uint8Array | undefined): FragmentState {
  const reader = new FragmentReader()
  reader.push(bytes ?? new Uint8Array(0))
  const { init, tracks } = reader.state
  if (init === undefined || tracks === null) return { ...state, broken: { cause: 'no-init-segment', startMs: state.endMs } }
  return { ...state, init, tracks: state.tracks!.map((known) => ({ ...tracks.find(({ id }) => id === known.id), ...known })) }
}

/** The state of an MP4 from a checkpoint of a version that read no boxes: where its fragments begin is not known. */
export const unknownFragments = (fed: number): SavedFragments => ({ state: { ...AT_START, broken: { cause: 'no-init-segment', startMs: null } }, fed })
