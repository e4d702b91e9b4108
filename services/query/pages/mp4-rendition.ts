import type { PublicSession } from '@longtake/contracts'

type Track = PublicSession['tracks'][string]
type File = Track['files'][number]

/** What a browser says of itself. */
export interface Browser {
  readonly userAgent: string
  readonly canPlay: (mimeType: string) => boolean
}

export interface PlayableTrack {
  /** Its files with the addresses that this browser is to play. */
  readonly track: Track
  /** Addresses of MP4s that nobody has asked for yet. */
  readonly missing: readonly string[]
  /** Whether an MP4 that this browser needs is still being made. */
  readonly isPending: boolean
}

/** Puts the MP4 of a file in its place where this browser does not play, or not seek in, what was recorded. */
export function playableTrack(track: Track, browser: Browser): PlayableTrack {
  const missing: string[] = []
  let isPending = false
  const files = track.files.map((file) => {
    if (!needsMp4(file, browser)) return file
    const number = fileNumber(file)
    const known = track.renditions.filter(
      (one) => one.kind === 'mp4' && (one.url === null ? (one.file ?? 0) : fileNumber({ url: one.url })) === number,
    )
    const ready = known
      .filter(({ url }) => url !== null)
      .sort((a, b) => a.version - b.version)
      .at(-1)
    if (ready?.url) return { ...file, url: ready.url, mimeType: 'video/mp4' }
    if (known.length === 0) missing.push(mp4Address(file))
    if (known.every(({ reason }) => reason === null)) isPending = true
    return file
  })
  return { track: { ...track, files }, missing, isPending }
}

const needsMp4 = ({ mimeType }: File, { userAgent, canPlay }: Browser): boolean =>
  /^(video|audio)\/(webm|x-matroska)\b/.test(mimeType) && (isSafari(userAgent) || !canPlay(mimeType))

/** Safari plays WebM from its beginning to its end only, whatever it answers when asked. On iOS every browser is Safari. */
const isSafari = (userAgent: string): boolean =>
  /\b(iPhone|iPad|iPod)\b/.test(userAgent) ||
  (/ Safari\//.test(userAgent) && !/(Chrome|Chromium)\/|Android/.test(userAgent))

const fileNumber = ({ url }: { readonly url: string }): number => Number(new URL(url).searchParams.get('file') ?? 0)

function mp4Address(file: File): string {
  const { origin, pathname } = new URL(file.url)
  const number = fileNumber(file)
  return `${origin}${pathname}/mp4${number === 0 ? '' : `?file=${number}`}`
}
