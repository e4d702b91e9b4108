import { BLOBS, type FileState, type Manifest, type SessionState } from '@longtake/contracts'
import { filesOf } from '@longtake/domain'

export type SealedFile = Manifest['tracks'][string]['files'][number]

/** One thing to be made of one sealed file. */
export interface PlannedRendition {
  session: string
  version: number
  track: string
  kind: 'poster' | 'mp4'
  source: FileState
  blob: string
  mimeType: 'image/jpeg' | 'video/mp4'
}

/**
 * What a finalized session still lacks, in the order in which it is to be made. Nothing while a newer version is on its
 * way to be finalized: that one gets its own.
 */
export function missingRenditions(state: SessionState): PlannedRendition[] {
  const { status, version, manifest } = state
  if (status === 'deleted' || manifest?.version !== version) return []
  const planned = Object.keys(state.tracks).sort().flatMap((track) => renditionsOf(state, track))
  return planned.filter(({ track, kind, source }) => !state.renditions.some((made) => made.track === track && made.kind === kind && (made.file ?? 0) === fileOf(kind, source) && made.version >= version))
}

/** The number an event names: a poster is of the whole track. */
export const fileOf = (kind: PlannedRendition['kind'], source: FileState): number => (kind === 'poster' ? 0 : source.file)

function renditionsOf({ session, version, tracks }: SessionState, track: string): PlannedRendition[] {
  const files = (tracks[track]?.files ?? []).filter(({ bytes }) => bytes > 0).sort((a, b) => a.file - b.file)
  const pictured = files.find(hasVideo)
  const poster: PlannedRendition[] =
    pictured === undefined ? [] : [{ session, version, track, kind: 'poster', source: pictured, blob: BLOBS.rendition(session, version, track, 'poster.jpg'), mimeType: 'image/jpeg' }]
  const mp4s = files.filter(wantsMp4).map((source): PlannedRendition => ({ session, version, track, kind: 'mp4', source, blob: BLOBS.rendition(session, version, track, `${source.file}.mp4`), mimeType: 'video/mp4' }))
  return [...poster, ...mp4s]
}

/** One sealed file of which it is not known what a decoder shows. */
export interface PlannedDecoding {
  session: string
  version: number
  track: string
  source: FileState
  sealed: SealedFile
}

/** Whether the manifest may name a commit of a file that was not decoded; the manifest itself tells which one was sealed. */
export function mayLackDecoding({ status, version, manifest, tracks, decoded = [] }: SessionState): boolean {
  if (status === 'deleted' || manifest?.version !== version) return false
  return Object.entries(tracks).some(([track, { files }]) =>
    files.some(({ bytes, file, commit }) => bytes > 0 && decodedCommit(decoded, track, file) < commit.number),
  )
}

export function missingDecodings(state: SessionState, manifest: Manifest): PlannedDecoding[] {
  const { session, version, decoded = [] } = state
  return Object.entries(manifest.tracks).flatMap(([track, { files }]) =>
    files.flatMap((sealed) => {
      const source = filesOf(state, track).find(({ blob }) => blob === sealed.blob)
      if (source === undefined || decodedCommit(decoded, track, source.file) >= sealed.commit.number) return []
      return [{ session, version, track, source, sealed }]
    }),
  )
}

const decodedCommit = (decoded: NonNullable<SessionState['decoded']>, track: string, file: number): number =>
  decoded.find((one) => one.track === track && one.file === file)?.commit ?? -1

const isMp4 = ({ mimeType }: FileState): boolean => /^(video|audio)\/mp4\b/i.test(mimeType)

/** The codecs of MP4 are not known: there the type has to do, and ffmpeg finds out. */
const hasVideo = ({ codecs, mimeType }: FileState): boolean => (codecs.length > 0 ? codecs.some((codec) => codec.startsWith('V_')) : /^video\//i.test(mimeType))

/** What WebM permits (WebM Container Guidelines), and browsers therefore play in it. */
const WEBM_CODECS: ReadonlySet<string> = new Set(['V_VP8', 'V_VP9', 'V_AV1', 'A_OPUS', 'A_VORBIS'])

/** Fragmented MP4 is not seekable everywhere, and of H.264, PCM and the like in Matroska only Chrome plays some. */
const wantsMp4 = (file: FileState): boolean => isMp4(file) || file.codecs.some((codec) => !WEBM_CODECS.has(codec))

/** What ffmpeg is told that the file is, so that content cannot choose its own reader. */
export const containerOf = (file: FileState): 'mp4' | 'matroska' => (isMp4(file) ? 'mp4' : 'matroska')
