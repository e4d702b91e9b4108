import { syntheticChunks } from '@longtake/testkit'

/** What one `MediaRecorder` writes, cut into chunks. */
export interface Media {
  readonly mimeType: string
  readonly chunks: readonly Uint8Array[]
}

const KINDS = [
  { mimeType: 'video/webm;codecs=vp9,opus', tracks: ['video', 'audio'] },
  { mimeType: 'video/webm;codecs=vp9', tracks: ['video'] },
  { mimeType: 'video/webm;codecs=vp9,opus', tracks: ['audio', 'video'] },
] as const

const made = new Map<string, Media>()

/**
 * Media that no two variants share, of few bytes: a few frames a chunk, so that hours of it cost little. Kept, since
 * seeds use the same few again and again.
 */
export function mediaOf(
  variant: number,
  shape: { chunks: number; chunkMs: number; chunkBytes: number; keyframeChunks: number },
): Media {
  const { chunks, chunkMs, chunkBytes, keyframeChunks } = shape
  const key = `${variant}/${chunks}/${chunkMs}/${chunkBytes}/${keyframeChunks}`
  let media = made.get(key)
  if (media === undefined) {
    const { mimeType, tracks } = KINDS[variant % KINDS.length]!
    // Frames further apart would make the end of a chunk look like time in which nothing was recorded.
    const frameMs = Math.min(2000, Math.max(100, chunkMs / 2))
    const all = syntheticChunks({
      durationMs: chunks * chunkMs + 4 * frameMs,
      seed: 1000 + variant,
      tracks,
      bytesPerSecond: (1000 * chunkBytes) / chunkMs,
      chunkEveryMs: chunkMs,
      keyframeEveryMs: keyframeChunks * chunkMs,
      frameMs,
    })
    media = { mimeType, chunks: all.slice(0, chunks) }
    made.set(key, media)
  }
  return media
}
