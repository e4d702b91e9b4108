import { concat } from './bytes.ts'
import { blockBody, element, elementId, float, master, text, uint, unknownSize } from './elements.ts'
import { seededRandom, type Random } from './random.ts'

export interface SyntheticOptions {
  /** Length of the recording in ms. */
  durationMs: number
  /** Distance of video keyframes in ms; default 2000. */
  keyframeEveryMs?: number
  /** Roughly how many bytes a second of it has; default 40,000. */
  bytesPerSecond?: number
  seed: number
  /** Which tracks, in the order of their numbers (a recorder numbers them by arrival); default video, audio. */
  tracks?: readonly ('video' | 'audio')[]
  /** Time between two chunks in ms, like `MediaRecorder.start(timeslice)`; default 1000. */
  chunkEveryMs?: number
  /** Length of a frame of sound in ms, of pictures twice that; default 20. Longer ones spare hours of recording most of their frames. */
  frameMs?: number
}

const FRAME_MS = 20
const LONGEST_CLUSTER_MS = 30_000
const POOL_BYTES = 1 << 16

/**
 * The chunks of a recording as Chrome would cut them: Segment and Clusters of unknown size, VP9 and Opus frames of
 * pseudo-random content (no decoder makes a picture of them), keyframes that are not always first in their cluster,
 * cuts mostly one byte into an element and sometimes anywhere. Yields as it goes, so hours cost no memory.
 */
export function* syntheticRecording(options: SyntheticOptions): Generator<Uint8Array, void, undefined> {
  const random = seededRandom(options.seed)
  const chunkEveryMs = options.chunkEveryMs ?? 1000
  let waiting: Uint8Array[] = []
  let chunkEndsAt = chunkEveryMs
  for (const piece of elements(options, random)) {
    waiting.push(piece.bytes)
    if (piece.timeMs < chunkEndsAt) continue
    chunkEndsAt = piece.timeMs + chunkEveryMs
    const [chunk, rest] = cutInsideLast(waiting, random)
    waiting = [rest]
    yield chunk
  }
  const last = concat(waiting)
  if (last.length > 0) yield last
}

/** The whole recording at once; for those short enough. */
export function syntheticChunks(options: SyntheticOptions): Uint8Array[] {
  return [...syntheticRecording(options)]
}

function cutInsideLast(pieces: readonly Uint8Array[], random: Random): [Uint8Array, Uint8Array] {
  const last = pieces.at(-1) ?? new Uint8Array(0)
  const cut = random.chance(0.7) ? 1 : random.between(1, last.length)
  return [concat([...pieces.slice(0, -1), last.subarray(0, cut)]), last.slice(cut)]
}

interface Piece {
  timeMs: number
  bytes: Uint8Array
}

function* elements(options: SyntheticOptions, random: Random): Generator<Piece, void, undefined> {
  const tracks = options.tracks ?? ['video', 'audio']
  const keyframeEveryMs = options.keyframeEveryMs ?? 2000
  const video = tracks.indexOf('video') + 1
  const audio = tracks.indexOf('audio') + 1
  const frameMs = options.frameMs ?? FRAME_MS
  const frames = frameMaker({ ...options, frameMs }, random, { video: video > 0, audio: audio > 0 })
  yield { timeMs: 0, bytes: recorderHead(tracks) }

  let clusterAt = -1
  let nextKeyframe = 0
  for (let timeMs = 0; timeMs < options.durationMs; timeMs += frameMs) {
    const hasVideo = video > 0 && timeMs % (2 * frameMs) === 0
    const key = hasVideo && timeMs >= nextKeyframe
    if (clusterAt < 0 || key || timeMs - clusterAt >= LONGEST_CLUSTER_MS) {
      clusterAt = timeMs
      yield { timeMs, bytes: concat([elementId(0x1f43b675), unknownSize, uint(0xe7, timeMs)]) }
    }
    const blocks: Uint8Array[] = []
    if (hasVideo) {
      if (key) nextKeyframe = timeMs + keyframeEveryMs
      blocks.push(element(0xa3, blockBody(video, timeMs - clusterAt, key ? 0x80 : 0, frames.video(key))))
    }
    if (audio > 0) blocks.push(element(0xa3, blockBody(audio, timeMs - clusterAt, 0x80, frames.audio())))
    if (random.chance(0.5)) blocks.reverse()
    for (const bytes of blocks) yield { timeMs, bytes }
  }
}

function recorderHead(tracks: readonly ('video' | 'audio')[]): Uint8Array {
  const ebml = master(0x1a45dfa3, [
    uint(0x4286, 1), uint(0x42f7, 1), uint(0x42f2, 4), uint(0x42f3, 8),
    text(0x4282, 'webm'), uint(0x4287, 4), uint(0x4285, 2),
  ])
  const info = master(0x1549a966, [uint(0x2ad7b1, 1_000_000), text(0x4d80, 'Synthetic'), text(0x5741, 'Synthetic')])
  const opusHead = Uint8Array.from([...new TextEncoder().encode('OpusHead'), 1, 1, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0])
  const entries = tracks.map((kind, index) => master(0xae, [
    uint(0xd7, index + 1),
    uint(0x73c5, 0x1234 + index),
    uint(0x83, kind === 'video' ? 1 : 2),
    ...(kind === 'video'
      ? [text(0x86, 'V_VP9'), master(0xe0, [uint(0xb0, 640), uint(0xba, 480)])]
      : [text(0x86, 'A_OPUS'), element(0x63a2, opusHead), master(0xe1, [float(0xb5, 48_000), uint(0x9f, 1)])]),
  ]))
  return concat([ebml, elementId(0x18538067), unknownSize, info, master(0x1654ae6b, entries)])
}

/** Frames look like the codec's in their first bytes; the rest is a stamped slice of a random pool, so that all differ. */
function frameMaker(options: SyntheticOptions & { frameMs: number }, random: Random, has: { video: boolean; audio: boolean }) {
  const pool = random.bytes(POOL_BYTES * 2)
  const perSecond = options.bytesPerSecond ?? 40_000
  const audioBytes = Math.max(16, Math.min(160, Math.floor(perSecond / (has.video ? 5 : 1) / (1000 / options.frameMs))))
  const audioPerSecond = has.audio ? audioBytes * (1000 / options.frameMs) : 0
  const videoBytes = Math.max(16, Math.floor((perSecond - audioPerSecond) / (1000 / (2 * options.frameMs))))
  let made = 0
  const frame = (start: readonly number[], length: number): Uint8Array => {
    const size = Math.min(POOL_BYTES, Math.max(start.length + 8, length))
    const from = random.between(0, POOL_BYTES - 1)
    const out = pool.slice(from, from + size)
    out.set(start)
    made += 1
    new DataView(out.buffer).setUint32(start.length, made)
    return out
  }
  return {
    video: (key: boolean): Uint8Array =>
      key
        ? frame([0x82, 0x49, 0x83, 0x42], videoBytes * 3)
        : frame([0x86, 0x00, 0x40], Math.floor(videoBytes * (0.5 + random.next()))),
    audio: (): Uint8Array => frame([0xfb], Math.floor(audioBytes * (0.5 + random.next()))),
  }
}
