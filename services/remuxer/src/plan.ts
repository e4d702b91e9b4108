import { BLOBS, type FileState, type Manifest, type SessionState } from '@longtake/contracts'
import { filesOf, isRequested } from '@longtake/domain'

export type SealedFile = Manifest['tracks'][string]['files'][number]

/** The part of a file's state that jobs need: the whole state may be large, and thousands of jobs are queued. */
export type SourceFile = Pick<FileState, 'file' | 'blob' | 'mimeType' | 'codecs'>

/** One thing to be made of one sealed file. */
export interface PlannedRendition {
  session: string
  version: number
  track: string
  kind: 'poster' | 'mp4'
  source: SourceFile
  blob: string
  mimeType: 'image/jpeg' | 'video/mp4'
  /** Of an MP4: as it was recorded where MP4 has a place for it; as every browser plays it; or not at all. */
  codecs?: 'recorded' | 'encoded' | 'refused'
}

/**
 * Which files get an MP4 beside those whose container needs one. Encoding costs 7 to 10 times as much as decoding, and
 * only viewers on older Safari, and those that want to seek on any Safari, need it: hence on request.
 */
export const MP4_POLICIES = ['needed', 'on-request', 'always'] as const
export type Mp4Policy = (typeof MP4_POLICIES)[number]

/**
 * What a finalized session still lacks, in the order in which it is to be made. Nothing while a newer version is on its
 * way to be finalized: that one gets its own.
 */
export function missingRenditions(state: SessionState, policy: Mp4Policy = 'needed'): PlannedRendition[] {
  const { status, version, manifest } = state
  if (status === 'deleted' || manifest?.version !== version) return []
  const planned = Object.keys(state.tracks).sort().flatMap((track) => renditionsOf(state, track, policy))
  return planned.filter(({ track, kind, source }) => !state.renditions.some((made) => made.track === track && made.kind === kind && (made.file ?? 0) === fileOf(kind, source) && made.version >= version))
}

/** The number an event names: a poster is of the whole track. */
export const fileOf = (kind: PlannedRendition['kind'], source: SourceFile): number => (kind === 'poster' ? 0 : source.file)

function renditionsOf(state: SessionState, track: string, policy: Mp4Policy): PlannedRendition[] {
  const { session, version, tracks } = state
  const sealable = (tracks[track]?.files ?? []).filter(({ bytes }) => bytes > 0)
  const files = sealable.sort((a, b) => a.file - b.file).map(sourceOf)
  const of = { session, version, track }
  const blobOf = (name: string): string => BLOBS.rendition(session, version, track, name)
  const pictured = files.find(hasVideo)
  const poster: PlannedRendition[] =
    pictured === undefined ? [] : [{ ...of, kind: 'poster', source: pictured, blob: blobOf('poster.jpg'), mimeType: 'image/jpeg' }]
  const mp4s = files.flatMap((source): PlannedRendition[] => {
    const codecs = mp4CodecsOf(source, policy, isRequested(state, track, 'mp4', source.file))
    if (codecs === undefined) return []
    return [{ ...of, kind: 'mp4', source, blob: blobOf(`${source.file}.mp4`), mimeType: 'video/mp4', codecs }]
  })
  return [...poster, ...mp4s]
}

const sourceOf = ({ file, blob, mimeType, codecs }: FileState): SourceFile => ({ file, blob, mimeType, codecs })

/** What its MP4 is to hold; undefined where there is to be none. */
function mp4CodecsOf(file: SourceFile, policy: Mp4Policy, isWanted: boolean): PlannedRendition['codecs'] {
  if (needsMp4(file)) return 'recorded'
  switch (policy) {
    case 'needed':
      return isWanted ? 'refused' : undefined
    case 'on-request':
      return isWanted ? 'encoded' : undefined
    case 'always':
      return 'encoded'
    default:
      return unknownPolicy(policy)
  }
}

function unknownPolicy(policy: never): never {
  throw new TypeError(`no rule for the policy ${String(policy)}`)
}

/** One sealed file of which it is not known what a decoder shows. */
export interface PlannedDecoding {
  session: string
  version: number
  track: string
  source: SourceFile
  sealed: SealedFile
}

/**
 * Whether the manifest may name a commit of a file that was not decoded; the manifest itself tells which one was
 * sealed.
 */
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
      return [{ session, version, track, source: sourceOf(source), sealed }]
    }),
  )
}

const decodedCommit = (decoded: NonNullable<SessionState['decoded']>, track: string, file: number): number =>
  decoded.find((one) => one.track === track && one.file === file)?.commit ?? -1

const isMp4 = ({ mimeType }: Pick<FileState, 'mimeType'>): boolean => /^(video|audio)\/mp4\b/i.test(mimeType)

/** The codecs of MP4 are not known: there the type has to do, and ffmpeg finds out. */
const hasVideo = ({ codecs, mimeType }: SourceFile): boolean => (codecs.length > 0 ? codecs.some((codec) => codec.startsWith('V_')) : /^video\//i.test(mimeType))

/** What WebM permits (WebM Container Guidelines), and browsers therefore play in it. */
const WEBM_CODECS: ReadonlySet<string> = new Set(['V_VP8', 'V_VP9', 'V_AV1', 'A_OPUS', 'A_VORBIS'])

/** Fragmented MP4 is not seekable everywhere, and of H.264, PCM and the like in Matroska only Chrome plays some. */
const needsMp4 = (file: SourceFile): boolean => isMp4(file) || file.codecs.some((codec) => !WEBM_CODECS.has(codec))

/** What ffmpeg is told that the file is, so that content cannot choose its own reader. */
export const containerOf = (file: Pick<FileState, 'mimeType'>): 'mp4' | 'matroska' => (isMp4(file) ? 'mp4' : 'matroska')
