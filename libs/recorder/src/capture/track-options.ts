import { RecorderError, type TrackOptions } from '../api.ts'
import type { Bitrates, Encoding } from './capture.ts'
import { chooseMimeType, kindsOf, thisBrowser } from './media-type.ts'

export const DEFAULT_BITRATES: Bitrates = { videoBitsPerSecond: 2_500_000, audioBitsPerSecond: 64_000 }
/** In milliseconds. A chunk is lost with the page, and three of them have to come before a source counts as stalled. */
const CHUNK_MS = [250, 4000] as const
const KEYFRAME_INTERVAL_MS = [250, 60_000] as const

type EncodingOptions = { [K in keyof Omit<TrackOptions, 'stream'>]: TrackOptions[K] | undefined }

/** What is not given, or undefined, is as by default. */
export function encodingOf({ videoCodec, videoBitsPerSecond, audioBitsPerSecond, keyFrameIntervalMs, chunkMs }: EncodingOptions): Encoding {
  return {
    videoCodec,
    videoBitsPerSecond: videoBitsPerSecond ?? DEFAULT_BITRATES.videoBitsPerSecond,
    audioBitsPerSecond: audioBitsPerSecond ?? DEFAULT_BITRATES.audioBitsPerSecond,
    keyFrameIntervalMs: keyFrameIntervalMs ?? 2000,
    chunkMs: chunkMs ?? 1000,
  }
}

/** @throws RecorderError `invalid-options`, `unsupported-media` */
export function assertRecordable(name: string, { stream, ...options }: TrackOptions): void {
  const live = stream.getTracks().filter(({ readyState }) => readyState === 'live')
  if (live.length === 0) throw new RecorderError('invalid-options', `the stream of ${name} has nothing that could be recorded: its tracks have ended, or it has none`)
  const { chunkMs, keyFrameIntervalMs } = encodingOf(options)
  if (!isWithin(chunkMs, CHUNK_MS) || !isWithin(keyFrameIntervalMs, KEYFRAME_INTERVAL_MS)) throw new RecorderError('invalid-options', `chunkMs or keyFrameIntervalMs of ${name} is out of range`)
  if (chooseMimeType(kindsOf(live), thisBrowser) === undefined) throw new RecorderError('unsupported-media', 'this browser records neither WebM nor MP4 from this stream')
}

/** Not a number is not. */
const isWithin = (value: number, [least, most]: readonly [number, number]): boolean => value >= least && value <= most
