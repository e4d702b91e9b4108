import type { FileState, Manifest, SessionState } from '@longtake/contracts'
import { isUnsealable } from './file-faults.ts'
import { partsOf, type PlacedPart, unseenParts } from './parts.ts'
import { startOffsetMs } from './public.ts'
import { filesOf } from './session.ts'
import { instantOf } from './time.ts'

/** The sealed version of one file: Azure's snapshot id, and the version it was taken of. */
export interface Seal {
  snapshot: string
  etag: string
}

/** Files that hold something; of the others there is nothing to seal. */
export const isSealable = ({ bytes }: FileState): boolean => bytes > 0

/**
 * The account of a completed session's version.
 * @param seals by blob name, one for each sealable file; throws a `TypeError` if one is missing; of files whose blob is
 *   gone, was changed or cannot be read none is needed, they are left out
 * @param now milliseconds since the epoch
 */
export function toManifest(state: SessionState, seals: ReadonlyMap<string, Seal>, now: number): Manifest {
  const { session, version, status, startedAt, endedAt, metadata, gaps } = state
  const parts = Map.groupBy(partsOf(state), ({ track }) => track)
  const unseen = Map.groupBy(unseenParts(state), ({ track }) => track)
  const tracks = Object.fromEntries(
    [...new Set([...Object.keys(state.tracks), ...unseen.keys()])].map((track) => {
      const files = filesOf(state, track).filter((file) => isSealable(file) && !isUnsealable(file))
      const of = parts.get(track) ?? []
      return [track, { files: files.map((file) => sealedFile(state, file, of, seals)), parts: [...of.map(manifestPart), ...(unseen.get(track) ?? []).map(({ part }) => unseenPart(part))] }]
    }),
  )
  return { format: 'longtake.manifest.v1', session, version, status, startedAt, endedAt, finalizedAt: instantOf(now), metadata, tracks, gaps }
}

type ManifestTrack = Manifest['tracks'][string]

function sealedFile(state: SessionState, file: FileState, parts: readonly PlacedPart[], seals: ReadonlyMap<string, Seal>): ManifestTrack['files'][number] {
  const { blob, mimeType, bytes, durationMs, commit, blocks } = file
  const seal = seals.get(blob)
  if (seal === undefined) throw new TypeError(`no seal for ${blob}`)
  const { snapshot, etag } = seal
  // A part that goes on in a later file counts there, and has media in both.
  const withMedia = new Set(file.parts.filter(({ startMs }) => startMs !== null).map(({ part }) => part))
  const held = parts.filter((placed) => placed.file === file || withMedia.has(placed.part.part)).map(({ part }) => part.part)
  return { blob, snapshot, etag, mimeType, bytes, durationMs, startOffsetMs: startOffsetMs(state, file), commit, blocks, parts: held }
}

function manifestPart({ part: { part, mimeType, startedAt, chunks, bytes, stored, closed } }: PlacedPart): ManifestTrack['parts'][number] {
  return { part, mimeType, startedAt, chunks, bytes, stored, closed }
}

/** Its client named it at the end, and nothing of it ever came. */
const unseenPart = (part: string): ManifestTrack['parts'][number] => ({ part, mimeType: null, startedAt: null, chunks: 0, bytes: 0, stored: [], closed: null })
