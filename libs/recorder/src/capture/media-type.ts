const WITH_VIDEO_AND_AUDIO = ['video/webm;codecs=vp9,opus', 'video/webm;codecs=vp8,opus', 'video/webm', 'video/mp4'] as const
const WITH_VIDEO = ['video/webm;codecs=vp9', 'video/webm;codecs=vp8', 'video/webm', 'video/mp4'] as const
const WITH_AUDIO = ['audio/webm;codecs=opus', 'audio/webm', 'audio/mp4'] as const

export interface Kinds {
  video: boolean
  audio: boolean
}

export function kindsOf(sources: readonly { kind: string }[]): Kinds {
  return { video: sources.some(({ kind }) => kind === 'video'), audio: sources.some(({ kind }) => kind === 'audio') }
}

/** The best format that the browser records, WebM before MP4; undefined if there is none. */
export function chooseMimeType({ video, audio }: Kinds, isSupported: (mimeType: string) => boolean): string | undefined {
  const candidates = video ? (audio ? WITH_VIDEO_AND_AUDIO : WITH_VIDEO) : WITH_AUDIO
  return candidates.find((mimeType) => isSupported(mimeType))
}
