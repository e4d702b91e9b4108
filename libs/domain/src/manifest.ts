import type { FileState, Manifest, SessionState } from '@longtake/contracts'
import { startOffsetMs } from './public.ts'
import { instantOf } from './time.ts'

/** The sealed version of one file: Azure's snapshot id, and the version it was taken of. */
export interface Seal {
  snapshot: string
  etag: string
}

/** Files that hold something; the others have no blob that could be sealed. */
export function sealableFiles(state: Pick<SessionState, 'tracks'>): FileState[] {
  return Object.values(state.tracks).flatMap(({ files }) => files.filter(({ bytes }) => bytes > 0))
}

/**
 * The account of a completed session's version.
 * @param seals by blob name, one for each of `sealableFiles`; throws a `TypeError` if one is missing
 * @param now milliseconds since the epoch
 */
export function toManifest(state: SessionState, seals: ReadonlyMap<string, Seal>, now: number): Manifest {
  const { session, version, status, startedAt, endedAt, metadata, gaps } = state
  const tracks = Object.fromEntries(
    Object.entries(state.tracks).map(([track, { files }]) => [
      track,
      { files: sealableFiles({ tracks: { [track]: { files } } }).map((file) => sealedFile(state, file, seals)), parts: files.flatMap(manifestParts) },
    ]),
  )
  return { format: 'longtake.manifest.v1', session, version, status, startedAt, endedAt, finalizedAt: instantOf(now), metadata, tracks, gaps }
}

type ManifestTrack = Manifest['tracks'][string]

function sealedFile(state: SessionState, file: FileState, seals: ReadonlyMap<string, Seal>): ManifestTrack['files'][number] {
  const { blob, mimeType, bytes, durationMs, commit, blocks, parts } = file
  const seal = seals.get(blob)
  if (seal === undefined) throw new TypeError(`no seal for ${blob}`)
  const { snapshot, etag } = seal
  return { blob, snapshot, etag, mimeType, bytes, durationMs, startOffsetMs: startOffsetMs(state, file), commit, blocks, parts: parts.map(({ part }) => part) }
}

function manifestParts({ parts }: FileState): ManifestTrack['parts'] {
  return parts.map(({ part, mimeType, startedAt, chunks, bytes, stored, closed }) => ({ part, mimeType, startedAt, chunks, bytes, stored, closed }))
}
