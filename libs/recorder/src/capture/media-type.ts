import type { VideoCodec } from '../api.ts'

const WEBM = 'video/webm;codecs='
/** Not `avc1`, of which Chromium writes the codec's description once, so that nothing decodes after the first change of size. */
const AVC3 = 'video/mp4;codecs=avc3.42E01F'
const VIDEO = [`${WEBM}vp9`, `${WEBM}vp8`, 'video/webm', AVC3, 'video/mp4']
const AUDIO = ['audio/webm;codecs=opus', 'audio/webm', 'audio/mp4']

export interface Kinds {
  video: boolean
  audio: boolean
}

export function kindsOf(sources: readonly { kind: string }[]): Kinds {
  return { video: sources.some(({ kind }) => kind === 'video'), audio: sources.some(({ kind }) => kind === 'audio') }
}

export interface MimeTypeHost {
  isSupported: (mimeType: string) => boolean
  /** Whether this is WebKit, whatever the browser is called: on iOS all are. */
  isWebKit: boolean
}

export const thisBrowser: MimeTypeHost = {
  isSupported: (mimeType) => MediaRecorder.isTypeSupported(mimeType),
  // The HTML standard (§8.10.1.1) fixes this value for WebKit; Chromium has another, and Firefox an empty one.
  get isWebKit() {
    return navigator.vendor === 'Apple Computer, Inc.'
  },
}

/**
 * The best format that the browser records, WebM before MP4; undefined if there is none. Safari 18.4 and later claims to record WebM, but
 * cannot seek in it, and recording a moment of it shows nothing of that: so WebKit records MP4, as it did before.
 * @param preferred comes first, where the browser has it; not in WebKit, whose only trustworthy format has H.264
 */
export function chooseMimeType({ video, audio }: Kinds, { isSupported, isWebKit }: MimeTypeHost, preferred: VideoCodec = 'vp9'): string | undefined {
  const types = video ? [preferred === 'h264' ? AVC3 : WEBM + preferred, ...VIDEO] : AUDIO
  const [plain] = types.slice(-1)
  const named = types.map((type) => (video && audio && type.includes('=') ? `${type},opus` : type))
  return (isWebKit ? [plain!, ...named] : named).find(isSupported)
}
